"""The statements that go through matches: in the order of a phase, or in any."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence

from toro_core.search.plan import Cursor
from toro_sqlite.driver import Access
from toro_sqlite.order import Phase, Scan
from toro_sqlite.ranges import UNBOUNDED, Bounds, within
from toro_sqlite.sql import Sql, all_of

__all__ = ["candidates", "walks"]

_ROW = "r.rid, r.vid, r.id, r.sort, r.at, r.postings"
"""The columns of `keyed.Row` after its key."""


def candidates(phase: Phase, access: Access) -> Sql:
    """Select all matches that may be in the phase."""
    rids = access.driver.distinct_rids if access.driver else None
    source = Sql("resource r INDEXED BY resource_sort") if rids is None else _driven(rids)
    where = all_of([phase.live, *(each.on("r", "r") for each in access.filters)])
    return Sql(f"SELECT {phase.key or 'NULL'}, {_ROW} FROM ") + source + Sql(" WHERE ") + where


def walks(phase: Phase, access: Access, after: Cursor | None, limit: int) -> Sequence[Sql]:
    """Select matches in the phase's order; merged, the statements give all of them.

    They have a key and a rid, then what a page needs of the current version; where several keys decide, a row to be sorted.
    """
    return [_statement(scan, phase, access, after, limit) for scan in _scans(phase, access)]


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
    return [Scan(source=_driven(rids), key=phase.key, where=phase.live)]


def _driven(rids: Sql) -> Sql:
    return Sql("(") + rids + Sql(") d CROSS JOIN resource r ON r.rid = d.rid")


def _statement(scan: Scan, phase: Phase, access: Access, after: Cursor | None, limit: int) -> Sql:
    # While a posting list is read, its own columns answer most questions, so the resource is not looked up for those that fail.
    key = "t" if scan.tie == "t.rid" else "r"
    filters = [each.on(key, "r") for each in access.filters]
    where = all_of([scan.where, *filters, *_position_within(scan, phase, access.bounds, after)])
    direction = "DESC" if phase.descending else "ASC"
    ordered = scan.source + Sql(" WHERE ") + where + Sql(f" ORDER BY {scan.key} {direction}, {scan.tie} {direction}")
    if phase.rest:
        return Sql(f"SELECT {scan.key}, {_ROW} FROM ") + ordered
    # The bodies are not carried through the sorter, and read one by one as they are taken.
    first = Sql(f"SELECT {scan.key} AS key, r.rid AS rid, r.vid AS vid, r.id AS id FROM ") + ordered
    return (
        Sql("SELECT h.key, h.rid, h.id, v.version, v.seq, v.at, v.json FROM (")
        + first
        + Sql(" LIMIT ?) h CROSS JOIN version v ON v.vid = h.vid", (limit,))
    )


def _position_within(scan: Scan, phase: Phase, bounds: Bounds, after: Cursor | None) -> Sequence[Sql]:
    """Start after the position, or at the bound where that is farther: SQLite seeks to one lower end only."""
    if not phase.own:
        bounds = UNBOUNDED
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
