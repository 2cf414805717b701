"""Criteria compiled as of one snapshot."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

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
from toro_sqlite.amounts import amounts
from toro_sqlite.blobs import has_reference, has_token
from toro_sqlite.groups import any_group_matches
from toro_sqlite.joins import chained, referred
from toro_sqlite.nodes import NOTHING, Node, every, listed, negated, some, these
from toro_sqlite.postings import Posting
from toro_sqlite.present import present
from toro_sqlite.ranges import certain_bounds, date_where, instant_where, list_dates, sort_bounds
from toro_sqlite.reader import Reader
from toro_sqlite.rows import COMPARTMENT
from toro_sqlite.sql import Sql, all_of
from toro_sqlite.texts import many, text, texts, uris_from

__all__ = ["Compiler", "leaves"]

_MANY = 64
"""Systems of one code beyond which its lists are no longer merged."""


class Compiler:
    """Compiles criteria on one type as of one snapshot."""

    def __init__(self, reader: Reader, tid: int, *, depth: int = 0, labelled: bool = False) -> None:
        """Resolve names with `reader`, whose connection has a read transaction open.

        `depth` counts the joins around; nodes are `labelled` to be shown.
        """
        self._reader = reader
        self._tid = tid
        self._depth = depth
        self._labelled = labelled

    def node(self, criterion: Criterion) -> Node:
        """Compile; NOTHING and EVERYTHING come back as these very objects."""
        match criterion:
            case AllOf(criteria):
                return every(tuple(self.node(each) for each in criteria))
            case AnyOf(criteria):
                return some(self._reader, self._alternatives(criteria))
            case Not(inner):
                return negated(self.node(inner))
        node = self._leaf(criterion)
        return dataclasses.replace(node, label=_label(criterion)) if self._labelled and node is not NOTHING else node

    def _alternatives(self, criteria: Sequence[Criterion]) -> tuple[Node, ...]:
        strings, rest = many(criteria)
        nodes = [self.node(each) for each in rest]
        for wanted in strings:
            pid = self._reader.param(self._tid, wanted.param)
            if pid is not None:
                node = texts(pid, wanted)
                nodes.append(dataclasses.replace(node, label=f"Text {wanted.param}") if self._labelled else node)
        return tuple(nodes)

    def _leaf(self, criterion: Criterion) -> Node:
        match criterion:
            case Ids(ids=ids):
                return self._ids(ids)
            case LastUpdated(prefix=prefix, low=low, high=high):
                return self._last_updated(instant_where(prefix, low, high))
            case Has():
                return self._has(criterion)
            case Compartment(id=id):
                pid = self._reader.param(self._tid, COMPARTMENT)
                return NOTHING if pid is None else self._reference(pid, Reference(param="", type="Patient", id=id))
            case AllOf() | AnyOf() | Not():
                raise TypeError("not a leaf")
        pid = self._reader.param(self._tid, criterion.param)
        return NOTHING if pid is None else self._by_rows(pid, criterion)

    def _by_rows(
        self,
        pid: int,
        criterion: Token | Text | Period | Number | Quantity | Reference | Uri | Present | Composite | Chain,
    ) -> Node:
        reader = self._reader
        match criterion:
            case Token(system=system, code=code):
                return self._token(pid, system, code)
            case Text():
                return text(pid, criterion)
            case Period():
                return self._period(pid, criterion)
            case Number(prefix=prefix, low=low, high=high):
                return amounts(reader, pid, prefix, low, high, Sql("unit = 0"), (0,))
            case Quantity():
                return self._quantity(pid, criterion)
            case Reference():
                return self._reference(pid, criterion)
            case Uri(value=value, match="starts"):
                return uris_from(reader, pid, value)
            case Uri(value=value):
                uid = reader.value(value)
                return NOTHING if uid is None else listed(reader, (Posting("uri", pid, uid),))
            case Present(type=type):
                return present(reader, pid, type)
            case Composite(criteria=criteria):
                return Node(where=reader.ask(lambda blob: any_group_matches(reader, blob, pid, criteria)))
            case Chain():
                return self._chain(pid, criterion)

    def _ids(self, ids: Sequence[str]) -> Node:
        sql = "SELECT rid FROM resource WHERE tid = ? AND id = ? AND sort IS NOT NULL"
        rows = (self._reader.connection.execute(sql, (self._tid, id)).fetchone() for id in dict.fromkeys(ids))
        return these([row[0] for row in rows if row is not None])

    def _last_updated(self, where: Sql) -> Node:
        listing = Sql(
            "SELECT rid FROM resource r INDEXED BY resource_at WHERE r.tid = ? AND r.sort IS NOT NULL AND ",
            (self._tid,),
        )
        return Node(where=where, listing=listing + where.on("r", "r"), once=True)

    def _token(self, pid: int, system: str | None, code: str | None) -> Node:
        reader = self._reader
        uid = None if system is None else reader.value(system)
        if system is not None and uid is None:
            return NOTHING
        if code is None:
            # No list is by system alone.
            return Node(where=reader.ask(lambda blob: has_token(blob, pid, code, uid)))
        systems = self._systems(pid, code) if uid is None else [uid]
        if len(systems) <= _MANY:
            return listed(reader, tuple(Posting("token", pid, code, each) for each in systems))
        listing = Sql("SELECT rid FROM token WHERE param = ? AND code = ?", (pid, code))
        return Node(where=reader.ask(lambda blob: has_token(blob, pid, code, None)), listing=listing)

    def _systems(self, pid: int, code: str) -> list[int]:
        """Find the code's systems, one too many at most, each with one step down its tree."""
        found: list[int] = []
        sql = "SELECT min(system) FROM token WHERE param = ? AND code = ? AND system > ?"
        while len(found) <= _MANY:
            row = self._reader.connection.execute(sql, (pid, code, found[-1] if found else -1)).fetchone()
            if row[0] is None:
                break
            found.append(row[0])
        return found

    def _period(self, pid: int, period: Period) -> Node:
        prefix, low, high = period.prefix, period.low, period.high
        gap = self._reader.gap(pid)
        where = Sql("EXISTS (SELECT 1 FROM date NOT INDEXED WHERE rid = @rid AND param = ? AND ", (pid,))
        where += date_where(prefix, low, high) + Sql(")")
        certain = None if self._reader.sparse(pid) else certain_bounds(gap, prefix, low, high)
        if certain is not None:
            # Near the ends alone does it depend on the date itself.
            where = Sql("(@sort BETWEEN ? AND ? OR ", certain) + where + Sql(")")
        return Node(
            where=where,
            listing=list_dates(pid, prefix, low, high),
            bounds=sort_bounds(gap, prefix, low, high),
        )

    def _quantity(self, pid: int, quantity: Quantity) -> Node:
        reader, prefix, low, high = self._reader, quantity.prefix, quantity.low, quantity.high
        system = reader.value(quantity.system)
        if system is None:
            return NOTHING
        if quantity.code is not None:
            unit = reader.unit(system, quantity.code)
            return (
                NOTHING if unit is None else amounts(reader, pid, prefix, low, high, Sql("unit = ?", (unit,)), (unit,))
            )
        sql = "SELECT nid FROM unit WHERE system = ?"
        among = frozenset(row[0] for row in reader.connection.execute(sql, (system,)))
        units = Sql("unit IN (SELECT nid FROM unit WHERE system = ?)", (system,))
        return amounts(reader, pid, prefix, low, high, units, among)

    def _reference(self, pid: int, reference: Reference) -> Node:
        nodes = [self._target(pid, rid, reference.version) for rid in self._targets(reference)]
        return some(self._reader, tuple(nodes))

    def _targets(self, reference: Reference) -> list[int]:
        if reference.type is not None:
            tid = self._reader.type(reference.type)
            rid = None if tid is None else self._reader.resource(tid, reference.id)
            return [] if rid is None else [rid]
        sql = "SELECT r.rid FROM type CROSS JOIN resource r INDEXED BY resource_id ON r.tid = type.tid AND r.id = ?"
        return [row[0] for row in self._reader.connection.execute(sql, (reference.id,))]

    def _target(self, pid: int, rid: int, version: str | None) -> Node:
        node = listed(self._reader, (Posting("reference", pid, rid),))
        if version is None:
            return node
        return Node(
            where=all_of([node.where, self._reader.ask(lambda blob: has_reference(blob, pid, rid, version))]),
            postings=node.postings,
            exact=False,
        )

    def _chain(self, pid: int, chain: Chain) -> Node:
        tid = self._reader.type(chain.type)
        if tid is None:
            return NOTHING
        inner = Compiler(self._reader, tid, depth=self._depth + 1).node(chain.criterion)
        return chained(self._reader, pid, tid, inner, self._depth)

    def _has(self, has: Has) -> Node:
        tid = self._reader.type(has.type)
        pid = None if tid is None else self._reader.param(tid, has.param)
        if tid is None or pid is None:
            return NOTHING
        inner = Compiler(self._reader, tid, depth=self._depth + 1).node(has.criterion)
        return referred(self._reader, self._tid, pid, tid, inner, self._depth)


def leaves(criterion: Criterion) -> int:
    """Count what has to be looked up to compile a criterion."""
    match criterion:
        case AllOf(criteria) | AnyOf(criteria):
            return sum(leaves(each) for each in criteria)
        case Not(inner) | Chain(criterion=inner) | Has(criterion=inner):
            return leaves(inner)
        case Ids(ids=ids):
            return len(ids)
    return 1


def _label(criterion: Criterion) -> str:
    param = getattr(criterion, "param", "")
    return f"{type(criterion).__name__} {param}".rstrip()
