"""A criterion as SQL: how a resource is tested for it, and how those that may match are listed."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from toro_core.errors import Unsupported
from toro_core.search.plan import (
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Composite,
    Criterion,
    Has,
    Ids,
    LastUpdated,
    Not,
    Number,
    Period,
    Present,
    Quantity,
    Reference,
    Text,
    Token,
    Uri,
)
from toro_sqlite.names import Names
from toro_sqlite.postings import Posting, postings_rids, postings_where
from toro_sqlite.ranges import UNBOUNDED, Bounds, date_where, instant_where, list_dates, prefix_end, sort_bounds
from toro_sqlite.sql import Sql, any_of, join

__all__ = ["EVERYTHING", "NOTHING", "Compiler", "Node"]

_MANY = 64
"""Systems of one code beyond which its lists are no longer merged."""
_COMPOUND = 400
"""SELECTs one compound may hold; SQLite stops at 500."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A criterion, resolved.

    `where` tests a resource. Every match is in one of `postings`, where there are any, else in `listing`, where there is one;
    where `exact`, nothing else is. Every match's sort value is within `bounds`. `parts` are the nodes that all must hold.
    """

    where: Sql
    postings: tuple[Posting, ...] = ()
    listing: Sql | None = None
    exact: bool = True
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


EVERYTHING = Node(where=Sql("1"))
NOTHING = Node(where=Sql("0"))


class Compiler:
    """Compiles criteria on one type as of one snapshot."""

    def __init__(self, names: Names, tid: int) -> None:
        """Resolve names with `names`, whose connection has a read transaction open."""
        self._names = names
        self._tid = tid

    def node(self, criterion: Criterion) -> Node:
        """Compile; NOTHING and EVERYTHING come back as these very objects."""
        match criterion:
            case AllOf(criteria):
                return _all(tuple(self.node(each) for each in criteria))
            case AnyOf(criteria):
                return _any(tuple(self.node(each) for each in criteria))
            case Ids(ids=ids):
                return self._ids(ids)
            case LastUpdated(prefix=prefix, low=low, high=high):
                return self._last_updated(instant_where(prefix, low, high))
            case Chain() | Compartment() | Composite() | Has() | Not() | Number() | Present() | Quantity():
                raise Unsupported(f"This storage does not execute {type(criterion).__name__}.")
        pid = self._names.param(self._tid, criterion.param)
        if pid is None:
            return NOTHING
        match criterion:
            case Token(system=system, code=code):
                return self._token(pid, system, code)
            case Text(value=value):
                return _text(pid, value)
            case Period(prefix=prefix, low=low, high=high):
                return self._period(pid, criterion)
            case Reference():
                return self._reference(pid, criterion)
            case Uri(value=value):
                uid = self._names.value(value)
                return NOTHING if uid is None else _listed((Posting("uri", pid, uid),))

    def _ids(self, ids: Sequence[str]) -> Node:
        rids = [rid for id in dict.fromkeys(ids) if (rid := self._names.resource(self._tid, id)) is not None]
        if not rids:
            return NOTHING
        # Numbers of this package, so JSON says them faithfully; one parameter, however many they are.
        numbers = json.dumps(rids)
        return Node(
            where=Sql("@rid IN (SELECT value FROM json_each(?))", (numbers,)),
            listing=Sql("SELECT value AS rid FROM json_each(?)", (numbers,)),
        )

    def _last_updated(self, where: Sql) -> Node:
        listing = Sql(
            "SELECT rid FROM resource r INDEXED BY resource_at WHERE r.tid = ? AND r.sort IS NOT NULL AND ",
            (self._tid,),
        )
        return Node(where=where, listing=listing + where.on("r.rid", "r.sort"))

    def _token(self, pid: int, system: str | None, code: str | None) -> Node:
        uid = None if system is None else self._names.value(system)
        if system is not None and uid is None:
            return NOTHING
        if code is None:
            # No list is by system alone.
            return Node(where=_in_blob("has_token", pid, code, uid))
        systems = self._systems(pid, code) if uid is None else [uid]
        if len(systems) <= _MANY:
            return _listed(tuple(Posting("token", pid, code, each) for each in systems))
        listing = Sql("SELECT rid FROM token WHERE param = ? AND code = ?", (pid, code))
        return Node(where=_in_blob("has_token", pid, code, None), listing=listing)

    def _systems(self, pid: int, code: str) -> list[int]:
        """Find the code's systems, one too many at most, each with one step down its tree."""
        found: list[int] = []
        sql = "SELECT min(system) FROM token WHERE param = ? AND code = ? AND system > ?"
        while len(found) <= _MANY:
            row = self._names.connection.execute(sql, (pid, code, found[-1] if found else -1)).fetchone()
            if row[0] is None:
                break
            found.append(row[0])
        return found

    def _period(self, pid: int, period: Period) -> Node:
        prefix, low, high = period.prefix, period.low, period.high
        exists = Sql("EXISTS (SELECT 1 FROM date WHERE rid = @rid AND param = ? AND ", (pid,))
        return Node(
            where=exists + date_where(prefix, low, high) + Sql(")"),
            listing=list_dates(pid, prefix, low, high),
            bounds=sort_bounds(self._names.gap(pid), prefix, low, high),
        )

    def _reference(self, pid: int, reference: Reference) -> Node:
        nodes = [self._target(pid, rid, reference.version) for rid in self._targets(reference)]
        return _any(tuple(nodes))

    def _targets(self, reference: Reference) -> list[int]:
        if reference.type is not None:
            tid = self._names.type(reference.type)
            rid = None if tid is None else self._names.resource(tid, reference.id)
            return [] if rid is None else [rid]
        sql = "SELECT r.rid FROM type CROSS JOIN resource r INDEXED BY resource_id ON r.tid = type.tid AND r.id = ?"
        return [row[0] for row in self._names.connection.execute(sql, (reference.id,))]

    @staticmethod
    def _target(pid: int, rid: int, version: str | None) -> Node:
        node = _listed((Posting("reference", pid, rid),))
        if version is None:
            return node
        return Node(
            where=node.where + Sql(" AND ") + _in_blob("has_reference", pid, rid, version),
            postings=node.postings,
            exact=False,
        )


def _listed(postings: tuple[Posting, ...]) -> Node:
    return Node(where=postings_where(postings), postings=postings) if postings else NOTHING


def _text(pid: int, prefix: str) -> Node:
    end = prefix_end(prefix)
    where = Sql("folded >= ?", (prefix,)) + (Sql(" AND folded < ?", (end,)) if end is not None else Sql(""))
    return Node(
        where=Sql("EXISTS (SELECT 1 FROM string WHERE rid = @rid AND param = ? AND ", (pid,)) + where + Sql(")"),
        listing=Sql("SELECT rid FROM string INDEXED BY string_folded WHERE param = ? AND ", (pid,)) + where,
    )


def _in_blob(function: str, *args: int | str | None) -> Sql:
    marks = ", ".join("?" * len(args))
    return Sql(f"{function}((SELECT postings FROM resource WHERE rid = @rid), {marks})", args)


def _all(nodes: tuple[Node, ...]) -> Node:
    if any(node is NOTHING for node in nodes):
        return NOTHING
    parts = tuple(part for node in nodes if node is not EVERYTHING for part in node.conjuncts)
    if len(parts) < 2:
        return parts[0] if parts else EVERYTHING
    listed = next((node for node in parts if node.postings), None) or next(
        (node for node in parts if node.listing), None
    )
    bounds = UNBOUNDED
    for part in parts:
        bounds = bounds.both(part.bounds)
    return Node(
        where=Sql("(") + join(" AND ", (part.where for part in parts)) + Sql(")"),
        postings=listed.postings if listed else (),
        listing=listed.listing if listed else None,
        exact=False,
        bounds=bounds,
        parts=parts,
    )


def _any(nodes: tuple[Node, ...]) -> Node:
    if any(node is EVERYTHING for node in nodes):
        return EVERYTHING
    nodes = tuple(node for node in nodes if node is not NOTHING)
    if len(nodes) < 2:
        return nodes[0] if nodes else NOTHING
    # Alternatives that are nothing but lists are tested, and listed, together.
    plain = tuple(dict.fromkeys(posting for node in nodes if node.exact for posting in node.postings))
    others = [node for node in nodes if not (node.exact and node.postings)]
    if not others:
        return _listed(plain)
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
