"""Criteria resolved as of one snapshot."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import dataclasses

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
    Period,
)
from toro_core.storage import Key
from toro_postgres.access import MERGED
from toro_postgres.keys import text
from toro_postgres.leaves import GroupLeaves, Leaves
from toro_postgres.names import COMPARTMENT
from toro_postgres.nodes import NOTHING, Node, every, listed, negated, some
from toro_postgres.ranges import instant_where, sort_bounds
from toro_postgres.reader import Reader
from toro_postgres.sql import APART, Sql, all_of

__all__ = ["Compiler", "compiled"]

_FEW = 2_000
"""Resources that a join's inner criterion may list for the set of them to be made once; else each candidate is asked."""
_DENSE = 16
"""Resources of a type for each that refers to what is searched, up to which one that does is met soon."""


async def compiled(reader: Reader, type: str, criterion: Criterion) -> Node:
    """Resolve a criterion on a type."""
    names = reader.database.names
    compiler, known = Compiler(reader, type), names.known
    node = await compiler.node(criterion)
    if compiler.is_unsure:
        # Another process may have added the name that was missing.
        await names.refresh(reader.connection)
    if names.known > known:
        node = await Compiler(reader, type).node(criterion)
    return node


class Compiler:
    """Resolves criteria on one type. It `is_unsure` after it did not find a name."""

    def __init__(self, reader: Reader, type: str, *, depth: int = 0) -> None:
        """Look up with this; `depth` counts the joins around."""
        self._reader = reader
        self._names = reader.database.names
        self._keys = reader.database.keys
        self._type = type
        self._tid = self._names.type(type)
        self._depth = depth
        self._leaves = Leaves(self._names, self._keys, type)
        self._group_leaves = GroupLeaves(self._names, self._keys, type)
        self.is_unsure = self._tid is None

    async def node(self, criterion: Criterion) -> Node:
        """Resolve."""
        if self._tid is None:
            return NOTHING
        match criterion:
            case AllOf(criteria):
                return every([await self.node(each) for each in criteria])
            case AnyOf(criteria):
                return some([await self.node(each) for each in criteria])
            case Not(inner):
                return negated(await self.node(inner))
            case Ids(ids=ids):
                return self._ids(self._tid, [text(id) for id in dict.fromkeys(ids)])
            case LastUpdated(prefix=prefix, low=low, high=high):
                where = instant_where(prefix, low, high)
                listing = Sql("SELECT r.place, r.rid FROM resource r WHERE r.tid = %s AND ", (self._tid,))
                return Node(test=where, listing=listing + where.on("r", "r"), is_distinct=True, is_exact=True)
            case Compartment(id=id):
                pid = self._pid(COMPARTMENT)
                return NOTHING if pid is None else listed(pid, [self._keys.reference(Key("Patient", id))])
            case Composite():
                return self._composite(criterion)
            case Chain():
                return await self._chain(criterion)
            case Has():
                return await self._has(criterion)
        pid = self._pid(criterion.param)
        if pid is None:
            return NOTHING
        self.is_unsure |= getattr(criterion, "type", "") is None
        node = self._leaves.node(pid, criterion)
        if isinstance(criterion, Period) and not self._depth:
            gap = await self._names.recent_gap(self._reader.connection, pid)
            bounds = sort_bounds(pid, gap, criterion.prefix, criterion.low, criterion.high)
            node = dataclasses.replace(node, bounds=bounds)
        return node

    def _pid(self, code: str) -> int | None:
        pid = self._names.param(self._type, code)
        self.is_unsure |= pid is None
        return pid

    def _ids(self, tid: int, ids: list[bytes]) -> Node:
        if not ids:
            return NOTHING
        where = Sql("@id = ANY(%s::bytea[])", (ids,))
        listing = Sql("SELECT r.place, r.rid FROM resource r WHERE r.tid = %s AND ", (tid,)) + where.on("r", "r")
        return Node(test=where, listing=listing, is_distinct=True, is_exact=True, most=len(ids))

    def _composite(self, composite: Composite) -> Node:
        pid = self._pid(composite.param)
        if pid is None:
            return NOTHING
        tests = [self._in_group(each).test for each in composite.criteria]
        test = Sql(
            "EXISTS (SELECT 1 FROM jsonb_array_elements(@groups) AS g(doc) WHERE (g.doc->>'param')::integer = %s AND ",
            (pid,),
        )
        return Node(test=test + all_of(tests) + Sql(")"))

    def _in_group(self, criterion: Criterion) -> Node:
        match criterion:
            case AllOf(criteria):
                return every([self._in_group(each) for each in criteria])
            case AnyOf(criteria):
                return some([self._in_group(each) for each in criteria])
            case Not(inner):
                return negated(self._in_group(inner))
            case Ids() | LastUpdated() | Compartment() | Composite() | Chain() | Has():
                raise TypeError("not a criterion on rows")
        pid = self._pid(criterion.param)
        self.is_unsure |= getattr(criterion, "type", "") is None
        return NOTHING if pid is None else self._group_leaves.node(pid, criterion)

    async def _chain(self, chain: Chain) -> Node:
        pid = self._pid(chain.param)
        inner, tid = await self._inner(chain.type, chain.criterion)
        if pid is None or tid is None or inner is NOTHING:
            return NOTHING
        y = f"y{self._depth}"
        own = Sql("EXISTS (SELECT 1 FROM unnest(@pids, @vals) AS k(pid, val) WHERE k.pid = %s AND ", (pid,))
        count = await self._listed(inner)
        if count is None:
            asked = Sql(f"EXISTS (SELECT 1 FROM resource {y} WHERE {y}.self = k.val AND {y}.tid = %s AND ", (tid,))
            return Node(test=own + asked + inner.test.on(y, y) + Sql(f"{APART}){APART})"))
        targets = self._selected(f"{y}.self", "", tid, inner)
        return Node(
            # A set that is made once, whatever the planner would make of a join.
            test=own + Sql("(k.val IN (") + targets + Sql(")) IS TRUE)"),
            listing=Sql("SELECT place, rid FROM posting WHERE param = %s AND value = ANY(ARRAY(", (pid,))
            + targets
            + Sql("))"),
            is_exact=True,
            pid=pid,
            chosen=targets if count <= MERGED and not self._reader.database.is_cluster else None,
        )

    async def _has(self, has: Has) -> Node:
        inner, tid = await self._inner(has.type, has.criterion)
        pid = self._names.param(has.type, has.param)
        self.is_unsure |= pid is None
        if pid is None or tid is None or inner is NOTHING:
            return NOTHING
        y = f"y{self._depth}"
        if await self._are_asked(inner, tid):
            joined = f" JOIN resource {y} ON {y}.rid = p.rid AND {y}.place = p.place" if inner.test.needs_row else ""
            test = Sql(f"EXISTS (SELECT 1 FROM posting p{joined} WHERE p.param = %s AND p.value = @self AND ", (pid,))
            return Node(test=test + inner.test.on("p", y) + Sql(f"{APART})"))
        targets = self._selected("k.val", f" CROSS JOIN LATERAL unnest({y}.pids, {y}.vals) AS k(pid, val)", tid, inner)
        targets += Sql(" AND k.pid = %s", (pid,))
        return Node(
            test=Sql("(@self IN (") + targets + Sql(")) IS TRUE"),
            listing=Sql("SELECT r.place, r.rid FROM resource r WHERE r.tid = %s AND r.self = ANY(ARRAY(", (self._tid,))
            + targets
            + Sql("))"),
            is_distinct=True,
            is_exact=True,
        )

    async def _inner(self, type: str, criterion: Criterion) -> tuple[Node, int | None]:
        compiler = Compiler(self._reader, type, depth=self._depth + 1)
        node = await compiler.node(criterion)
        self.is_unsure |= compiler.is_unsure
        return node, self._names.type(type)

    async def _listed(self, inner: Node) -> int | None:
        """Return how many an inner criterion lists, None where each candidate should be asked instead, as that is many."""
        if self._reader.database.is_cluster:
            return _FEW
        if inner.listing is None:
            return None
        if inner.most is not None and inner.most <= MERGED:
            return inner.most
        (count,) = await self._reader.count([inner.listing], _FEW)
        return None if count >= _FEW else count

    async def _are_asked(self, inner: Node, tid: int) -> bool:
        """Tell whether each resource should be asked if one of the other type, for which `inner` holds, refers to it.

        That is where many do, or so many that what has to be asked before one is found is less than all that do.
        """
        count = await self._listed(inner)
        if count is None or self._reader.database.is_cluster:
            return count is None
        sizes, connection = self._reader.database.sizes, self._reader.connection
        return (
            await sizes.of(connection, tid) < _DENSE * count
            and self._tid is not None
            and await sizes.of(connection, self._tid) < _DENSE // 4 * count
        )

    def _selected(self, column: str, joined: str, tid: int, inner: Node) -> Sql:
        """Select something of the resources for which a node holds."""
        y = f"y{self._depth}"
        if inner.listing is None:
            source = Sql(f"SELECT {column} FROM resource {y}{joined}")
        else:
            source = Sql(f"SELECT {column} FROM (SELECT DISTINCT place, rid FROM (") + inner.listing
            source += Sql(f") l) i JOIN resource {y} ON {y}.rid = i.rid AND {y}.place = i.place{joined}")
        return source + Sql(f" WHERE {y}.tid = %s AND ", (tid,)) + inner.test.on(y, y)
