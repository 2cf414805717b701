"""Sorting what was found by a parameter: each resource's own record of its sort keys is read."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator

from toro_core.errors import TooCostly
from toro_core.search.plan import Cursor
from toro_sqlite.blobs import decode, order_span
from toro_sqlite.driver import Access
from toro_sqlite.names import Names
from toro_sqlite.order import Phase, rank
from toro_sqlite.sql import Sql, all_of, execute

__all__ = ["Keyed", "keyed"]

_MOST = 100_000
"""Resources sorted at most."""

Keyed = tuple[int | str, int, int, int]
"""Key, rid, vid, size."""


def keyed(names: Names, phase: Phase, access: Access, after: Cursor | None, limit: int) -> list[Keyed]:
    """Return the phase's first matches after the position. Raises TooCostly where too many would have to be sorted."""
    found = ((rank(key), rid, key, vid) for key, rid, vid in _matches(names, phase, access))
    if after is not None:
        start = (rank(after[0]), after[1])
        found = (each for each in found if (each[:2] < start if phase.descending else each[:2] > start))
    first = heapq.nlargest(limit, found) if phase.descending else heapq.nsmallest(limit, found)
    sizes = _sizes(names, [vid for _, _, _, vid in first])
    return [(key, rid, vid, sizes[vid]) for _, rid, key, vid in first]


def _matches(names: Names, phase: Phase, access: Access) -> Iterator[tuple[int | str, int, int]]:
    """Yield the key, rid and vid of each; the key is the id in the phase of those that have none."""
    rids = access.driver.distinct_rids if access.driver else None
    if rids is None:
        source = Sql("resource r INDEXED BY resource_sort")
    else:
        source = Sql("(") + rids + Sql(") d CROSS JOIN resource r ON r.rid = d.rid")
    where = all_of([phase.live, *access.filters]).on("r.rid", "r.sort")
    sql = (
        Sql("SELECT r.rid, r.vid, r.id, r.postings FROM ")
        + source
        + Sql(" WHERE ")
        + where
        + Sql(" LIMIT ?", (_MOST + 1,))
    )
    for number, (rid, vid, id, blob) in enumerate(execute(names.connection, sql)):
        if number == _MOST:
            raise TooCostly(
                f"more than {_MOST} resources would have to be sorted; narrow the search or sort by another key"
            )
        span = order_span(decode(blob), phase.pid, names.target)
        if (span is None) == phase.missing:
            yield id if span is None else span[phase.descending], rid, vid


def _sizes(names: Names, vids: list[int]) -> dict[int, int]:
    sql = "SELECT v.vid, length(v.json) FROM json_each(?) j CROSS JOIN version v ON v.vid = j.value"
    return dict(names.connection.execute(sql, (json.dumps(vids),)).fetchall())
