"""Which of several lists leads through the order of the answer in the longest strides, so that fewest of its entries are tested."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence

from toro_postgres.nodes import Node
from toro_postgres.sql import Sql, all_of

__all__ = ["longest", "shortest"]

_AHEAD = 64
"""Entries after which a list shows how far it has come."""
_COUNTED = 2_000


def longest(nodes: Sequence[Node], reach: Sequence[Sql], *, descending: bool) -> tuple[Sql, Sql]:
    """Return a WITH that chooses one of single lists, and the condition that an entry x is of that one.

    Nothing matches before all of the lists have begun. From there, the entries before the one that has come farthest are as many in
    each list; a list that has ended by then is best. One without an entry says that there is nothing at all.
    """
    way, back, first, last = ("DESC", "<=", "min", "ASC") if descending else ("ASC", ">=", "max", "DESC")
    lists = Sql("unnest(%s::integer[], %s::uuid[])", ([each.pid for each in nodes], [each.values[0] for each in nodes]))
    within = all_of([Sql("p.param = l.param AND p.value = l.value"), *reach]).on("p", "p")
    entries = Sql("SELECT p.sort, p.rid FROM posting p WHERE ") + within
    by = Sql(f" ORDER BY p.sort {way}, p.rid {way}")
    chosen = (
        Sql("WITH d AS MATERIALIZED (SELECT l.param, l.value, b.sort FROM")
        + Sql(f" (SELECT CASE WHEN count(e.sort) = count(*) THEN {first}(e.sort) END AS sort FROM ")
        + lists
        + Sql(" AS l(param, value) LEFT JOIN LATERAL (")
        + entries
        + by
        + Sql(" LIMIT 1) e ON true) b CROSS JOIN ")
        + lists
        + Sql(" AS l(param, value) LEFT JOIN LATERAL (")
        + entries
        + Sql(f" AND p.sort {back} b.sort")
        + by
        + Sql(f" OFFSET {_AHEAD} LIMIT 1) e ON true ORDER BY e.sort {last} NULLS FIRST, e.rid {last} LIMIT 1) ")
    )
    where = Sql(f"{_ONE_OF} AND x.sort {back} (SELECT sort FROM d)")
    return chosen, where


def shortest(nodes: Sequence[Node], reach: Sequence[Sql]) -> tuple[Sql, Sql]:
    """Return a WITH that chooses the shortest of single lists, and the condition that an entry x is of that one."""
    within = all_of([Sql("p.param = l.param AND p.value = l.value"), *reach]).on("p", "p")
    chosen = (
        Sql(
            "WITH d AS MATERIALIZED (SELECT l.param, l.value FROM unnest(%s::integer[], %s::uuid[]) AS l(param, value)"
            " CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT 1 FROM posting p WHERE ",
            ([each.pid for each in nodes], [each.values[0] for each in nodes]),
        )
        + within
        + Sql(f" LIMIT {_COUNTED}) c) e ORDER BY e.n LIMIT 1) ")
    )
    return chosen, Sql(_ONE_OF)


_ONE_OF = "x.param = (SELECT param FROM d) AND x.value = (SELECT value FROM d)"
