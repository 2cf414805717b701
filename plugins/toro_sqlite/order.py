"""Sort orders: by which index a whole type is walked, and under which key a resource sorts."""

from __future__ import annotations

from dataclasses import dataclass

from toro_core.search.plan import MISSING, SortKey
from toro_sqlite.names import Names
from toro_sqlite.sql import Sql

__all__ = ["Phase", "Scan", "phases"]


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

    All its resources are in one of `scans`. Those of a list of resources are found by `listed`, whose FROM is put after the list's.
    `own` says that the key is the resource's own sort value, which posting lists are ordered by too.
    """

    scans: tuple[Scan, ...]
    listed: Scan
    descending: bool = False
    own: bool = False


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
            return (_by_param(pid, sort.descending), _without_param(tid, pid))


def _by_own(tid: int, descending: bool) -> tuple[Phase, ...]:
    if not descending:
        return (_by_column(tid, "sort", False),)
    # Missing ones have the greatest value and come last in both directions.
    return (
        _by_column(tid, "sort", True, Sql(" AND @sort < ?", (MISSING,))),
        _by_column(tid, "sort", True, Sql(" AND @sort = ?", (MISSING,))),
    )


def _by_column(tid: int, column: str, descending: bool, where: Sql | None = None) -> Phase:
    live = Sql("r.tid = ? AND r.sort IS NOT NULL", (tid,)) + (where or Sql(""))
    source = Sql(f"resource r INDEXED BY resource_{column}")
    return Phase(
        scans=(Scan(source=source, key=f"r.{column}", where=live),),
        listed=Scan(source=Sql(""), key=f"r.{column}", where=live),
        descending=descending,
        own=column == "sort",
    )


def _by_param(pid: int, descending: bool) -> Phase:
    where = Sql("o.param = ?", (pid,))
    low = Sql("ordering o INDEXED BY ordering_low CROSS JOIN resource r ON r.rid = o.rid")
    high = Sql("ordering o INDEXED BY ordering_high CROSS JOIN resource r ON r.rid = o.rid")
    join = Sql(" CROSS JOIN ordering o ON o.rid = r.rid")
    if not descending:
        return Phase(
            scans=(Scan(source=low, key="o.low", tie="o.rid", where=where),),
            listed=Scan(source=join, key="o.low", where=where),
        )
    return Phase(
        scans=(
            Scan(source=low, key="o.low", tie="o.rid", where=where + Sql(" AND o.high IS NULL")),
            Scan(source=high, key="o.high", tie="o.rid", where=where + Sql(" AND o.high IS NOT NULL")),
        ),
        listed=Scan(source=join, key="coalesce(o.high, o.low)", where=where),
        descending=True,
    )


def _without_param(tid: int, pid: int) -> Phase:
    """Sort those without a value by id, which never changes."""
    where = Sql(" AND NOT EXISTS (SELECT 1 FROM ordering o WHERE o.rid = @rid AND o.param = ?)", (pid,))
    return _by_column(tid, "id", False, where)
