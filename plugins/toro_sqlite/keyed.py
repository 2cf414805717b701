"""Sorting in Python: by keys that no index is in the order of, and by several.

Each resource's own record of its sort keys is read.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from toro_core.errors import TooCostly
from toro_core.search.plan import MISSING, Cursor, SortKey
from toro_sqlite.blobs import decode, order_span
from toro_sqlite.order import KeyValue, Phase, Place
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, execute

__all__ = ["Hit", "Row", "grouped", "keyed"]

_MOST = 100_000
"""Resources sorted at most."""


class Row(NamedTuple):
    """What is read of a resource that is to be sorted; `key` is the phase's column, if it has one."""

    key: KeyValue
    rid: int
    vid: int
    id: str
    sort: int
    at: int
    postings: bytes | None


class Hit(NamedTuple):
    """A resource and its key values, the phase's own first."""

    values: tuple[KeyValue, ...]
    rid: int
    vid: int
    id: str


def keyed(reader: Reader, phase: Phase, rows: Sql, after: Cursor | None, limit: int) -> list[Hit]:
    """Return the phase's first from after the position, of all that a statement selects. Raises TooCostly for too many."""
    order = _Order(phase)
    found = execute(reader.connection, rows + Sql(" LIMIT ?", (_MOST + 1,)))
    return heapq.nsmallest(limit, _hits(reader, phase, order, map(Row._make, found), after), key=order)


def grouped(reader: Reader, phase: Phase, rows: Iterable[Row], after: Cursor | None) -> Iterator[Hit]:
    """Yield the phase's from after the position, of rows that come in the order of key and rid."""
    order = _Order(phase)
    for _, same in groupby(rows, key=lambda row: row.key):
        yield from sorted(_hits(reader, phase, order, same, after), key=order)


class _Order:
    """The order of a phase, as what its resources are sorted by."""

    def __init__(self, phase: Phase) -> None:
        self._directions = (phase.descending, *(key.descending for key in phase.rest))
        # Indexes are read backwards as they stand.
        self._step = -1 if phase.descending and not phase.rest else 1

    def __call__(self, hit: Hit) -> tuple[object, ...]:
        return self.at(hit.values, hit.rid)

    def at(self, values: Sequence[KeyValue], rid: int) -> tuple[object, ...]:
        return (*map(Place, values, self._directions), self._step * rid)


def _hits(reader: Reader, phase: Phase, order: _Order, rows: Iterable[Row], after: Cursor | None) -> Iterator[Hit]:
    start = None if after is None else order.at(after[:-1], int(after[-1] or 0))
    last = 0
    for number, row in enumerate(rows):
        if number == _MOST:
            raise TooCostly(
                f"more than {_MOST} resources would have to be sorted; narrow the search or sort by another key"
            )
        if row.rid == last:
            continue
        last = row.rid
        key = row.key if phase.key else _by_param(reader, phase.pid, phase.descending, row)
        if key is None:
            continue
        hit = Hit((key, *(_value(reader, phase, one, row) for one in phase.rest)), row.rid, row.vid, row.id)
        if start is None or order(hit) > start:
            yield hit


def _value(reader: Reader, phase: Phase, sort: SortKey, row: Row) -> KeyValue:
    match sort.param:
        case None:
            return None if row.sort == MISSING else row.sort
        case "_id":
            return row.id
        case "_lastUpdated":
            return row.at
        case code:
            # A parameter's number is its type's, and so is the phase.
            pid = reader.param(phase.tid, code)
            return None if pid is None else _by_param(reader, pid, sort.descending, row)


def _by_param(reader: Reader, pid: int, descending: bool, row: Row) -> KeyValue:
    span = None if row.postings is None else order_span(decode(row.postings), pid, reader.target, reader.text)
    return None if span is None else span[descending]
