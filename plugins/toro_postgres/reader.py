"""What resolving a criterion needs: one snapshot, and the database's names and digests."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from toro_postgres.entries import Entries
from toro_postgres.keys import Keys
from toro_postgres.names import Names
from toro_postgres.schema import Connection
from toro_postgres.sizes import Sizes
from toro_postgres.sql import APART, Row, Sql, join, rows

__all__ = ["Database", "Reader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """What a process knows of the database. On a cluster (`is_cluster`) a subquery may not look at another shard's rows."""

    names: Names
    keys: Keys
    entries: Entries
    sizes: Sizes = field(default_factory=Sizes)
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
        """Count what each lists, up to `most` or what the one before has come to, whichever is less.

        Where that is less than `most`, the `others` are counted up to four times it, else not at all.
        """
        if self.database.is_cluster:
            return await self._each([*listings, *others], most)
        counts, limit = list[Sql](), Sql("%s", (most,))
        for n, each in enumerate((*listings, *others)):
            if n and n == len(listings):
                limit = Sql(f"(SELECT CASE WHEN n < %s THEN 4 * n ELSE 0 END FROM c{n - 1})", (most,))
            count = Sql(f"c{n} AS MATERIALIZED (SELECT count(*) AS n FROM (") + each + Sql(" LIMIT ")
            counts.append(count + limit + Sql(") l)"))
            limit = Sql(f"(SELECT n FROM c{n})")
        selected = ", ".join(f"(SELECT n FROM c{n})" for n in range(len(counts)))
        (found,) = await self.rows(Sql("WITH ") + join(", ", counts) + Sql(f" SELECT {selected}"))
        return list(found)

    async def _each(self, listings: Sequence[Sql], most: int) -> list[int]:
        counts = [Sql("(SELECT count(*) FROM (") + each + Sql(" LIMIT %s) l)", (most,)) for each in listings]
        (found,) = await self.rows(Sql("SELECT ") + join(", ", counts))
        return list(found)
