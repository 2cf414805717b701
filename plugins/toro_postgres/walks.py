"""Statements that select matches: tested and sorted, or walked in the order of the answer."""

from __future__ import annotations

from collections.abc import Iterator

from toro_core.search.plan import MISSING, Cursor
from toro_postgres.access import Access
from toro_postgres.nodes import Node
from toro_postgres.order import Order
from toro_postgres.ranges import within
from toro_postgres.sql import Sql, all_of

__all__ = ["statements", "tested"]


def statements(order: Order, how: Access, cursor: Cursor | None, limit: int) -> Iterator[Sql]:
    """Say what selects the keys, rid and place of matches, in the order of the answer; each goes on where the last one ended."""
    if not how.walked:
        source, tests = tested(how.tid, how.node, how.driver)
        yield _sorted(order, source, tests, cursor)
        return
    if cursor is None or cursor[0] is not None:
        yield _with_key(order, how, cursor, limit)
    if order.keys[0].param not in ("_id", "_lastUpdated"):
        yield _without_key(order, how, cursor if cursor is not None and cursor[0] is None else None, limit)


def tested(tid: int, node: Node, driver: Node | None) -> tuple[Sql, Sql]:
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
    source, tests = tested(how.tid, how.node, how.driver)
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
