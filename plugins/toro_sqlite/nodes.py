"""Criteria, resolved: how a resource is tested for one, how those that may match are listed, how they combine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from toro_sqlite.postings import Posting, Referring, posted, postings_rids, postings_where
from toro_sqlite.ranges import UNBOUNDED, Bounds, within
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, all_of, any_of, join

__all__ = ["EVERYTHING", "NOTHING", "Node", "every", "listed", "negated", "ranged", "some", "these"]

_PROBED = 4
"""Lists up to which an exact key in each is quicker than one look at the resource."""
_COMPOUND = 400
"""SELECTs one compound may hold; SQLite stops at 500."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A criterion, resolved.

    `where` tests a resource. Every match is in one of `postings`, where there are any, else in `listing`, where there is one;
    where `exact`, nothing else is. Lists have only live resources of the type. `once` says that `listing` has each once,
    `slow` that it reads more than it lists. Every match's sort value is within `bounds`. `parts` are the nodes that all must
    hold. The `label` is for people.
    """

    where: Sql
    postings: Sequence[Posting] = ()
    listing: Sql | None = None
    exact: bool = True
    once: bool = False
    slow: bool = False
    bounds: Bounds = UNBOUNDED
    parts: tuple[Node, ...] = ()
    label: str = ""

    @property
    def conjuncts(self) -> tuple[Node, ...]:
        """The nodes that all must hold."""
        return self.parts or (self,)

    @property
    def lists(self) -> bool:
        """Tell whether what may match is listed."""
        return bool(self.postings) or self.listing is not None

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


def listed(reader: Reader, postings: Sequence[Posting]) -> Node:
    """Make the criterion that a resource is in one of the lists."""
    return Node(where=_in_one(reader, postings), postings=postings) if postings else NOTHING


def these(rids: Sequence[int]) -> Node:
    """Make the criterion that a resource is one of these."""
    if not rids:
        return NOTHING
    # Numbers of this package, so JSON says them faithfully; one parameter, however many they are.
    numbers = json.dumps(rids)
    return Node(
        where=Sql("@rid IN (SELECT value FROM json_each(?))", (numbers,)),
        listing=Sql("SELECT value AS rid FROM json_each(?)", (numbers,)),
        once=True,
    )


def ranged(tid: int, bounds: Bounds) -> Node:
    """Make the criterion that a resource of the type has a sort value within these bounds."""
    conditions = within("sort", bounds)
    listing = Sql("SELECT rid FROM resource INDEXED BY resource_sort WHERE tid = ? AND sort IS NOT NULL AND ", (tid,))
    where = all_of([Sql(f"@{each.text}", each.args) for each in conditions])
    return Node(where=where, listing=listing + all_of(conditions), once=True, bounds=bounds, label="the dates together")


def negated(node: Node) -> Node:
    """Make the criterion that this one does not hold."""
    if node is EVERYTHING or node is NOTHING:
        return NOTHING if node is EVERYTHING else EVERYTHING
    return Node(where=Sql("NOT (") + node.where + Sql(")"))


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
        slow=lister.slow if lister else False,
        exact=False,
        bounds=bounds,
        parts=parts,
        label=" and ".join(part.label for part in parts),
    )


def some(reader: Reader, nodes: tuple[Node, ...]) -> Node:
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
        node = listed(reader, plain)
        return replace(node, label=_either(nodes)) if nodes[0].label else node
    tests = [_in_one(reader, plain)] if plain else []
    bounds = nodes[0].bounds
    for node in nodes:
        bounds = bounds.either(node.bounds)
    return Node(
        where=any_of([*tests, *(node.where for node in others)]),
        postings=tuple(dict.fromkeys(posting for node in nodes for posting in node.postings))
        if all(node.postings for node in nodes)
        else (),
        listing=_union(plain, others),
        slow=any(node.slow for node in others),
        exact=all(node.exact for node in nodes),
        bounds=bounds,
        label=_either(nodes),
    )


def _either(nodes: Sequence[Node]) -> str:
    labels = " or ".join(dict.fromkeys(node.label for node in nodes))
    return f"({labels})" if labels else ""


def _in_one(reader: Reader, postings: Sequence[Posting]) -> Sql:
    """Test with an exact key in each list, or where they are many with the resource's own record of its lists."""
    if len(postings) <= _PROBED:
        return postings_where(postings)
    if isinstance(postings, Referring):
        pid, targets = postings.pid, frozenset(postings.targets)
        return reader.ask(lambda blob: any(p == pid and target in targets for p, target, _ in blob.references))
    wanted = frozenset(postings)
    return reader.ask(lambda blob: any(posting in wanted for posting in posted(blob)))


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
