"""Criteria on a resource's own rows: the same ones are asked of a resource and, in a Composite, of a group of rows."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from typing import ClassVar, TypeAlias

from toro_core.search.plan import Number, Period, Present, Quantity, Reference, Text, Token, Uri
from toro_core.storage import Key
from toro_postgres.keys import Keys, prefix_end, text
from toro_postgres.names import Names
from toro_postgres.nodes import NOTHING, Node, listed, some
from toro_postgres.ranges import date_where, number_where
from toro_postgres.sql import APART, Sql, all_of, any_of

__all__ = ["GroupLeaves", "Leaf", "Leaves"]

Leaf: TypeAlias = Token | Text | Period | Number | Quantity | Reference | Uri | Present

_INDEXED_LENGTH = 200
"""Bytes of a text that are in its index."""


class Leaves:
    """Resolves criteria on resources of a type."""

    def __init__(self, names: Names, keys: Keys, type: str) -> None:
        """Use these numbers and digests."""
        self._names = names
        self._keys = keys
        self._type = type

    def node(self, pid: int, criterion: Leaf) -> Node:
        """Resolve one of the parameter `pid`."""
        of = self._keys.of
        match criterion:
            case Token(system=None, code=None):
                return self._marked(of("tokens", str(pid)))
            case Token(system=str(system), code=None):
                return self._marked(of("system", str(pid), system))
            case Token(system=None, code=str(code)):
                return self._posted(pid, [of("code", code)])
            case Token(system=str(system), code=str(code)):
                return self._posted(pid, [of("token", system, code)])
            case Uri(value=value, match="exact"):
                return self._posted(pid, [of("uri", value)])
            case Uri(value=value):
                return self._rows("string", pid, _starts(value, is_uri=True))
            case Text(match=match):
                return self._rows("string", pid, _text(criterion), is_slow=match == "contains")
            case Period(prefix=prefix, low=low, high=high):
                return self._rows("date", pid, date_where(prefix, low, high))
            case Number(prefix=prefix, low=low, high=high):
                unit = Sql("a.unit = %s::uuid AND ", (of("number"),))
                return self._rows("amount", pid, unit + number_where(prefix, low, high))
            case Quantity(prefix=prefix, low=low, high=high, system=system, code=code):
                unit = Sql("a.system = %s::uuid AND ", (of("units", system),))
                if code is not None:
                    unit = Sql("a.unit = %s::uuid AND ", (of("unit", system, code),))
                return self._rows("amount", pid, unit + number_where(prefix, low, high))
            case Present(type=None):
                return self._marked(of("present", str(pid)))
            case Present(type=str(type)):
                return self._marked(of("type", str(pid), type))
            case Reference():
                return self._reference(pid, criterion)
        raise TypeError("not a criterion on rows")

    def _reference(self, pid: int, wanted: Reference) -> Node:
        types = self._names.targets(self._type, wanted.param) if wanted.type is None else {wanted.type}
        targets = [Key(type, wanted.id) for type in sorted(types)]
        if wanted.version is None:
            return self._posted(pid, [self._keys.reference(target) for target in targets])
        return some([self._versioned(pid, target, wanted.version) for target in targets])

    def _versioned(self, pid: int, target: Key, version: str) -> Node:
        node = self._posted(pid, [self._keys.reference(target)])
        marked = self._marked(self._keys.of("version", str(pid), *target, version))
        return Node(test=all_of([node.test, marked.test]), listing=node.listing)

    def _posted(self, pid: int, values: list[str]) -> Node:
        return listed(pid, values)

    def _marked(self, mark: str) -> Node:
        return Node(test=Sql("%s::uuid = ANY(@marks)", (mark,)))

    def _rows(self, table: str, pid: int, where: Sql, *, is_slow: bool = False) -> Node:
        alias = table[0]
        test = Sql(f"EXISTS (SELECT 1 FROM {table} {alias} WHERE {alias}.rid = @rid AND {alias}.place = @place AND ")
        where = Sql(f"{alias}.param = %s AND ", (pid,)) + where
        return Node(
            test=test + where + Sql(f"{APART})"),
            listing=Sql(f"SELECT {alias}.place, {alias}.rid FROM {table} {alias} WHERE ") + where,
            is_slow=is_slow,
        )


class GroupLeaves(Leaves):
    """Resolves criteria on one group, `g` in the statement around them; its tables are in its JSON."""

    _COLUMNS: ClassVar[dict[str, str]] = {
        "string": "param integer, folded bytea, exact bytea",
        "date": "param integer, low bigint, high bigint",
        "amount": "param integer, unit uuid, system uuid, low float8, high float8",
    }

    def _posted(self, pid: int, values: list[str]) -> Node:
        if not values:
            return NOTHING
        return Node(test=any_of([Sql("g.doc->'vals' ? %s", (f"{pid}:{value}",)) for value in values]))

    def _marked(self, mark: str) -> Node:
        return Node(test=Sql("g.doc->'marks' ? %s", (mark,)))

    def _rows(self, table: str, pid: int, where: Sql, *, is_slow: bool = False) -> Node:
        alias = table[0]
        source = f"jsonb_to_recordset(g.doc->'{table}') AS {alias}({self._COLUMNS[table]})"
        test = Sql(f"EXISTS (SELECT 1 FROM {source} WHERE {alias}.param = %s AND ", (pid,)) + where + Sql(")")
        return Node(test=test)


def _text(wanted: Text) -> Sql:
    value = text(wanted.value)
    match wanted.match:
        case "starts":
            return _starts(wanted.value, is_uri=False)
        case "contains":
            return Sql("s.exact IS NOT NULL AND position(%s::bytea IN s.folded) > 0", (value,))
        case "exact":
            return Sql("s.exact = %s", (value,))


def _starts(start: str, *, is_uri: bool) -> Sql:
    kind = Sql("s.exact IS NULL" if is_uri else "s.exact IS NOT NULL")
    value = text(start)
    if not value:
        return kind
    head = value[:_INDEXED_LENGTH]
    where = kind + Sql(f" AND substring(s.folded, 1, {_INDEXED_LENGTH}) >= %s", (head,))
    if (end := prefix_end(head)) is not None:
        where += Sql(f" AND substring(s.folded, 1, {_INDEXED_LENGTH}) < %s", (end,))
    return where + Sql(" AND substring(s.folded, 1, %s::integer) = %s", (len(value), value))
