"""All matches of a criterion, in whatever order: for counts, and for chains."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence

from toro_sqlite.driver import candidates, smallest
from toro_sqlite.filters import filtered
from toro_sqlite.nodes import Node
from toro_sqlite.ranges import within
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, all_of
from toro_sqlite.starts import Starts

__all__ = ["matching"]

_CAPS = (64, 2_000, 32_000, 512_000, 8_000_000)


def matching(reader: Reader, tid: int, node: Node, at_most: int | None = None) -> Sql:
    """List each match once, reading no more than is taken of it; `at_most` says how many will be, None all."""
    nodes = candidates(tid, node)
    driver = _driver(reader, tid, node, nodes, at_most)
    if driver is None:
        return _walked(tid, node)
    tests = [each for each in node.conjuncts if not (each is driver and each.exact)]
    if len(driver.postings) == 1:
        joins, conditions = filtered(tests, "t")
        posting = driver.postings[0]
        where = all_of([posting.on("t"), *within("t.sort", node.bounds), *conditions])
        return Sql(f"SELECT t.rid FROM {posting.table} t") + joins + Sql(" WHERE ") + where
    rids = driver.distinct_rids
    assert rids is not None  # noqa: S101 - candidates list
    if not tests:
        return rids
    joins, conditions = filtered(tests, "r", "r")
    source = Sql("SELECT r.rid FROM (") + rids + Sql(") d CROSS JOIN resource r ON r.rid = d.rid") + joins
    return source + (Sql(" WHERE ") + all_of(conditions) if conditions else Sql(""))


def _driver(reader: Reader, tid: int, node: Node, nodes: Sequence[Node], at_most: int | None) -> Node | None:
    if len(nodes) < 2:
        return nodes[0] if nodes else None
    if at_most is None:
        return smallest(reader, nodes, node.bounds, _CAPS)
    ordered = [each for each in nodes if each.bounds.tight or each.postings]
    found = smallest(reader, nodes, node.bounds, (_CAPS[0], max(_CAPS[0], at_most)))
    if found is None and ordered:
        found, _ = Starts(reader, tid, ordered, node.bounds, _CAPS[0], descending=False).sparsest()
    return found


def _walked(tid: int, node: Node) -> Sql:
    joins, conditions = filtered(node.conjuncts, "r", "r")
    source = Sql("SELECT r.rid FROM resource r INDEXED BY resource_sort") + joins
    live = Sql(" WHERE r.tid = ? AND r.sort IS NOT NULL AND ", (tid,))
    return source + live + all_of([*within("r.sort", node.bounds), *conditions])
