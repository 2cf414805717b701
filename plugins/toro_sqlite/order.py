"""Sort orders: by which index a whole type is walked, and under which key a resource sorts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from toro_core.search.plan import MISSING, SortKey
from toro_sqlite.blobs import Blob, pid_of
from toro_sqlite.ranges import UNBOUNDED, Bounds
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql

__all__ = ["KeyValue", "Phase", "Place", "Scan", "phases", "rank"]

KeyValue: TypeAlias = int | float | str | None
"""What a resource is sorted by; None where it has no such value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A walk through resources of a type in the order of `key` and `tie`: FROM, two columns, WHERE.

    The table `rows` has the rid and sort value, `r` is the resource's row where `joined` or once it has been joined. Where
    `ordered`, an index gives that order and nothing is sorted.
    """

    source: Sql
    key: str
    tie: str = "r.rid"
    rows: str = "r"
    joined: bool = True
    ordered: bool = True
    where: Sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One part of an order; the next one begins where it ends.

    Its resources are in `scans`, where there are any, and are those of the type that satisfy `keeps`. They sort by the column
    `key`, else by their sort key under the parameter `pid`, which those of later phases lack; where that is equal by `rest`, and
    then by rid. `own` says that the column is the resource's own sort value, which posting lists are ordered by too; it is within
    `bounds`.
    """

    tid: int
    scans: tuple[Scan, ...]
    keeps: tuple[Sql, ...] = ()
    bounds: Bounds = UNBOUNDED
    key: str = ""
    pid: int = 0
    descending: bool = False
    own: bool = False
    rest: tuple[SortKey, ...] = ()


class Place:
    """A key value among others under one sort key: missing ones last, numbers before texts, as SQLite has them."""

    __slots__ = ("descending", "order")

    def __init__(self, value: KeyValue, descending: bool) -> None:
        """Place a value."""
        self.order = (1, (False, 0)) if value is None else (0, rank(value))
        self.descending = descending

    def __eq__(self, other: object) -> bool:
        """Tell whether the next key decides."""
        return isinstance(other, Place) and self.order == other.order

    def __lt__(self, other: Place) -> bool:
        """Tell whether this comes before."""
        if self.descending and self.order[0] == other.order[0]:
            return other.order < self.order
        return self.order < other.order

    __hash__ = None  # type: ignore[assignment]


def rank(key: KeyValue) -> tuple[bool, KeyValue]:
    """Compare numbers before texts, as SQLite does."""
    return isinstance(key, str), key


def phases(reader: Reader, tid: int, sort: Sequence[SortKey]) -> tuple[Phase, ...]:
    """Return the parts of the order, always as many for the same sort keys: cursors count them."""
    return _phases(reader, tid, tuple(sort), ())


def _phases(reader: Reader, tid: int, sort: tuple[SortKey, ...], keeps: tuple[Sql, ...]) -> tuple[Phase, ...]:
    if not sort:
        # Those without any key sort by id, which never changes.
        return (_by_column(tid, "id", keeps),)
    (first, *_), rest = sort, sort[1:]
    match first.param:
        case None:
            return _by_own(reader, tid, first.descending, rest, keeps)
        case "_id":
            return (_by_column(tid, "id", keeps, descending=first.descending),)
        case "_lastUpdated":
            return (_by_column(tid, "at", keeps, descending=first.descending, rest=rest),)
        case code:
            # No parameter has number -1, so nothing has a key where the code has never been seen.
            pid = reader.param(tid, code) or -1
            keyed = _by_param(reader, tid, pid, first.descending, rest, keeps)
            without = Sql("NOT ") + reader.ask(lambda blob: _has_order(blob, pid))
            return (keyed, *_phases(reader, tid, rest, (*keeps, without)))


def _by_own(
    reader: Reader, tid: int, descending: bool, rest: tuple[SortKey, ...], keeps: tuple[Sql, ...]
) -> tuple[Phase, ...]:
    if not descending and not rest:
        return (_by_column(tid, "sort", keeps),)
    # Missing ones have the greatest value and come last in both directions.
    known = _by_column(tid, "sort", keeps, descending=descending, rest=rest, bounds=Bounds(high=MISSING - 1))
    if rest:
        return (known, *_phases(reader, tid, rest, (*keeps, Sql("@sort = ?", (MISSING,)))))
    return (known, _by_column(tid, "sort", keeps, descending=descending, bounds=Bounds(MISSING, MISSING)))


def _by_column(
    tid: int,
    column: str,
    keeps: tuple[Sql, ...],
    *,
    descending: bool = False,
    rest: tuple[SortKey, ...] = (),
    bounds: Bounds = UNBOUNDED,
) -> Phase:
    scan = Scan(
        source=Sql(f"resource r INDEXED BY resource_{column}"),
        key=f"r.{column}",
        where=Sql("r.tid = ? AND r.sort IS NOT NULL", (tid,)),
    )
    return Phase(
        tid=tid,
        scans=(scan,),
        keeps=keeps,
        bounds=bounds,
        key=scan.key,
        descending=descending,
        own=column == "sort",
        rest=rest,
    )


def _by_param(
    reader: Reader, tid: int, pid: int, descending: bool, rest: tuple[SortKey, ...], keeps: tuple[Sql, ...]
) -> Phase:
    keys = [_walk("NOT INDEXED", "o.low", pid)]
    if descending:
        # The greater key of those that have two is in an index of its own.
        keys = [
            _walk("NOT INDEXED", "o.low", pid, " AND o.high IS NULL"),
            _walk("INDEXED BY ordering_high", "o.high", pid, " AND o.high IS NOT NULL"),
        ]
    # What targets say is not in `ordering`.
    scans = () if reader.by_target(pid) else tuple(keys)
    return Phase(tid=tid, scans=scans, keeps=keeps, pid=pid, descending=descending, rest=rest)


def _walk(index: str, key: str, pid: int, where: str = "") -> Scan:
    source = Sql(f"ordering o {index} CROSS JOIN resource r ON r.rid = o.rid")
    return Scan(source=source, key=key, tie="o.rid", where=Sql(f"o.param = ?{where}", (pid,)))


def _has_order(blob: Blob, pid: int) -> bool:
    return any(pid_of(entry) == pid for entry in blob.orders)
