"""What resolving a criterion needs: one snapshot, and the database's names and digests."""

from __future__ import annotations

from dataclasses import dataclass

from toro_postgres.entries import Entries
from toro_postgres.keys import Keys
from toro_postgres.names import Names
from toro_postgres.schema import Connection
from toro_postgres.sql import APART, Row, Sql, rows

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

    async def count(self, listings: list[Sql], most: int) -> list[int]:
        """Count what each lists, up to a bound."""
        if not listings:
            return []
        counts = [Sql("(SELECT count(*) FROM (") + each + Sql(" LIMIT %s) l)", (most,)) for each in listings]
        statement = Sql("SELECT ") + counts[0]
        for each in counts[1:]:
            statement += Sql(", ") + each
        (found,) = await self.rows(statement)
        return list(found)
