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

    async def count(self, listings: Sequence[Sql], most: int) -> list[int]:
        """Count what each lists, up to `most` or what the one before has come to, whichever is less."""
        if self.database.is_cluster:
            return await self._each(listings, most)
        (found,) = await self.rows(_selected(_capped("c", listings, Sql("%s", (most,)))))
        return list(found)

    async def least(self, listings: Sequence[Sql], most: int, walks: Sequence[Sql]) -> int | None:
        """Return the place of what lists least, None where none lists fewer than `most`.

        Where one of the `walks` lists fewer than that, it is to be fewer than a fourth of it.
        """
        if self.database.is_cluster:
            bound, counts = most, await self._each(listings, most)
        else:
            shortest = _capped("w", walks, Sql("%s", (most,)))
            bounded = Sql("b0 AS MATERIALIZED (SELECT %s::bigint AS n)", (most,))
            if walks:
                bounded = Sql(
                    f"b0 AS MATERIALIZED (SELECT CASE WHEN n < %s THEN n / 4 ELSE n END AS n FROM w{len(walks) - 1})",
                    (most,),
                )
            found = await self.rows(_selected([*shortest, bounded, *_capped("c", listings, Sql("(SELECT n FROM b0)"))]))
            bound, *counts = found[0][len(walks) :]
        least = min(counts)
        return counts.index(least) if least < bound else None

    async def _each(self, listings: Sequence[Sql], most: int) -> list[int]:
        counts = [Sql("(SELECT count(*) FROM (") + each + Sql(" LIMIT %s) l)", (most,)) for each in listings]
        (found,) = await self.rows(Sql("SELECT ") + join(", ", counts))
        return list(found)


def _capped(name: str, listings: Sequence[Sql], limit: Sql) -> list[Sql]:
    """Count what each lists, each up to what the one before has come to."""
    counts = []
    for n, each in enumerate(listings):
        counts.append(
            Sql(f"{name}{n} AS MATERIALIZED (SELECT count(*) AS n FROM (") + each + Sql(" LIMIT ") + limit + Sql(") l)")
        )
        limit = Sql(f"(SELECT n FROM {name}{n})")
    return counts


def _selected(counts: Sequence[Sql]) -> Sql:
    """Select all counts in a row."""
    names = [count.text.partition(" ")[0] for count in counts]
    return Sql("WITH ") + join(", ", counts) + Sql(f" SELECT {', '.join(f'(SELECT n FROM {name})' for name in names)}")
