"""Sort orders: by which index a whole type is walked, and under which key a resource sorts."""

from __future__ import annotations

from dataclasses import dataclass

from toro_core.search.plan import MISSING, SortKey
from toro_sqlite.names import Names
from toro_sqlite.sql import Sql

__all__ = ["Phase", "Scan", "phases", "rank"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A walk through resources of a type in the order of `key` and `tie`: FROM, two columns, WHERE."""

    source: Sql
    key: str
    tie: str = "r.rid"
    where: Sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One part of an order; the next one begins where it ends.

    Its resources are in `scans`, where there are any, and among the type's, which `live` selects. Where `pid` is set, they are
    those that have a sort key under that parameter, or that are `missing` one. Else they sort by the column `key`; `own` says
    that it is the resource's own sort value, which posting lists are ordered by too.
    """

    scans: tuple[Scan, ...]
    live: Sql
    key: str = ""
    descending: bool = False
    own: bool = False
    pid: int = 0
    missing: bool = False


def rank(key: int | str | None) -> tuple[bool, int | str | None]:
    """Compare numbers before texts, as SQLite does."""
    return isinstance(key, str), key


def phases(names: Names, tid: int, sort: SortKey) -> tuple[Phase, ...]:
    """Return the parts of the order, always as many for the same sort key: cursors count them."""
    match sort.param:
        case None:
            return _by_own(tid, sort.descending)
        case "_id":
            return (_by_column(tid, "id", sort.descending),)
        case "_lastUpdated":
            return (_by_column(tid, "at", sort.descending),)
        case code:
            # No parameter has number -1, so nothing has a key where the code has never been seen.
            pid = names.param(tid, code) or -1
            return _by_param(tid, pid, sort.descending, indexed=not names.by_target(pid))


def _by_own(tid: int, descending: bool) -> tuple[Phase, ...]:
    if not descending:
        return (_by_column(tid, "sort", False),)
    # Missing ones have the greatest value and come last in both directions.
    return (
        _by_column(tid, "sort", True, Sql(" AND @sort < ?", (MISSING,))),
        _by_column(tid, "sort", True, Sql(" AND @sort = ?", (MISSING,))),
    )


def _by_column(tid: int, column: str, descending: bool, where: Sql | None = None) -> Phase:
    live = _live(tid) + (where or Sql(""))
    scan = Scan(source=Sql(f"resource r INDEXED BY resource_{column}"), key=f"r.{column}", where=live)
    return Phase(scans=(scan,), live=live, key=scan.key, descending=descending, own=column == "sort")


def _by_param(tid: int, pid: int, descending: bool, *, indexed: bool) -> tuple[Phase, ...]:
    keys: tuple[Scan, ...] = (_walk("NOT INDEXED", "o.low", pid),)
    if descending:
        # The greater key of those that have two is in an index of its own.
        keys = (
            _walk("NOT INDEXED", "o.low", pid, " AND o.high IS NULL"),
            _walk("INDEXED BY ordering_high", "o.high", pid, " AND o.high IS NOT NULL"),
        )
    live = _live(tid)
    without = live + Sql(" AND NOT has_order(r.postings, ?)", (pid,))
    ids = Scan(source=Sql("resource r INDEXED BY resource_id"), key="r.id", where=without)
    return (
        Phase(scans=keys if indexed else (), live=live, descending=descending, pid=pid),
        # Those without a key sort by id, which never changes.
        Phase(scans=(ids,) if indexed else (), live=live, pid=pid, missing=True),
    )


def _walk(index: str, key: str, pid: int, where: str = "") -> Scan:
    source = Sql(f"ordering o {index} CROSS JOIN resource r ON r.rid = o.rid")
    return Scan(source=source, key=key, tie="o.rid", where=Sql(f"o.param = ?{where}", (pid,)))


def _live(tid: int) -> Sql:
    return Sql("r.tid = ? AND r.sort IS NOT NULL", (tid,))
