"""Criteria, resolved: how a resource is tested for one, how those that may match are listed, how they combine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toro_sqlite.postings import Posting, postings_rids, postings_where
from toro_sqlite.ranges import UNBOUNDED, Bounds
from toro_sqlite.sql import Sql, all_of, any_of, join

__all__ = ["EVERYTHING", "NOTHING", "Node", "every", "listed", "some"]

_COMPOUND = 400
"""SELECTs one compound may hold; SQLite stops at 500."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A criterion, resolved.

    `where` tests a resource. Every match is in one of `postings`, where there are any, else in `listing`, where there is one;
    where `exact`, nothing else is. Lists have only live resources of the type. `once` says that `listing` has each once.
    Every match's sort value is within `bounds`. `parts` are the nodes that all must hold.
    """

    where: Sql
    postings: tuple[Posting, ...] = ()
    listing: Sql | None = None
    exact: bool = True
    once: bool = False
    bounds: Bounds = UNBOUNDED
    parts: tuple[Node, ...] = ()

    @property
    def conjuncts(self) -> tuple[Node, ...]:
        """The nodes that all must hold."""
        return self.parts or (self,)

    @property
    def rids(self) -> Sql | None:
        """List the resources that may match, some more than once; None where that is all of them."""
        return postings_rids(self.postings) if self.postings else self.listing

    @property
    def distinct_rids(self) -> Sql | None:
        """List each once."""
        rids = self.rids
        if rids is None or len(self.postings) == 1 or (self.once and not self.postings):
            return rids
        return Sql("SELECT DISTINCT rid FROM (") + rids + Sql(")")


EVERYTHING = Node(where=Sql("1"))
NOTHING = Node(where=Sql("0"))


def listed(postings: tuple[Posting, ...]) -> Node:
    """Make the criterion that a resource is in one of the lists."""
    return Node(where=postings_where(postings), postings=postings) if postings else NOTHING


def every(nodes: tuple[Node, ...]) -> Node:
    """Combine criteria that all hold."""
    if any(node is NOTHING for node in nodes):
        return NOTHING
    parts = tuple(part for node in nodes if node is not EVERYTHING for part in node.conjuncts)
    if len(parts) < 2:
        return parts[0] if parts else EVERYTHING
    lister = next((node for node in parts if node.postings), None) or next(
        (node for node in parts if node.listing), None
    )
    bounds = UNBOUNDED
    for part in parts:
        bounds = bounds.both(part.bounds)
    return Node(
        where=all_of([part.where for part in parts]),
        postings=lister.postings if lister else (),
        listing=lister.listing if lister else None,
        once=lister.once if lister else False,
        exact=False,
        bounds=bounds,
        parts=parts,
    )


def some(nodes: tuple[Node, ...]) -> Node:
    """Combine criteria of which one holds."""
    if any(node is EVERYTHING for node in nodes):
        return EVERYTHING
    nodes = tuple(node for node in nodes if node is not NOTHING)
    if len(nodes) < 2:
        return nodes[0] if nodes else NOTHING
    # Alternatives that are nothing but lists are tested, and listed, together.
    plain = tuple(dict.fromkeys(posting for node in nodes if node.exact for posting in node.postings))
    others = [node for node in nodes if not (node.exact and node.postings)]
    if not others:
        return listed(plain)
    tests = [postings_where(plain)] if plain else []
    bounds = nodes[0].bounds
    for node in nodes:
        bounds = bounds.either(node.bounds)
    return Node(
        where=any_of([*tests, *(node.where for node in others)]),
        postings=tuple(dict.fromkeys(posting for node in nodes for posting in node.postings))
        if all(node.postings for node in nodes)
        else (),
        listing=_union(plain, others),
        exact=all(node.exact for node in nodes),
        bounds=bounds,
    )


def _union(plain: tuple[Posting, ...], others: Sequence[Node]) -> Sql | None:
    listings = [rids for node in others if (rids := node.rids)]
    if len(listings) < len(others) or len(listings) + len(plain) > _COMPOUND:
        return None
    # Wrapped, because a list may itself be a compound.
    return join(
        " UNION ALL ",
        (
            Sql("SELECT rid FROM (") + rids + Sql(")")
            for rids in (*([postings_rids(plain)] if plain else []), *listings)
        ),
    )
