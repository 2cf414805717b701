"""Many posting lists merged without a cursor each: the order is cut into windows of about a page, and one is read at a time."""

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
        end = _end(reader, postings, bounds, phase.descending, depth, limit)
        part = bounds if end is None else bounds.both(Bounds(low=end) if phase.descending else Bounds(high=end))
        yield from execute(reader.connection, window(phase, access, part, after, limit))
        if end is None or end == (bounds.low if phase.descending else bounds.high):
            return
        bounds = bounds.both(Bounds(high=end - 1) if phase.descending else Bounds(low=end + 1))
        after, depth = None, depth * 2


def _end(
    reader: Reader, postings: Sequence[Posting], bounds: Bounds, descending: bool, depth: int, limit: int
) -> int | None:
    """Return a sort value up to which there are at least `limit` entries, None where that is all of them.

    So many lists have their entry number `depth` before it.
    """
    first = postings[0]
    order = "DESC" if descending else "ASC"
    sql = (
        Sql("SELECT e FROM (SELECT (SELECT p.sort FROM ")
        + Sql(f"{first.table} p WHERE p.param = ? AND p.{ITEM[first.table]} = l.value", (first.pid,))
        + Sql(" AND p.sort BETWEEN ? AND ?", bounds)
        + Sql(f" ORDER BY p.sort {order} LIMIT 1 OFFSET ?) AS e FROM json_each(?) l)", (depth - 1, _items(postings)))
        + Sql(f" WHERE e IS NOT NULL ORDER BY e {order} LIMIT 1 OFFSET ?", (-(-limit // depth) - 1,))
    )
    row = execute(reader.connection, sql).fetchone()
    return None if row is None else int(row[0])


def _items(postings: Sequence[Posting]) -> str:
    return json.dumps([posting.item for posting in postings])
