"""What resolving a criterion needs: one snapshot, and the database's names and digests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toro_postgres.entries import Entries
from toro_postgres.keys import Keys
from toro_postgres.names import Names
from toro_postgres.schema import Connection
from toro_postgres.sql import APART, Row, Sql, join, rows

__all__ = ["Database", "Reader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """What a process knows of the database. On a cluster (`is_cluster`) a subquery may not look at another shard's rows."""

    names: Names
    keys: Keys
    entries: Entries
    is_cluster: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """A connection in a transaction, and what is known of its database."""

    connection: Connection
    database: Database

    async def rows(self, sql: Sql) -> list[Row]:
        """Run a search's statement."""
        if self.database.is_cluster:
            # A cluster refuses it, and plans joins of one place alone.
            sql = Sql(sql.text.replace(APART, ""), sql.args)
        return await rows(self.connection, sql)

    async def count(self, listings: Sequence[Sql], most: int, others: Sequence[Sql] = ()) -> list[int]:
        """Count what each lists, up to `most` or what the ones before have come to, whichever is less.

        The `others` are counted up to four times that.
        """
        if self.database.is_cluster:
            return await self._each([*listings, *others], most)
        text, args, limit = "WITH ", tuple[Any, ...](), "%s"
        for n, each in enumerate((*listings, *others)):
            args += (*each.args, most) if n == 0 else each.args
            limit = f"(SELECT 4 * n FROM c{n - 1})" if others and n == len(listings) else limit
            text += f"c{n} AS MATERIALIZED (SELECT count(*) AS n FROM ({each.text} LIMIT {limit}) l), "
            limit = f"(SELECT n FROM c{n})"
        counts = ", ".join(f"(SELECT n FROM c{n})" for n in range(len(listings) + len(others)))
        (found,) = await self.rows(Sql(f"{text[:-2]} SELECT {counts}", args))
        return list(found)

    async def _each(self, listings: Sequence[Sql], most: int) -> list[int]:
        counts = [Sql("(SELECT count(*) FROM (") + each + Sql(" LIMIT %s) l)", (most,)) for each in listings]
        (found,) = await self.rows(Sql("SELECT ") + join(", ", counts))
        return list(found)
