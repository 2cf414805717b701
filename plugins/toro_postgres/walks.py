"""Statements that select matches: tested and sorted, or walked in the order of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toro_core.search.plan import MISSING, Cursor
from toro_postgres.access import Access
from toro_postgres.nodes import Node
from toro_postgres.order import Order
from toro_postgres.ranges import within
from toro_postgres.sql import Sql, all_of
from toro_postgres.strides import longest

__all__ = ["statements", "tested"]


def statements(order: Order, how: Access, cursor: Cursor | None, limit: int) -> Iterator[Sql]:
    """Say what selects the keys, rid and place of matches, in the order of the answer; each goes on where the last one ended."""
    if not how.walked:
        source, tests = tested(how.tid, how.node, how.drivers[0])
        yield _sorted(order, source, tests, cursor)
    elif order.is_own:
        yield _by_sort(order, how, cursor, limit)
    else:
        if cursor is None or cursor[0] is not None:
            yield _by_index(order, how, cursor)
        if order.keys[0].param not in ("_id", "_lastUpdated"):
            yield _without_key(order, how, cursor if cursor is not None and cursor[0] is None else None)


def tested(tid: int, node: Node, driver: Node | None) -> tuple[Sql, Sql]:
    """Return rows of resources to be tested, as x, and the tests of each."""
    tests = [
        Sql("x.tid = %s", (tid,)),
        *(each.test for each in node.conjuncts if each is not driver or not each.is_exact),
    ]
    if driver is None or driver.listing is None:
        return Sql("resource x"), all_of(tests).on("x", "x")
    listing = driver.listing
    if not driver.is_distinct:
        listing = Sql("SELECT DISTINCT place, rid FROM (") + listing + Sql(") l")
    return Sql("(") + listing + Sql(") i JOIN resource x ON x.rid = i.rid AND x.place = i.place"), all_of(tests).on(
        "x", "x"
    )


def _sorted(order: Order, source: Sql, tests: Sql, cursor: Cursor | None) -> Sql:
    if cursor is not None:
        tests = all_of([tests, order.after(cursor, order.columns).on("x", "x")])
    select = Sql("SELECT ") + order.selected().on("x", "x") + Sql(", x.rid, x.place FROM ") + source
    return select + Sql(" WHERE ") + tests + Sql(f" ORDER BY {order.by()}")


def _by_sort(order: Order, how: Access, cursor: Cursor | None, limit: int) -> Sql:
    """Walk in the order of the resources' sort values, of which one that is missing is kept as the greatest, and comes last."""
    begun = None if cursor is None or cursor[0] is None else cursor
    if not order.keys[0].descending:
        if cursor is not None and begun is None:
            return _walks(order, how, [Sql("@sort = %s", (MISSING,))], [order.after(cursor, order.columns)], limit)
        return _walks(order, how, *_after(order, begun), limit)
    ended = None if begun is not None else cursor
    after = [] if ended is None else [order.after(ended, order.columns)]
    without_key = _walks(order, how, [Sql("@sort = %s", (MISSING,))], after, limit)
    if ended is not None:
        return without_key
    reach, rest = _after(order, begun)
    with_key = _walks(order, how, [*reach, Sql("@sort < %s", (MISSING,))], rest, limit)
    # Appended, and read as far as is asked for.
    bound = Sql(" LIMIT %s)", (limit,))
    return Sql("(") + with_key + bound + Sql(" UNION ALL (") + without_key + bound


def _after(order: Order, cursor: Cursor | None) -> tuple[list[Sql], list[Sql]]:
    """Return what holds of a list's part after a position, and what has to be tested there."""
    if cursor is None:
        return [], []
    value, rid = order.values(cursor)[0], order.values(cursor)[-1]
    way = "<" if order.keys[0].descending else ">"
    if len(order.keys) == 1:
        return [Sql(f"(@sort, @rid) {way} (%s, %s)", (value, rid))], []
    return [Sql(f"@sort {way}= %s", (value,))], [order.after(cursor, order.columns)]


def _walks(order: Order, how: Access, reach: list[Sql], tests: list[Sql], limit: int) -> Sql:
    """Walk the drivers' lists, or the type, as far as `reach` says, in the order of the resource's sort value."""
    reach = [*within(how.node.bounds), *reach]
    drivers = how.drivers
    alone = drivers[0] if len(drivers) == 1 else None
    others = [each for each in how.node.conjuncts if not any(each is driver for driver in drivers)]
    tests = [*(each.test for each in others), *reach, *tests]
    if not drivers:
        return _walk(order, Sql("resource x"), [Sql("x.tid = %s", (how.tid,)), *tests], "x")
    if alone is None:
        chosen, where = longest(drivers, reach, descending=order.keys[0].descending)
        return chosen + _walk(order, Sql("posting x"), [where, *tests], "r")
    if len(alone.values) == 1:
        return _walk(order, Sql("posting x"), [alone.entries, *tests], "r")
    # As many of each list as are asked for; those that come first among them come first of all.
    where = Sql("x.param = %s AND x.value = v.value", (alone.pid,))
    branch = _walk(order, Sql("posting x"), [where, *tests], "r") + Sql(" LIMIT %s", (limit,))
    values = alone.chosen or Sql("SELECT unnest(%s::uuid[])", (list(alone.values),))
    merged = Sql("SELECT DISTINCT b.* FROM (") + values + Sql(") AS v(value) CROSS JOIN LATERAL (") + branch
    return merged + Sql(f") b ORDER BY {order.by().replace(' NULLS LAST', '', 1)}")


def _walk(order: Order, source: Sql, tests: Sequence[Sql], row: str) -> Sql:
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


def _without_key(order: Order, how: Access, cursor: Cursor | None) -> Sql:
    """Select what does not have the first sort key."""
    source, tests = tested(how.tid, how.node, how.drivers[0] if how.drivers else None)
    return _sorted(order, source, all_of([tests, (order.columns[0] + Sql(" IS NULL")).on("x", "x")]), cursor)
