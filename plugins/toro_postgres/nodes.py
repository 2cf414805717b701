"""Criteria, resolved: how a resource is tested for one, and how those that may match are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toro_postgres.ranges import UNBOUNDED, Bounds
from toro_postgres.sql import APART, FALSE, TRUE, Sql, all_of, any_of, join

__all__ = ["EVERYTHING", "NOTHING", "Node", "every", "listed", "negated", "some"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A criterion, resolved.

    `test` is a condition on a resource. Every match is in `listing`, a SELECT of place and rid, where there is one; one may come
    more than once unless it `is_distinct`, and other resources may unless it `is_exact`. There are at most so many as `most` says,
    if it does; where it `is_slow`, many more are read to list them. Where there are `values`, or `chosen` selects some, they are
    all that is listed: postings of `pid`. Every match's sort value is within `bounds`. `parts` are the nodes that all must hold.
    """

    test: Sql
    listing: Sql | None = None
    is_distinct: bool = False
    is_exact: bool = False
    is_slow: bool = False
    most: int | None = None
    pid: int = 0
    values: tuple[str, ...] = ()
    chosen: Sql | None = None
    bounds: Bounds = UNBOUNDED
    parts: tuple[Node, ...] = ()

    @property
    def entries(self) -> Sql:
        """Tell whether an entry x is of the only list."""
        return Sql("x.param = %s AND x.value = %s::uuid", (self.pid, self.values[0]))

    @property
    def conjuncts(self) -> tuple[Node, ...]:
        """Return the nodes that all must hold."""
        return self.parts or (self,)


EVERYTHING = Node(test=TRUE)
NOTHING = Node(test=FALSE)


def listed(pid: int, values: Sequence[str]) -> Node:
    """Make the criterion that a resource is posted under one of the values."""
    if not values:
        return NOTHING
    if len(values) == 1:
        where = Sql("param = %s AND value = %s::uuid", (pid, values[0]))
    else:
        where = Sql("param = %s AND value = ANY(%s::uuid[])", (pid, list(values)))
    return Node(
        test=Sql("EXISTS (SELECT 1 FROM posting WHERE ")
        + where
        + Sql(f" AND sort = @sort AND rid = @rid AND place = @place{APART})"),
        listing=Sql("SELECT place, rid FROM posting WHERE ") + where,
        is_distinct=len(values) == 1,
        is_exact=True,
        pid=pid,
        values=tuple(values),
    )


def every(nodes: Sequence[Node]) -> Node:
    """Combine with AND."""
    parts = tuple(part for node in nodes for part in node.conjuncts if part is not EVERYTHING)
    if any(part is NOTHING for part in parts):
        return NOTHING
    if len(parts) < 2:
        return parts[0] if parts else EVERYTHING
    bounds = UNBOUNDED
    for part in parts:
        bounds = bounds.both(part.bounds)
    first = next((part.listing for part in parts if part.listing), None)
    return Node(test=all_of([part.test for part in parts]), listing=first, bounds=bounds, parts=parts)


def some(nodes: Sequence[Node]) -> Node:
    """Combine with OR."""
    nodes = tuple(node for node in nodes if node is not NOTHING)
    if any(node is EVERYTHING for node in nodes):
        return EVERYTHING
    if len(nodes) < 2:
        return nodes[0] if nodes else NOTHING
    pids = {node.pid for node in nodes}
    if all(node.values for node in nodes) and len(pids) == 1:
        return listed(pids.pop(), list(dict.fromkeys(value for node in nodes for value in node.values)))
    listings = [node.listing for node in nodes if node.listing]
    bounds = nodes[0].bounds
    for node in nodes[1:]:
        bounds = bounds.either(node.bounds)
    return Node(
        test=any_of([node.test for node in nodes]),
        listing=join(" UNION ALL ", listings) if len(listings) == len(nodes) else None,
        bounds=bounds,
    )


def negated(node: Node) -> Node:
    """Turn round."""
    if node is EVERYTHING:
        return NOTHING
    if node is NOTHING:
        return EVERYTHING
    return Node(test=Sql("NOT (") + node.test + Sql(")"))
