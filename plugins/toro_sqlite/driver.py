"""What a search reads first: the wrong choice costs a hundred times the right one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toro_sqlite.nodes import Node, ranged
from toro_sqlite.order import Phase
from toro_sqlite.postings import alike
from toro_sqlite.ranges import UNBOUNDED, Bounds, within
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, all_of, execute
from toro_sqlite.starts import Starts

__all__ = ["Access", "candidates", "choose", "listed_count", "smallest"]

_FEW, _SMALL = 64, 1_000
"""A list up to here is cheap to count (0.01 and 0.04 ms) and to sort."""
_SORTABLE = 5_000
"""A list up to here is sorted rather than looked for while the whole type is walked in order."""
_MERGED = 64
"""Posting lists merged at most, where they are not alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Read these posting lists in order (`merge`), or collect the driver's resources and sort (`sort`), or walk the type (`scan`).

    Of what is read, the matches satisfy all of `filters`. Their sort values are within `bounds`, and within `begun` where they have
    one at all.
    """

    how: Literal["merge", "sort", "scan"]
    driver: Node | None
    filters: Sequence[Node]
    bounds: Bounds
    begun: Bounds = UNBOUNDED


def choose(reader: Reader, node: Node, phase: Phase) -> Access:
    """Choose for an order that begins with this phase, by looking, up to a cap, at what each criterion lists."""
    nodes = candidates(phase.tid, node)
    if not phase.own:
        driver = smallest(reader, nodes, node.bounds, (_FEW, _SMALL, _SORTABLE))
        return _access("scan" if driver is None else "sort", driver, node)
    ordered = [each for each in nodes if each.bounds.tight or _is_merged(each)]
    others = [each for each in nodes if not any(each is one for one in ordered)]
    driver, begun = _driver(reader, phase, ordered, others, node.bounds)
    if driver is None or driver.bounds.tight:
        return _access("scan", None, node, begun)
    return _access("merge" if any(driver is each for each in ordered) else "sort", driver, node, begun)


def candidates(tid: int, node: Node) -> list[Node]:
    """Return the criteria that list resources; those that bound the sort value do so together."""
    nodes = [each for each in node.conjuncts if each.lists and not each.bounds.tight]
    return [*nodes, ranged(tid, node.bounds)] if node.bounds.tight else nodes


def smallest(reader: Reader, nodes: Sequence[Node], bounds: Bounds, caps: Sequence[int]) -> Node | None:
    """Return the criterion that lists the fewest resources, None where none lists fewer than the last cap.

    Nothing is counted much beyond the smallest; a slow list is counted when no other is small.
    """
    nodes = sorted(nodes, key=lambda each: each.slow)
    for cap in caps if len(nodes) > 1 else caps[-1:]:
        best, least = None, cap
        for node in nodes:
            if best is not None and node.slow:
                break
            count = listed_count(reader, node, bounds, least)
            if count < least:
                best, least = node, count
        if best is not None:
            return best
    return None


def listed_count(reader: Reader, node: Node, bounds: Bounds, cap: int) -> int:
    """Count what a criterion lists within bounds of the sort value, up to a cap."""
    rids = node.rids
    assert rids is not None  # noqa: S101 - candidates list
    if len(node.postings) == 1:
        posting = node.postings[0]
        rids = Sql(f"SELECT 1 FROM {posting.table} WHERE ") + all_of([posting.where, *within("sort", bounds)])  # noqa: S608
        rids += Sql(" LIMIT ?", (cap,))
    else:
        rids = Sql("SELECT 1 FROM (") + rids + Sql(") LIMIT ?", (cap,))
    count: int = execute(reader.connection, Sql("SELECT count(*) FROM (") + rids + Sql(")")).fetchone()[0]
    return count


def _driver(
    reader: Reader, phase: Phase, ordered: Sequence[Node], others: Sequence[Node], bounds: Bounds
) -> tuple[Node | None, Bounds]:
    """Return what to read, None for the whole type, and where; what is in order already is read no farther than a page needs."""
    if not ordered:
        return smallest(reader, others, UNBOUNDED, (_FEW, _SMALL, _SORTABLE)), UNBOUNDED
    if len(ordered) == 1 and not others:
        return ordered[0], UNBOUNDED
    starts = Starts(reader, phase.tid, ordered, bounds, _FEW, descending=phase.descending)
    found = starts.fewest()
    if found is None:
        # A slow list is not worth counting where another can be read in order.
        found = smallest(reader, [each for each in others if not each.slow], UNBOUNDED, (_SMALL,))
    return (found, UNBOUNDED) if found else starts.sparsest()


def _is_merged(node: Node) -> bool:
    return bool(node.postings) and (len(node.postings) <= _MERGED or alike(node.postings))


def _access(
    how: Literal["merge", "sort", "scan"], driver: Node | None, node: Node, begun: Bounds = UNBOUNDED
) -> Access:
    filters = [each for each in node.conjuncts if not (each is driver and each.exact)]
    return Access(how=how, driver=driver, filters=filters, bounds=node.bounds, begun=begun)
