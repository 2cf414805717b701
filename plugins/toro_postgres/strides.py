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
    """Return a WITH that chooses one of single lists, and the condition that an entry x is of that one, and in the others.

    Nothing matches before all of the lists have begun, nor after one has ended. As many entries of each are looked past from there:
    the list that has come farthest is best, one that has ended better still. One without an entry says that there is nothing.
    """
    forth, back = ("DESC", "ASC") if descending else ("ASC", "DESC")
    least, most, to, on = ("min", "max", ">=", "<=") if descending else ("max", "min", "<=", ">=")
    lists = Sql("unnest(%s::integer[], %s::uuid[])", ([each.pid for each in nodes], [each.values[0] for each in nodes]))
    lists += Sql(" WITH ORDINALITY AS l(param, value, n)")
    within = all_of([Sql("p.param = l.param AND p.value = l.value"), *reach]).on("p", "p")
    entries = Sql(" LEFT JOIN LATERAL (SELECT p.sort, p.rid FROM posting p WHERE ") + within

    def by(way: str) -> Sql:
        return Sql(f" ORDER BY p.sort {way}, p.rid {way}")

    ends = Sql(
        f"SELECT CASE WHEN count(e.sort) = count(*) THEN {least}(e.sort) END AS sort, {most}(f.sort) AS until FROM "
    )
    ends += lists + entries + by(forth) + Sql(" LIMIT 1) e ON true") + entries + by(back) + Sql(" LIMIT 1) f ON true")
    chosen = (
        Sql("WITH d AS MATERIALIZED (SELECT l.param, l.value, l.n, b.sort, b.until FROM (")
        + ends
        + Sql(") b CROSS JOIN ")
    )
    chosen += (
        lists + entries + Sql(f" AND p.sort {on} b.sort") + by(forth) + Sql(f" OFFSET {_AHEAD} LIMIT 1) e ON true")
    )
    chosen += Sql(f" ORDER BY e.sort {back} NULLS FIRST, e.rid {back} LIMIT 1) ")
    ends = Sql(f" AND x.sort {on} (SELECT sort FROM d) AND x.sort {to} (SELECT until FROM d) AND ")
    return chosen, _ONE + ends + _in_the_others(nodes)


def shortest(nodes: Sequence[Node], reach: Sequence[Sql]) -> tuple[Sql, Sql]:
    """Return a WITH that chooses the shortest of single lists, and the condition that an entry x is of it, and in the others."""
    within = all_of([Sql("p.param = l.param AND p.value = l.value"), *reach]).on("p", "p")
    chosen = (
        Sql(
            "WITH d AS MATERIALIZED (SELECT l.param, l.value, l.n FROM"
            " unnest(%s::integer[], %s::uuid[]) WITH ORDINALITY AS l(param, value, n)"
            " CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT 1 FROM posting p WHERE ",
            ([each.pid for each in nodes], [each.values[0] for each in nodes]),
        )
        + within
        + Sql(f" LIMIT {_COUNTED}) c) e ORDER BY e.n LIMIT 1) ")
    )
    return chosen, _ONE + Sql(" AND ") + _in_the_others(nodes)


_ONE = Sql("x.param = (SELECT param FROM d) AND x.value = (SELECT value FROM d)")


def _in_the_others(nodes: Sequence[Node]) -> Sql:
    """Tell whether a resource is in the lists that were not chosen as well."""
    return all_of([Sql(f"((SELECT n FROM d) = {n} OR ") + node.test + Sql(")") for n, node in enumerate(nodes, 1)])
