"""The inserts and deletes of many resources' index rows, applied table by table in key order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from toro_postgres.copying import copy
from toro_postgres.entries import Entry, Order, Posted
from toro_postgres.schema import Connection
from toro_postgres.sql import Row

__all__ = ["INDEXED", "Known", "Sheet", "insert"]

COLUMNS: dict[str, dict[str, str]] = {
    "posting": {"place": "bigint", "param": "integer", "value": "uuid", "sort": "bigint", "rid": "bigint"},
    "date": {"place": "bigint", "rid": "bigint", "param": "integer", "low": "bigint", "high": "bigint"},
    "string": {
        "place": "bigint",
        "rid": "bigint",
        "param": "integer",
        "n": "integer",
        "folded": "bytea",
        "exact": "bytea",
    },
    "amount": {
        "place": "bigint",
        "rid": "bigint",
        "param": "integer",
        "n": "integer",
        "unit": "uuid",
        "system": "uuid",
        "low": "float8",
        "high": "float8",
    },
    "ordering": {"place": "bigint", "param": "integer", "value": "bytea", "rid": "bigint", "way": "smallint"},
    "version": {
        "place": "bigint",
        "rid": "bigint",
        "version": "bigint",
        "tid": "integer",
        "id": "bytea",
        "seq": "bigint",
        "n": "integer",
        "ended_seq": "bigint",
        "deleted": "boolean",
        "at": "bigint",
        "json": "bytea",
    },
    "resource": {
        "place": "bigint",
        "rid": "bigint",
        "tid": "integer",
        "id": "bytea",
        "version": "bigint",
        "at": "bigint",
        "sort": "bigint",
        "self": "uuid",
        "pids": "integer[]",
        "vals": "uuid[]",
        "marks": "uuid[]",
        "opids": "integer[]",
        "lows": "bytea[]",
        "highs": "bytea[]",
        "groups": "jsonb",
    },
}
_COPIED = 300
"""Rows from which on COPY is quicker than an INSERT of arrays."""
_ARRAYS = ("resource",)
"""Tables with arrays in them, which an INSERT of arrays would flatten."""

INDEXED = "SELECT place, sort, pids, vals::text[], opids, lows, highs FROM resource WHERE rid = %s AND place = %s"
_DELETE = {
    "posting": "DELETE FROM posting p USING unnest(%s::integer[], %s::uuid[]) k(param, value)"
    " WHERE p.place = %s AND p.rid = %s AND p.sort = %s AND p.param = k.param AND p.value = k.value",
    "ordering": "DELETE FROM ordering o USING unnest(%s::integer[], %s::bytea[]) k(param, value)"
    " WHERE o.place = %s AND o.rid = %s AND o.param = k.param AND o.value = k.value",
    "date": "DELETE FROM date WHERE place = %s AND rid = %s",
    "string": "DELETE FROM string WHERE place = %s AND rid = %s",
    "amount": "DELETE FROM amount WHERE place = %s AND rid = %s",
    "resource": "DELETE FROM resource WHERE place = %s AND rid = %s",
}


class Known(NamedTuple):
    """How a resource is indexed: a row of `INDEXED`."""

    place: int
    sort: int
    posted: frozenset[Posted]
    orders: frozenset[Order]

    @classmethod
    def of(cls, row: Row) -> Known:
        """Read such a row."""
        place, sort, pids, vals, opids, lows, highs = row
        values = (value.replace("-", "") for value in vals)
        return cls(
            place,
            sort,
            frozenset(zip(pids, values, strict=True)),
            frozenset(zip(opids, lows, highs, strict=True)),
        )


@dataclass(slots=True)
class Sheet:
    """Resources that are indexed, and no longer indexed so."""

    inserts: dict[str, list[Row]] = field(
        default_factory=lambda: {table: [] for table in COLUMNS if table != "version"}
    )
    deletes: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in _DELETE})

    def put(self, row: Row, sort: int, entry: Entry, known: Known | None) -> None:
        """Index a resource, whose `row` is its rid, tid, id, version and time, instead of how it is indexed."""
        rid = row[0]
        posted, orders = entry.posted, entry.orders
        if known is not None:
            same = (known.place, known.sort) == (entry.place, sort)
            kept = known.posted & posted if same else frozenset[Posted]()
            kept_orders = known.orders & orders if known.place == entry.place else frozenset[Order]()
            self._remove(rid, known, known.posted - kept, known.orders - kept_orders)
            posted, orders = posted - kept, orders - kept_orders
        self._post(rid, sort, entry.place, posted, orders)
        place, tables = entry.place, self.inserts
        tables["date"] += [(place, rid, *date) for date in entry.dates]
        tables["string"] += [(place, rid, pid, n, *texts) for n, (pid, *texts) in enumerate(entry.strings)]
        tables["amount"] += [(place, rid, pid, n, *values) for n, (pid, *values) in enumerate(entry.amounts)]
        pids, vals = [pid for pid, _ in entry.posted], [value for _, value in entry.posted]
        opids, lows, highs = ([order[n] for order in entry.orders] for n in range(3))
        tables["resource"].append(
            (place, *row, sort, entry.self, pids, vals, list(entry.marks), opids, lows, highs, entry.groups)
        )

    def remove(self, rid: int, known: Known) -> None:
        """Take a resource out of the index."""
        self._remove(rid, known, known.posted, known.orders)

    async def apply(self, connection: Connection, *, copied: bool = True) -> None:
        """Write it all."""
        for table, rows in self.deletes.items():
            if rows:
                await connection.cursor().executemany(_DELETE[table].encode(), rows)
        for table, rows in self.inserts.items():
            await insert(connection, table, rows, copied=copied)

    def _post(self, rid: int, sort: int, place: int, posted: frozenset[Posted], orders: frozenset[Order]) -> None:
        self.inserts["posting"] += [(place, pid, value, sort, rid) for pid, value in posted]
        for pid, low, high in orders:
            ways = ((low, 0),) if low == high else ((low, 1), (high, 2))
            self.inserts["ordering"] += [(place, pid, value, rid, way) for value, way in ways]

    def _remove(self, rid: int, known: Known, posted: frozenset[Posted], orders: frozenset[Order]) -> None:
        at = (known.place, rid)
        if posted:
            pids, vals = [pid for pid, _ in posted], [value for _, value in posted]
            self.deletes["posting"].append((pids, vals, *at, known.sort))
        if orders:
            values = [(pid, value) for pid, low, high in orders for value in {low, high}]
            self.deletes["ordering"].append(([pid for pid, _ in values], [value for _, value in values], *at))
        for table in ("date", "string", "amount", "resource"):
            self.deletes[table].append(at)


async def insert(connection: Connection, table: str, rows: Sequence[Row], *, copied: bool = True) -> None:
    """Insert rows, many of them with COPY where they may be `copied`: a pipeline takes none."""
    if not rows:
        return
    columns = COLUMNS[table]
    names = ", ".join(columns)
    if copied and len(rows) >= _COPIED:
        await copy(connection, table, columns, sorted(rows, key=_start) if table == "posting" else rows)
    elif table in _ARRAYS:
        marks = ", ".join(f"%s::{kind}" for kind in columns.values())
        await connection.cursor().executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})".encode(), rows)  # noqa: S608
    else:
        arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
        values: list[Any] = [list(column) for column in zip(*rows, strict=True)]
        await connection.execute(f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})".encode(), values)  # noqa: S608


def _start(row: Row) -> Row:
    return row[1:]
