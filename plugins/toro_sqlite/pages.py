"""A page of a search, and a count, in one snapshot."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import heapq
import json
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

from toro_core.search.plan import Cursor, SearchPlan
from toro_core.storage import Key, Page, Stored
from toro_sqlite.driver import Access, choose, smallest
from toro_sqlite.keyed import keyed
from toro_sqlite.names import Names
from toro_sqlite.nodes import EVERYTHING, NOTHING, Node
from toro_sqlite.order import Phase, Scan, phases, rank
from toro_sqlite.query import Compiler
from toro_sqlite.ranges import UNBOUNDED, Bounds
from toro_sqlite.sql import Sql, all_of, execute

__all__ = ["count", "page"]

_COUNT_CAP = 1_000


class _Hit(NamedTuple):
    key: int | str
    rid: int
    vid: int
    size: int


def page(names: Names, plan: SearchPlan) -> Page:
    """Execute the plan; the caller has opened a read transaction."""
    tid = names.type(plan.type)
    node = NOTHING if tid is None else Compiler(names, tid).node(plan.criterion)
    if tid is None or node is NOTHING:
        return Page(resources=(), cursor=None)
    order = phases(names, tid, plan.sort)
    access = choose(names, node, own_order=plan.sort.param is None)
    start, after = (0, None) if plan.cursor is None else (int(plan.cursor[0] or 0), plan.cursor[1:])
    hits: list[_Hit] = []
    size = 0
    cursor: Cursor | None = None
    for number, phase in enumerate(order[start:], start):
        with closing(_hits(names, phase, access, after, plan.limit + 1 - len(hits))) as found:
            for hit in found:
                if hits and (len(hits) >= plan.limit or size + hit.size > plan.max_bytes):
                    return Page(resources=_bodies(names, plan.type, hits), cursor=cursor)
                hits.append(hit)
                size += hit.size
                cursor = (number, hit.key, hit.rid)
        after = None
    return Page(resources=_bodies(names, plan.type, hits), cursor=None)


def count(names: Names, plan: SearchPlan, at_most: int | None) -> int:
    """Count all matches, up to `at_most`; the caller has opened a read transaction."""
    tid = names.type(plan.type)
    node = NOTHING if tid is None else Compiler(names, tid).node(plan.criterion)
    if tid is None or node is NOTHING:
        return 0
    sql = (
        Sql("SELECT count(*) FROM (")
        + _matches(names, tid, node)
        + Sql(" LIMIT ?)", (-1 if at_most is None else at_most,))
    )
    total: int = execute(names.connection, sql).fetchone()[0]
    return total


def _matches(names: Names, tid: int, node: Node) -> Sql:
    """List each match once, reading no more than is taken."""
    live = Sql("SELECT 1 FROM resource r INDEXED BY resource_sort WHERE r.tid = ? AND r.sort IS NOT NULL", (tid,))
    if node is EVERYTHING:
        return live
    driver, _ = smallest(names, node.conjuncts, _COUNT_CAP)
    if driver is None or driver.rids is None:
        conditions = [node.where.on("r.rid", "r.sort"), *_within("r.sort", node.bounds)]
        return live + Sql(" AND ") + all_of(conditions)
    filters = [each.where for each in node.conjuncts if not (each is driver and each.exact)]
    if not filters:
        return driver.distinct_rids or driver.rids
    if len(driver.postings) == 1:
        posting = driver.postings[0]
        source = Sql(f"SELECT 1 FROM {posting.table} t CROSS JOIN resource r ON r.rid = t.rid WHERE ")
        return source + all_of([posting.where, *_within("t.sort", node.bounds), *filters]).on("t.rid", "t.sort")
    source = (
        Sql("SELECT DISTINCT r.rid FROM (") + driver.rids + Sql(") d CROSS JOIN resource r ON r.rid = d.rid WHERE ")
    )
    return source + all_of(filters).on("r.rid", "r.sort")


def _hits(names: Names, phase: Phase, access: Access, after: Cursor | None, limit: int) -> Generator[_Hit, None, None]:
    """Yield matches in the phase's order, each once, from after the position; what is not asked for is not read."""
    if phase.pid and (access.how == "sort" or not phase.scans):
        yield from map(_Hit._make, keyed(names, phase, access, after, limit))
        return
    scans = [_statement(scan, phase, access, after, limit) for scan in _scans(phase, access)]
    with ExitStack() as stack:
        cursors = [stack.enter_context(closing(execute(names.connection, sql))) for sql in scans]
        rows = [map(_Hit._make, cursor) for cursor in cursors]
        last = None
        for hit in rows[0] if len(rows) == 1 else heapq.merge(*rows, key=_position, reverse=phase.descending):
            if hit.rid != last:
                yield hit
            last = hit.rid


def _position(hit: _Hit) -> tuple[object, int]:
    return rank(hit.key), hit.rid


def _scans(phase: Phase, access: Access) -> Sequence[Scan]:
    driver = access.driver
    if driver is None or access.how == "scan":
        return phase.scans
    if access.how == "merge" and phase.own:
        return [
            Scan(
                source=Sql(f"{posting.table} t CROSS JOIN resource r ON r.rid = t.rid"),
                key="t.sort",
                tie="t.rid",
                where=all_of([posting.where, phase.live]),
            )
            for posting in driver.postings
        ]
    rids = driver.distinct_rids
    assert rids is not None  # noqa: S101 - only what lists resources is chosen
    source = Sql("(") + rids + Sql(") d CROSS JOIN resource r ON r.rid = d.rid")
    return [Scan(source=source, key=phase.key, where=phase.live)]


def _statement(scan: Scan, phase: Phase, access: Access, after: Cursor | None, limit: int) -> Sql:
    # While a posting list is read, its own columns answer most questions, so the resource is not looked up for those that fail.
    rid, sort = ("t.rid", "t.sort") if scan.tie == "t.rid" else ("r.rid", "r.sort")
    conditions = [scan.where, *access.filters, *_position_within(scan, phase, access.bounds, after)]
    where = all_of(conditions).on(rid, sort)
    direction = "DESC" if phase.descending else "ASC"
    return (
        Sql(f"SELECT {scan.key}, r.rid, r.vid, length(v.json) FROM ")
        + scan.source
        + Sql(" CROSS JOIN version v ON v.vid = r.vid WHERE ")
        + where
        + Sql(f" ORDER BY {scan.key} {direction}, {scan.tie} {direction} LIMIT ?", (limit,))
    )


def _position_within(scan: Scan, phase: Phase, bounds: Bounds, after: Cursor | None) -> Sequence[Sql]:
    """Start after the position, or at the bound where that is farther: SQLite seeks to one lower end only."""
    if not phase.own:
        bounds = UNBOUNDED
    if after is None:
        return _within(scan.key, bounds)
    key, rid = after
    if phase.descending:
        start = Sql(f"({scan.key}, {scan.tie}) < (?, ?)", (key, rid))
        if isinstance(key, int) and bounds.high < key:
            return _within(scan.key, bounds)
        return [start, *_within(scan.key, bounds._replace(high=UNBOUNDED.high))]
    start = Sql(f"({scan.key}, {scan.tie}) > (?, ?)", (key, rid))
    if isinstance(key, int) and bounds.low > key:
        return _within(scan.key, bounds)
    return [start, *_within(scan.key, bounds._replace(low=UNBOUNDED.low))]


def _within(column: str, bounds: Bounds) -> Sequence[Sql]:
    low = [Sql(f"{column} >= ?", (bounds.low,))] if bounds.low != UNBOUNDED.low else []
    high = [Sql(f"{column} <= ?", (bounds.high,))] if bounds.high != UNBOUNDED.high else []
    return [*low, *high]


def _bodies(names: Names, type: str, hits: Sequence[_Hit]) -> list[Stored]:
    rows = names.connection.execute(
        "SELECT v.vid, r.id, v.version, v.seq, v.at, v.json FROM json_each(?) j"
        " CROSS JOIN version v ON v.vid = j.value CROSS JOIN resource r ON r.rid = v.rid",
        (json.dumps([hit.vid for hit in hits]),),
    )
    found = {
        vid: Stored(key=Key(type, id), version=version, seq=seq, at=at, deleted=False, json=body)
        for vid, id, version, seq, at, body in rows
    }
    return [found[hit.vid] for hit in hits]
