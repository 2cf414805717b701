"""The statements that go through matches: in the order of a phase, or in any."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toro_core.search.plan import MISSING, Cursor
from toro_sqlite.driver import Access
from toro_sqlite.filters import filtered
from toro_sqlite.order import Phase, Scan
from toro_sqlite.postings import ITEM, Posting, alike, items
from toro_sqlite.ranges import UNBOUNDED, Bounds, within
from toro_sqlite.sql import Sql, all_of

__all__ = ["in_windows", "reach", "unordered", "walks", "window"]

_CURSORS = 8
"""Lists up to which each is read by a statement of its own."""
_ROW = "r.rid, r.vid, r.id, r.sort, r.at, r.postings"
"""The columns of `keyed.Row` after its key."""
_BODY = "v.version, v.seq, v.at, v.json"


def unordered(phase: Phase, access: Access) -> Sql:
    """Select all matches that may be in the phase."""
    scan = _collected(phase, access)
    joins, conditions = filtered(access.filters, "r", "r")
    kept = [each.on("r", "r") for each in phase.keeps]
    source = Sql(f"SELECT {phase.key or 'NULL'}, {_ROW} FROM ") + scan.source + joins
    return source + Sql(" WHERE ") + all_of([scan.where, *within(phase.key, phase.bounds), *kept, *conditions])


def walks(phase: Phase, access: Access, after: Cursor | None, limit: int) -> Sequence[Sql]:
    """Select matches in the phase's order; merged, the statements give all of them.

    They have a key and a rid, then what a page needs of the current version; where several keys decide, a row to be sorted.
    """
    return [_statement(scan, phase, access, after, limit) for scan in _scans(phase, access)]


def reach(phase: Phase, access: Access) -> Bounds:
    """Return between which values of the phase's key all its matches are."""
    if not phase.own:
        return UNBOUNDED
    bounds = phase.bounds.both(access.bounds)
    return bounds if phase.bounds.low == MISSING else bounds.both(access.begun)


def in_windows(phase: Phase, access: Access) -> bool:
    """Tell whether many lists are merged window by window."""
    many = access.driver is not None and len(access.driver.postings) > _CURSORS and alike(access.driver.postings)
    return access.how == "merge" and phase.own and not phase.rest and many


def window(
    phase: Phase, access: Access, postings: Sequence[Posting], bounds: Bounds, after: Cursor | None, limit: int
) -> Sql:
    """Select, in order and each once, matches in these lists, all alike, whose sort values are within bounds."""
    if not postings:
        return Sql("SELECT 0 WHERE 0")
    first = postings[0]
    scan = Scan(
        source=Sql("json_each(?) l", (items(postings),))
        + Sql(f" CROSS JOIN {first.table} t ON t.param = ? AND t.{ITEM[first.table]} = l.value", (first.pid,)),
        key="t.sort",
        tie="t.rid",
        rows="t",
        joined=False,
        ordered=False,
        where=Sql("1"),
    )
    return _statement(scan, phase, replace(access, bounds=bounds), after, limit, distinct=True)


def _scans(phase: Phase, access: Access) -> Sequence[Scan]:
    driver = access.driver
    if driver is None or access.how == "scan":
        return phase.scans
    if access.how == "merge" and phase.own:
        return [
            Scan(
                source=Sql(f"{posting.table} t"),
                key="t.sort",
                tie="t.rid",
                rows="t",
                joined=False,
                where=posting.on("t"),
            )
            for posting in driver.postings
        ]
    return [_collected(phase, access)]


def _collected(phase: Phase, access: Access) -> Scan:
    """Go through what the driver lists, or the type."""
    rids = access.driver.distinct_rids if access.driver else None
    if rids is None:
        where = Sql("r.tid = ? AND r.sort IS NOT NULL", (phase.tid,))
        return Scan(source=Sql("resource r INDEXED BY resource_sort"), key=phase.key, ordered=False, where=where)
    # Lists have live resources of the type alone.
    return Scan(
        source=Sql("(") + rids + Sql(") d CROSS JOIN resource r ON r.rid = d.rid"),
        key=phase.key,
        ordered=False,
        where=Sql("1"),
    )


def _statement(
    scan: Scan, phase: Phase, access: Access, after: Cursor | None, limit: int, *, distinct: bool = False
) -> Sql:
    # What a posting list's own columns answer is asked before the resource is looked up.
    joins, conditions = filtered(access.filters, scan.rows, "r")
    kept = [each.on(scan.rows, "r") for each in phase.keeps]
    where = all_of([scan.where, *_position_within(scan, phase, reach(phase, access), after), *kept, *conditions])
    source = scan.source + joins
    if not scan.joined:
        source += Sql(f" CROSS JOIN resource r ON r.rid = {scan.rows}.rid")
    direction = "DESC" if phase.descending else "ASC"
    order = Sql(f" ORDER BY {scan.key} {direction}, {scan.tie} {direction}")
    if phase.rest:
        return Sql(f"SELECT {scan.key}, {_ROW} FROM ") + source + Sql(" WHERE ") + where + order
    if scan.ordered:
        source += Sql(" CROSS JOIN version v ON v.vid = r.vid WHERE ") + where + order
        return Sql(f"SELECT {scan.key}, r.rid, r.id, {_BODY} FROM ") + source + Sql(" LIMIT ?", (limit,))
    # The bodies are not carried through the sorter, and read one by one as they are taken.
    select = "SELECT DISTINCT" if distinct else "SELECT"
    first = Sql(f"{select} {scan.key} AS key, r.rid AS rid, r.vid AS vid, r.id AS id FROM ") + source
    return (
        Sql(f"SELECT h.key, h.rid, h.id, {_BODY} FROM (")
        + first
        + Sql(" WHERE ")
        + where
        + order
        + Sql(" LIMIT ?) h CROSS JOIN version v ON v.vid = h.vid", (limit,))
    )


def _position_within(scan: Scan, phase: Phase, bounds: Bounds, after: Cursor | None) -> Sequence[Sql]:
    """Start after the position, or at the bound where that is farther: SQLite seeks to one lower and one upper end only."""
    if after is None:
        return within(scan.key, bounds)
    key, rid = after[0], after[-1]
    if phase.rest:
        start = Sql(f"{scan.key} {'<=' if phase.descending else '>='} ?", (key,))
    else:
        start = Sql(f"({scan.key}, {scan.tie}) {'<' if phase.descending else '>'} (?, ?)", (key, rid))
    if phase.descending:
        if isinstance(key, int) and bounds.high < key:
            return within(scan.key, bounds)
        return [start, *within(scan.key, bounds._replace(high=UNBOUNDED.high))]
    if isinstance(key, int) and bounds.low > key:
        return within(scan.key, bounds)
    return [start, *within(scan.key, bounds._replace(low=UNBOUNDED.low))]
