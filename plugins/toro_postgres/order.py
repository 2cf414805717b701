"""Sort keys as expressions, positions as conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toro_core.search.plan import MISSING, Cursor, SortKey
from toro_postgres.reader import Reader
from toro_postgres.sql import Row, Sql, all_of, any_of, join

__all__ = ["Order"]


@dataclass(frozen=True, slots=True)
class Order:
    """The sort keys of a plan on a type."""

    reader: Reader
    type: str
    keys: tuple[SortKey, ...]

    @property
    def columns(self) -> tuple[Sql, ...]:
        """Return what is compared for each key, null where the resource has nothing there; speaks of a resource."""
        return tuple(self._column(key) for key in self.keys)

    @property
    def is_own(self) -> bool:
        """Tell whether the first key is the resource's own sort value, which is in its postings as well."""
        return self.keys[0].param is None

    def pid(self, key: SortKey) -> int:
        """Return the parameter's number, 0 where it has none."""
        return self.reader.database.names.param(self.type, key.param or "") or 0

    def by(self) -> str:
        """Return the terms of ORDER BY over the columns k0, k1, … and rid."""
        terms = [f"k{n}{' DESC' if key.descending else ''} NULLS LAST" for n, key in enumerate(self.keys)]
        return ", ".join([*terms, f"rid{' DESC' if self.keys[0].descending else ''}"])

    def after(self, cursor: Cursor, columns: Sequence[Sql]) -> Sql:
        """Tell whether a resource comes after a position."""
        *values, rid = self.values(cursor)
        way = "<" if self.keys[0].descending else ">"
        after = Sql(f"@rid {way} %s", (rid,))
        for key, column, value in reversed(tuple(zip(self.keys, columns, values, strict=True))):
            if value is None:
                after = all_of([column + Sql(" IS NULL"), after])
                continue
            way = "<" if key.descending else ">"
            beyond = any_of([column + Sql(f" {way} %s", (value,)), column + Sql(" IS NULL")])
            after = any_of([beyond, all_of([column + Sql(" = %s", (value,)), after])])
        return after

    def values(self, cursor: Cursor) -> Row:
        """Read a cursor."""
        return tuple(each.encode("latin-1") if isinstance(each, str) else each for each in cursor)

    def cursor(self, values: Row) -> Cursor:
        """Make a cursor of k0, k1, … and rid."""
        return tuple(bytes(each).decode("latin-1") if isinstance(each, bytes) else each for each in values)

    def selected(self) -> Sql:
        """Select the columns as k0, k1, …"""
        return join(", ", (column + Sql(f" AS k{n}") for n, column in enumerate(self.columns)))

    def _column(self, key: SortKey) -> Sql:
        match key.param:
            case None:
                return Sql("nullif(@sort, %s)", (MISSING,))
            case "_id":
                return Sql("@id")
            case "_lastUpdated":
                return Sql("@at")
        values = "@highs" if key.descending else "@lows"
        return Sql(f"({values})[array_position(@opids, %s::integer)]", (self.pid(key),))
