"""What a search reads first: the wrong choice costs a hundred times the right one."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toro_sqlite.nodes import Node
from toro_sqlite.postings import Posting
from toro_sqlite.ranges import Bounds
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, execute

__all__ = ["Access", "choose", "listed_count", "smallest"]

_FEW, _SMALL = 64, 1_000
"""A list up to here is cheap to count (0.04 ms) and to sort."""
_SORTABLE = 5_000
"""A list up to here is sorted rather than looked for while the whole type is walked in order."""
_MERGED = 64
"""Posting lists merged at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Read these posting lists in order (`merge`), or collect the driver's resources and sort (`sort`), or walk the type (`scan`).

    Of what is read, `filters` keep the matches. Their sort values are within `bounds`.
    """

    how: Literal["merge", "sort", "scan"]
    driver: Node | None
    filters: Sequence[Sql]
    bounds: Bounds


def choose(reader: Reader, node: Node, *, own_order: bool, descending: bool) -> Access:
    """Choose by counting, up to a cap, what each criterion lists; `own_order` is the order that posting lists are in."""
    nodes = node.conjuncts
    if not own_order:
        driver = smallest(reader, nodes, (_FEW, _SMALL, _SORTABLE))
        return _access("scan" if driver is None else "sort", driver, node)
    lists = [each for each in nodes if 0 < len(each.postings) <= _MERGED]
    others = [each for each in nodes if not 0 < len(each.postings) <= _MERGED and each.rids is not None]
    if len(lists) == 1 and not others:
        return _access("merge", lists[0], node)
    # A slow list is not worth counting where another can be read in order.
    driver = smallest(reader, [*lists, *(each for each in others if not (lists and each.slow))], (_FEW, _SMALL))
    if driver is not None:
        return _access("merge" if any(driver is each for each in lists) else "sort", driver, node)
    if lists:
        return _access("merge", _sparsest(reader, lists, descending), node)
    if others and not node.bounds.tight:
        driver = smallest(reader, others, (_SORTABLE,))
        if driver is not None:
            return _access("sort", driver, node)
    return _access("scan", None, node)


def smallest(reader: Reader, nodes: Sequence[Node], caps: Sequence[int]) -> Node | None:
    """Return the criterion that lists the fewest resources, None where none lists fewer than the last cap.

    Nothing is counted much beyond the smallest; a list of which only a start can be counted is counted when no other is small.
    """
    candidates = sorted((each for each in nodes if each.rids is not None), key=lambda each: each.slow)
    if len(candidates) == 1 and len(caps) > 1:
        caps = caps[-1:]
    for cap in caps:
        best, least = None, cap
        for node in candidates:
            if best is not None and node.slow:
                break
            count = listed_count(reader, node, least)
            if count < least:
                best, least = node, count
        if best is not None:
            return best
    return None


def listed_count(reader: Reader, node: Node, cap: int) -> int:
    """Count what a criterion lists, up to a cap."""
    rids = node.rids
    assert rids is not None  # noqa: S101 - the caller has looked
    sql = Sql("SELECT count(*) FROM (SELECT 1 FROM (") + rids + Sql(") LIMIT ?)", (cap,))
    count: int = execute(reader.connection, sql).fetchone()[0]
    return count


def _sparsest(reader: Reader, nodes: Sequence[Node], descending: bool) -> Node:
    """Return the criterion whose first thousand entries reach farthest in the order: the fewest are read for a page."""
    if len(nodes) == 1:
        return nodes[0]
    return min(nodes, key=lambda node: sum(_density(reader, posting, descending) for posting in node.postings))


def _density(reader: Reader, posting: Posting, descending: bool) -> float:
    order = "DESC" if descending else "ASC"
    steps: list[int] = []
    for offset in (0, _SMALL - 1):
        sql = Sql(f"SELECT sort FROM {posting.table} WHERE ") + posting.where
        row = execute(reader.connection, sql + Sql(f" ORDER BY sort {order} LIMIT 1 OFFSET ?", (offset,))).fetchone()
        if row is None:
            return 0.0
        steps.append(row[0])
    return _SMALL / (abs(steps[1] - steps[0]) + 1)


def _access(how: Literal["merge", "sort", "scan"], driver: Node | None, node: Node) -> Access:
    filters = [each.where for each in node.conjuncts if not (each is driver and each.exact)]
    return Access(how=how, driver=driver, filters=filters, bounds=node.bounds)
