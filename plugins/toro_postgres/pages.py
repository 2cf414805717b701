"""Searches: either what a selective criterion lists is tested and sorted, or a list is walked in the order of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from toro_core.search.plan import MISSING, Cursor, SearchPlan
from toro_core.storage import Key, Page, Stored
from toro_postgres.compiler import compiled
from toro_postgres.keys import untext
from toro_postgres.nodes import NOTHING, Node
from toro_postgres.order import Order
from toro_postgres.ranges import within
from toro_postgres.reader import Reader
from toro_postgres.sql import Row, Sql, all_of, rows

__all__ = ["Access", "access", "count", "page", "statements"]

FEW = 2_000
"""Resources that are tested and sorted rather than found in the order of the answer."""
MERGED = 64
"""Lists that are merged; where there are more, the type is walked."""
_FIRST = 200
"""Resources of a page whose JSON is asked for at once; more are asked for as long as there is room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a criterion on a type is answered: `driver` lists what is tested, in the order of the answer where it is `walked`."""

    tid: int
    node: Node
    driver: Node | None
    walked: bool


async def page(reader: Reader, plan: SearchPlan) -> Page:
    """Return one page of matches."""
    node = await compiled(reader, plan.type, plan.criterion)
    tid = reader.database.names.type(plan.type)
    if tid is None or node is NOTHING:
        return Page(resources=(), cursor=None)
    order = Order(reader, plan.type, plan.sort)
    how = await access(reader, tid, node, order)
    found: list[Row] = []
    for statement in statements(order, how, plan.cursor, plan.limit + 1):
        found += await rows(reader.connection, statement + Sql(" LIMIT %s", (plan.limit + 1 - len(found),)))
        if len(found) > plan.limit:
            break
    return await _filled(reader, plan, order, found)


async def count(reader: Reader, plan: SearchPlan, at_most: int | None) -> int:
    """Count matches, at most so many."""
    node = await compiled(reader, plan.type, plan.criterion)
    tid = reader.database.names.type(plan.type)
    if tid is None or node is NOTHING:
        return 0
    driver = await _fewest(reader, [each for each in node.conjuncts if each.listing], FEW)
    if driver and len(driver[0].values) == 1:
        others = all_of([each.test for each in node.conjuncts if each is not driver[0]])
        source, tests = (
            Sql("posting x"),
            Sql("x.param = %s AND x.value = %s::uuid AND ", (driver[0].pid, *driver[0].values)),
        )
        if others.needs_row:
            source += Sql(" JOIN resource r ON r.rid = x.rid AND r.place = x.place")
        tests += others.on("x", "r")
    else:
        source, tests = _source(tid, node, driver[0] if driver else None)
    found = Sql("SELECT count(*) FROM (SELECT 1 FROM ") + source + Sql(" WHERE ") + tests
    ((number,),) = await rows(reader.connection, found + Sql(" LIMIT %s::bigint) f", (at_most,)))
    return int(number)


async def access(reader: Reader, tid: int, node: Node, order: Order) -> Access:
    """Choose what is read first."""
    candidates = [each for each in node.conjuncts if each.listing]
    # The only list, and it is in order: whether it is long makes no difference.
    if len(candidates) == 1 and order.is_own and 0 < len(candidates[0].values) <= MERGED:
        return Access(tid=tid, node=node, driver=candidates[0], walked=True)
    fewest = await _fewest(reader, candidates, FEW)
    if fewest and fewest[1] < FEW:
        return Access(tid=tid, node=node, driver=fewest[0], walked=False)
    lists = [each for each in candidates if 0 < len(each.values) <= MERGED] if order.is_own else []
    driver = (await _fewest(reader, lists, 10 * FEW) or (None,))[0] if len(lists) > 1 else next(iter(lists), None)
    return Access(tid=tid, node=node, driver=driver, walked=True)


def statements(order: Order, how: Access, cursor: Cursor | None, limit: int) -> Iterator[Sql]:
    """Say what selects the keys, rid and place of matches, in the order of the answer; each goes on where the last one ended."""
    if not how.walked:
        source, tests = _source(how.tid, how.node, how.driver)
        yield _sorted(order, source, tests, cursor)
        return
    if cursor is None or cursor[0] is not None:
        yield _with_key(order, how, cursor, limit)
    if order.keys[0].param not in ("_id", "_lastUpdated"):
        yield _without_key(order, how, cursor if cursor is not None and cursor[0] is None else None, limit)


async def _fewest(reader: Reader, nodes: list[Node], most: int) -> tuple[Node, int] | None:
    if not nodes:
        return None
    counts = await reader.count([each.listing for each in nodes if each.listing], most)
    least = min(counts)
    return nodes[counts.index(least)], least


def _source(tid: int, node: Node, driver: Node | None) -> tuple[Sql, Sql]:
    """Return rows of resources to be tested, as x, and the tests of each."""
    tests = [
        Sql("x.tid = %s", (tid,)),
        *(each.test for each in node.conjuncts if each is not driver or not each.values),
    ]
    if driver is None or driver.listing is None:
        return Sql("resource x"), all_of(tests).on("x", "x")
    source = Sql("(SELECT DISTINCT place, rid FROM (") + driver.listing
    source += Sql(") l) i JOIN resource x ON x.rid = i.rid AND x.place = i.place")
    return source, all_of(tests).on("x", "x")


def _sorted(order: Order, source: Sql, tests: Sql, cursor: Cursor | None) -> Sql:
    if cursor is not None:
        tests = all_of([tests, order.after(cursor, order.columns).on("x", "x")])
    select = Sql("SELECT ") + order.selected().on("x", "x") + Sql(", x.rid, x.place FROM ") + source
    return select + Sql(" WHERE ") + tests + Sql(f" ORDER BY {order.by()}")


def _with_key(order: Order, how: Access, cursor: Cursor | None, limit: int) -> Sql:
    """Walk what has the first sort key."""
    if not order.is_own:
        return _by_index(order, how, cursor)
    tests = [Sql("@sort < %s", (MISSING,))]
    if cursor is not None:
        value, rid = order.values(cursor)[0], order.values(cursor)[-1]
        way = "<" if order.keys[0].descending else ">"
        if len(order.keys) == 1:
            tests.append(Sql(f"(@sort, @rid) {way} (%s, %s)", (value, rid)))
        else:
            tests += [Sql(f"@sort {way}= %s", (value,)), order.after(cursor, order.columns)]
    return _walks(order, how, tests, limit)


def _without_key(order: Order, how: Access, cursor: Cursor | None, limit: int) -> Sql:
    """Walk what does not have the first sort key."""
    if order.is_own:
        after = [] if cursor is None else [order.after(cursor, order.columns)]
        return _walks(order, how, [Sql("@sort = %s", (MISSING,)), *after], limit)
    source, tests = _source(how.tid, how.node, how.driver)
    return _sorted(order, source, all_of([tests, (order.columns[0] + Sql(" IS NULL")).on("x", "x")]), cursor)


def _walks(order: Order, how: Access, tests: list[Sql], limit: int) -> Sql:
    """Walk the driver's lists, or the type, in the order of the resource's sort value."""
    tests = [*(each.test for each in how.node.conjuncts if each is not how.driver), within(how.node.bounds), *tests]
    if how.driver is None:
        return _walk(order, Sql("resource x"), [Sql("x.tid = %s", (how.tid,)), *tests], "x")
    values = how.driver.values
    if len(values) == 1:
        where = Sql("x.param = %s AND x.value = %s::uuid", (how.driver.pid, values[0]))
        return _walk(order, Sql("posting x"), [where, *tests], "r")
    # As many of each list as are asked for; those that come first among them come first of all.
    where = Sql("x.param = %s AND x.value = v.value", (how.driver.pid,))
    branch = _walk(order, Sql("posting x"), [where, *tests], "r") + Sql(" LIMIT %s", (limit,))
    merged = (
        Sql("SELECT DISTINCT b.* FROM unnest(%s::uuid[]) AS v(value) CROSS JOIN LATERAL (", (list(values),)) + branch
    )
    return merged + Sql(f") b ORDER BY {order.by().replace(' NULLS LAST', '', 1)}")


def _walk(order: Order, source: Sql, tests: list[Sql], row: str) -> Sql:
    """Select in the order of the resource's sort value, joining its row as `r` where that is needed."""
    where, selected = all_of(tests), order.selected()
    if row == "r" and (where.needs_row or selected.needs_row):
        source += Sql(" JOIN resource r ON r.rid = x.rid AND r.place = x.place")
    # The very column, for an index has it in order.
    columns = selected.text.replace("nullif(@sort, %s) AS k0", "@sort AS k0", 1)
    selected = Sql(columns, selected.args[1:])
    by = order.by().replace(" NULLS LAST", "", 1)
    select = Sql("SELECT ") + selected.on("x", row) + Sql(", x.rid, x.place FROM ") + source
    return select + Sql(" WHERE ") + where.on("x", row) + Sql(f" ORDER BY {by}")


def _by_index(order: Order, how: Access, cursor: Cursor | None) -> Sql:
    """Walk the index of another first sort key."""
    key = order.keys[0]
    column = {"_id": "x.id", "_lastUpdated": "x.at"}.get(key.param or "", "o.value")
    tests = [Sql("x.tid = %s", (how.tid,)), how.node.test]
    source = Sql("resource x")
    if column == "o.value":
        source = Sql("ordering o JOIN resource x ON x.rid = o.rid AND x.place = o.place")
        tests.append(Sql("o.param = %s AND o.way <> %s", (order.pid(key), 1 if key.descending else 2)))
    columns = (Sql(column), *order.columns[1:])
    if cursor is not None:
        way = "<" if key.descending else ">"
        tests += [Sql(f"{column} {way}= %s", (order.values(cursor)[0],)), order.after(cursor, columns)]
    selected = Sql(f"{column} AS k0")
    for n, each in enumerate(columns[1:], 1):
        selected += Sql(", ") + each + Sql(f" AS k{n}")
    select = Sql("SELECT ") + selected.on("x", "x") + Sql(", x.rid, x.place FROM ") + source
    by = order.by().replace(" NULLS LAST", "", 1)
    return select + Sql(" WHERE ") + all_of(tests).on("x", "x") + Sql(f" ORDER BY {by}")


async def _filled(reader: Reader, plan: SearchPlan, order: Order, found: list[Row]) -> Page:
    """Read the JSON of a page's resources, as far as there is room."""
    resources: list[Stored] = []
    size, wanted = 0, found[: plan.limit]
    for start in range(0, len(wanted), _FIRST):
        chunk = wanted[start : start + _FIRST]
        for stored in await _read(reader, plan.type, [row[-2:] for row in chunk]):
            size += len(stored.json)
            if resources and size > plan.max_bytes:
                return Page(resources=resources, cursor=_cursor(order, found[len(resources) - 1]))
            resources.append(stored)
    more = len(found) > plan.limit
    return Page(resources=resources, cursor=_cursor(order, wanted[-1]) if more else None)


def _cursor(order: Order, row: Row) -> Cursor:
    # A walk shows the resource's sort value as it is kept.
    return order.cursor(
        tuple(None if value == MISSING and n < len(order.keys) else value for n, value in enumerate(row[:-1]))
    )


async def _read(reader: Reader, type: str, wanted: list[Row]) -> list[Stored]:
    statement = Sql(
        "SELECT v.id, v.version, v.seq, v.at, v.json FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS w(rid, place, n)"
        " JOIN resource r ON r.rid = w.rid AND r.place = w.place"
        " JOIN version v ON v.rid = r.rid AND v.version = r.version AND v.place = r.place ORDER BY w.n",
        ([rid for rid, _ in wanted], [place for _, place in wanted]),
    )
    found = await rows(reader.connection, statement)
    return [Stored(Key(type, untext(id)), version, seq, at, False, json) for id, version, seq, at, json in found]
