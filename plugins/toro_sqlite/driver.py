"""What a search reads first: the wrong choice costs a hundred times the right one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toro_sqlite.names import Names
from toro_sqlite.nodes import Node
from toro_sqlite.ranges import Bounds
from toro_sqlite.sql import Sql, execute

__all__ = ["Access", "choose", "smallest"]

_SMALL = 1_000
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


def choose(names: Names, node: Node, *, own_order: bool) -> Access:
    """Choose by counting, up to a cap, what each criterion lists; `own_order` is the order that posting lists are in."""
    nodes = node.conjuncts
    if not own_order:
        driver, count = smallest(names, nodes, _SORTABLE)
        return _access("sort" if count < _SORTABLE else "scan", driver, node)
    lists = [each for each in nodes if 0 < len(each.postings) <= _MERGED]
    others = [each for each in nodes if not 0 < len(each.postings) <= _MERGED and each.rids is not None]
    if len(lists) == 1 and not others:
        return _access("merge", lists[0], node)
    driver, count = smallest(names, [*lists, *others], _SMALL)
    if driver is not None and count < _SMALL:
        return _access("merge" if any(driver is each for each in lists) else "sort", driver, node)
    if lists:
        return _access("merge", lists[0], node)
    if others and not node.bounds.tight:
        driver, count = smallest(names, others, _SORTABLE)
        if count < _SORTABLE:
            return _access("sort", driver, node)
    return _access("scan", None, node)


def smallest(names: Names, nodes: Sequence[Node], cap: int) -> tuple[Node | None, int]:
    """Return the criterion that lists the fewest resources, and how many; the first one where none lists fewer than `cap`."""
    best, least = None, cap
    for node in nodes:
        rids = node.rids
        if rids is None:
            continue
        # Nothing is counted beyond the best so far.
        sql = Sql("SELECT count(*) FROM (SELECT 1 FROM (") + rids + Sql(") LIMIT ?)", (least,))
        count: int = execute(names.connection, sql).fetchone()[0]
        if best is None or count < least:
            best, least = node, count
        if not least:
            break
    return best, least


def _access(how: Literal["merge", "sort", "scan"], driver: Node | None, node: Node) -> Access:
    if how == "scan":
        driver = None
    filters = [each.where for each in node.conjuncts if not (each is driver and each.exact)]
    return Access(how=how, driver=driver, filters=filters, bounds=node.bounds)
