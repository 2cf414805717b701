"""Many posting lists merged without a cursor each: the order is cut into windows of about a page, and one is read at a time."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from typing import Any

from toro_core.search.plan import Cursor
from toro_sqlite.driver import Access
from toro_sqlite.order import Phase
from toro_sqlite.postings import ITEM, Posting
from toro_sqlite.ranges import Bounds
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, execute
from toro_sqlite.walks import in_windows, reach, window

__all__ = ["windowed"]


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


def _next(
    reader: Reader, postings: Sequence[Posting], bounds: Bounds, descending: bool, depth: int, limit: int
) -> tuple[int | None, Sequence[Posting]]:
    """Return a sort value up to which there are at least `limit` entries, and the lists that they are in; None where those are all.

    So many lists have their entry number `depth` before it.
    """
    first = postings[0]
    step = "DESC" if descending else "ASC"
    entry = (
        Sql(f"(SELECT p.sort FROM {first.table} p WHERE p.param = ? AND p.{ITEM[first.table]} = l.value", (first.pid,))
        + Sql(" AND p.sort BETWEEN ? AND ?", bounds)
        + Sql(f" ORDER BY p.sort {step} LIMIT 1 OFFSET ")
    )
    items = json.dumps([posting.item for posting in postings])
    # Most often a page is filled by first entries.
    deep = entry + Sql("?)", (depth - 1,)) if depth > 1 else Sql("NULL")
    sql = Sql("SELECT l.key, ") + entry + Sql("0), ") + deep + Sql(" FROM json_each(?) l", (items,))
    entries = [row for row in execute(reader.connection, sql) if row[1] is not None]
    if depth == 1:
        entries = [(place, begun, begun) for place, begun, _ in entries]
    reached = sorted((last for _, _, last in entries if last is not None), reverse=descending)
    needed = -(-limit // depth)
    if len(reached) < needed:
        return None, [postings[place] for place, _, _ in entries]
    end = reached[needed - 1]
    return end, [postings[place] for place, begun, _ in entries if (begun >= end if descending else begun <= end)]
