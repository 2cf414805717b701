"""Many posting lists merged without a cursor each: the order is cut into windows of about a page, and one is read at a time."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from toro_core.search.plan import Cursor
from toro_sqlite.driver import Access
from toro_sqlite.order import Phase
from toro_sqlite.postings import ITEM, Posting, items
from toro_sqlite.ranges import Bounds
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, execute
from toro_sqlite.walks import in_windows, reach, window

__all__ = ["explained", "windowed"]


def windowed(
    reader: Reader, phase: Phase, access: Access, after: Cursor | None, limit: int
) -> Generator[tuple[Any, ...], None, None]:
    """Yield matches in order, from after the position, from the driver's lists; a window is read when the last one is used up."""
    assert access.driver is not None and in_windows(phase, access)  # noqa: S101, PT018
    postings = access.driver.postings
    bounds = reach(phase, access)
    if after is not None:
        # What is equal to the position is told apart by rid.
        key = int(after[0] or 0)
        bounds = bounds.both(Bounds(high=key) if phase.descending else Bounds(low=key))
    depth = max(1, -(-limit // len(postings)))
    while True:
        end, found = _next(reader, postings, bounds, phase.descending, depth, limit)
        part = bounds if end is None else bounds.both(Bounds(low=end) if phase.descending else Bounds(high=end))
        yield from execute(reader.connection, window(phase, access, found, part, after, limit))
        if end is None or end == (bounds.low if phase.descending else bounds.high):
            return
        bounds = bounds.both(Bounds(high=end - 1) if phase.descending else Bounds(low=end + 1))
        after, depth = None, depth * 2


def explained(phase: Phase, access: Access, limit: int) -> Sequence[Sql]:
    """Return the statements of a first page, for people: which lists it is in, and what is in them."""
    assert access.driver is not None  # noqa: S101 - in_windows
    postings, bounds = access.driver.postings, reach(phase, access)
    return [_firsts(postings, bounds, phase.descending), window(phase, access, postings, bounds, None, limit)]


def _next(
    reader: Reader, postings: Sequence[Posting], bounds: Bounds, descending: bool, depth: int, limit: int
) -> tuple[int | None, Sequence[Posting]]:
    """Return a sort value up to which there are at least `limit` entries, and the lists that they are in; None where those are all.

    So many lists have their entry number `depth` before it.
    """
    if depth == 1:
        return _first(reader, postings, bounds, descending, limit)
    begun, reached = _entry(postings, bounds, descending, 0), _entry(postings, bounds, descending, depth - 1)
    sql = Sql("SELECT l.key, ") + begun + Sql(", ") + reached + Sql(" FROM json_each(?) l", (items(postings),))
    entries = [row for row in execute(reader.connection, sql) if row[1] is not None]
    ends = sorted((end for _, _, end in entries if end is not None), reverse=descending)
    needed = -(-limit // depth)
    if len(ends) < needed:
        return None, [postings[place] for place, _, _ in entries]
    end = ends[needed - 1]
    return end, [postings[place] for place, first, _ in entries if (first >= end if descending else first <= end)]


def _first(
    reader: Reader, postings: Sequence[Posting], bounds: Bounds, descending: bool, limit: int
) -> tuple[int | None, Sequence[Posting]]:
    """Fill a page with the first entries of so many lists: of the others nothing is in it."""
    found: list[Posting] = []
    end = None
    for place, first in execute(reader.connection, _firsts(postings, bounds, descending)):
        if first is None:
            continue
        if len(found) >= limit and first != end:
            return end, found
        found.append(postings[place])
        end = first
    return None, found


def _firsts(postings: Sequence[Posting], bounds: Bounds, descending: bool) -> Sql:
    """Look up the first entry of every list, in the order of the answer."""
    sql = Sql("SELECT l.key, ") + _entry(postings, bounds, descending, 0)
    return sql + Sql(f" FROM json_each(?) l ORDER BY 2 {_direction(descending)}", (items(postings),))


def _entry(postings: Sequence[Posting], bounds: Bounds, descending: bool, skipped: int) -> Sql:
    """Look up the sort value of one entry of the list `l`."""
    table, pid = postings[0].table, postings[0].pid
    return (
        Sql(f"(SELECT p.sort FROM {table} p WHERE p.param = ? AND p.{ITEM[table]} = l.value", (pid,))
        + Sql(" AND p.sort BETWEEN ? AND ?", bounds)
        + Sql(f" ORDER BY p.sort {_direction(descending)} LIMIT 1 OFFSET ?)", (skipped,))
    )


def _direction(descending: bool) -> str:
    return "DESC" if descending else "ASC"
