"""Criteria compiled as of one snapshot."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import json
from collections.abc import Sequence

from toro_core.search.plan import AllOf, AnyOf, Criterion, Ids, LastUpdated, Period, Reference, Text, Token, Uri
from toro_sqlite.names import Names
from toro_sqlite.nodes import NOTHING, Node, every, listed, some
from toro_sqlite.postings import Posting
from toro_sqlite.ranges import date_where, instant_where, list_dates, prefix_end, sort_bounds
from toro_sqlite.sql import Sql, all_of

__all__ = ["Compiler", "leaves"]

_MANY = 64
"""Systems of one code beyond which its lists are no longer merged."""


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
                return every(tuple(self.node(each) for each in criteria))
            case AnyOf(criteria):
                return some(tuple(self.node(each) for each in criteria))
            case Ids(ids=ids):
                return self._ids(ids)
            case LastUpdated(prefix=prefix, low=low, high=high):
                return self._last_updated(instant_where(prefix, low, high))
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
                return NOTHING if uid is None else listed((Posting("uri", pid, uid),))

    def _ids(self, ids: Sequence[str]) -> Node:
        sql = "SELECT rid FROM resource WHERE tid = ? AND id = ? AND sort IS NOT NULL"
        rows = (self._names.connection.execute(sql, (self._tid, id)).fetchone() for id in dict.fromkeys(ids))
        rids = [row[0] for row in rows if row is not None]
        if not rids:
            return NOTHING
        # Numbers of this package, so JSON says them faithfully; one parameter, however many they are.
        numbers = json.dumps(rids)
        return Node(
            where=Sql("@rid IN (SELECT value FROM json_each(?))", (numbers,)),
            listing=Sql("SELECT value AS rid FROM json_each(?)", (numbers,)),
            once=True,
        )

    def _last_updated(self, where: Sql) -> Node:
        listing = Sql(
            "SELECT rid FROM resource r INDEXED BY resource_at WHERE r.tid = ? AND r.sort IS NOT NULL AND ",
            (self._tid,),
        )
        return Node(where=where, listing=listing + where.on("r.rid", "r.sort"), once=True)

    def _token(self, pid: int, system: str | None, code: str | None) -> Node:
        uid = None if system is None else self._names.value(system)
        if system is not None and uid is None:
            return NOTHING
        if code is None:
            # No list is by system alone.
            return Node(where=_in_blob("has_token", pid, code, uid))
        systems = self._systems(pid, code) if uid is None else [uid]
        if len(systems) <= _MANY:
            return listed(tuple(Posting("token", pid, code, each) for each in systems))
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
        exists = Sql("EXISTS (SELECT 1 FROM date NOT INDEXED WHERE rid = @rid AND param = ? AND ", (pid,))
        return Node(
            where=exists + date_where(prefix, low, high) + Sql(")"),
            listing=list_dates(pid, prefix, low, high),
            bounds=sort_bounds(self._names.gap(pid), prefix, low, high),
        )

    def _reference(self, pid: int, reference: Reference) -> Node:
        nodes = [self._target(pid, rid, reference.version) for rid in self._targets(reference)]
        return some(tuple(nodes))

    def _targets(self, reference: Reference) -> list[int]:
        if reference.type is not None:
            tid = self._names.type(reference.type)
            rid = None if tid is None else self._names.resource(tid, reference.id)
            return [] if rid is None else [rid]
        sql = "SELECT r.rid FROM type CROSS JOIN resource r INDEXED BY resource_id ON r.tid = type.tid AND r.id = ?"
        return [row[0] for row in self._names.connection.execute(sql, (reference.id,))]

    @staticmethod
    def _target(pid: int, rid: int, version: str | None) -> Node:
        node = listed((Posting("reference", pid, rid),))
        if version is None:
            return node
        return Node(
            where=all_of([node.where, _in_blob("has_reference", pid, rid, version)]),
            postings=node.postings,
            exact=False,
        )


def leaves(criterion: Criterion) -> int:
    """Count what has to be looked up to compile a criterion."""
    match criterion:
        case AllOf(criteria) | AnyOf(criteria):
            return sum(leaves(each) for each in criteria)
        case Ids(ids=ids):
            return len(ids)
    return 1


def _text(pid: int, prefix: str) -> Node:
    end = prefix_end(prefix)
    where = Sql("folded >= ?", (prefix,)) + (Sql(" AND folded < ?", (end,)) if end is not None else Sql(""))
    return Node(
        where=Sql("EXISTS (SELECT 1 FROM string NOT INDEXED WHERE rid = @rid AND param = ? AND ", (pid,))
        + where
        + Sql(")"),
        listing=Sql("SELECT rid FROM string INDEXED BY string_folded WHERE param = ? AND ", (pid,)) + where,
    )


def _in_blob(function: str, *args: int | str | None) -> Sql:
    marks = ", ".join("?" * len(args))
    return Sql(f"{function}((SELECT postings FROM resource WHERE rid = @rid), {marks})", args)
