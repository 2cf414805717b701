"""All matches of a criterion, in whatever order: for counts, and for chains."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from toro_sqlite.driver import candidates, smallest
from toro_sqlite.filters import filtered
from toro_sqlite.nodes import Node
from toro_sqlite.ranges import within
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, all_of

__all__ = ["matching"]

_CAPS = (64, 1_000, 16_000, 256_000, 4_000_000)
_PREFERRED = 16
"""How many times more than is taken it is worth counting."""


def matching(reader: Reader, tid: int, node: Node, at_most: int | None = None) -> Sql:
    """List each match once, reading no more than is taken of it; `at_most` says how many will be."""
    nodes = candidates(tid, node)
    caps = [cap for cap in _CAPS if at_most is None or cap <= _PREFERRED * at_most]
    driver = nodes[0] if len(nodes) == 1 else smallest(reader, nodes, node.bounds, caps)
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


def _walked(tid: int, node: Node) -> Sql:
    joins, conditions = filtered(node.conjuncts, "r", "r")
    source = Sql("SELECT r.rid FROM resource r INDEXED BY resource_sort") + joins
    live = Sql(" WHERE r.tid = ? AND r.sort IS NOT NULL AND ", (tid,))
    return source + live + all_of([*within("r.sort", node.bounds), *conditions])
