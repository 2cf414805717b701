"""All matches of a criterion, in whatever order: for counts, and for chains."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from toro_sqlite.driver import smallest
from toro_sqlite.nodes import EVERYTHING, Node
from toro_sqlite.ranges import within
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, all_of

__all__ = ["matching"]

_CAPS = (64, 1_000, 16_000, 256_000)


def matching(reader: Reader, tid: int, node: Node, at_most: int | None = None) -> Sql:
    """List each match once, reading no more than is taken of it; `at_most` says how many will be."""
    live = Sql("SELECT r.rid FROM resource r INDEXED BY resource_sort WHERE r.tid = ? AND r.sort IS NOT NULL", (tid,))
    if node is EVERYTHING:
        return live
    most = None if at_most is None else 16 * at_most
    driver = smallest(reader, node.conjuncts, [cap for cap in _CAPS if most is None or cap <= most])
    if driver is None:
        return live + Sql(" AND ") + all_of([node.where.on("r", "r"), *within("r.sort", node.bounds)])
    filters = [each.where for each in node.conjuncts if not (each is driver and each.exact)]
    rids = driver.distinct_rids
    assert rids is not None  # noqa: S101 - only what lists resources drives
    if not filters:
        return rids
    if len(driver.postings) == 1:
        posting = driver.postings[0]
        conditions = [posting.where, *within("t.sort", node.bounds), *(each.on("t") for each in filters)]
        return Sql(f"SELECT t.rid FROM {posting.table} t WHERE ") + all_of(conditions)
    source = Sql("SELECT r.rid FROM (") + rids + Sql(") d CROSS JOIN resource r ON r.rid = d.rid WHERE ")
    return source + all_of([each.on("r", "r") for each in filters])
