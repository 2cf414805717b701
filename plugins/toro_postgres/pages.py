"""Searches and counts."""

from __future__ import annotations

from toro_core.search.plan import MISSING, Cursor, SearchPlan
from toro_core.storage import Key, Page, Stored
from toro_postgres.access import FEW, access, again, fewest, hint, singles
from toro_postgres.compiler import compiled
from toro_postgres.keys import untext
from toro_postgres.nodes import NOTHING, Node
from toro_postgres.order import Order
from toro_postgres.ranges import within
from toro_postgres.reader import Reader
from toro_postgres.sql import Row, Sql, all_of
from toro_postgres.strides import shortest
from toro_postgres.walks import statements, tested

__all__ = ["count", "page"]

# A materialized list and a join of nested loops are gone through in order, which a window without one of its own keeps.
_BODIES = (
    "SELECT @keysp.rid, v.id, v.version, v.seq, v.at, octet_length(v.json),"
    " CASE WHEN sum(octet_length(v.json)) OVER w <= %s OR (row_number() OVER w = 1 AND %s) THEN v.json END"
    " FROM p CROSS JOIN LATERAL (SELECT c.id, c.version, c.seq, c.at, c.json FROM version c"
    " WHERE c.rid = p.rid AND c.place = p.place ORDER BY c.version DESC LIMIT 1) v WINDOW w AS (ROWS UNBOUNDED PRECEDING)"
)
# A cluster gives the versions in any order, and takes no LIMIT there.
_BODIES_OF_CLUSTER = (
    ", c AS MATERIALIZED (SELECT p.*, row_number() OVER () AS place_in_page FROM p)"
    " SELECT @keysp.rid, v.id, v.version, v.seq, v.at, octet_length(v.json), CASE WHEN sum(octet_length(v.json))"
    " OVER (ORDER BY p.place_in_page) <= %s OR (p.place_in_page = 1 AND %s) THEN v.json END"
    " FROM c p JOIN resource r ON r.rid = p.rid AND r.place = p.place"
    " JOIN version v ON v.rid = r.rid AND v.version = r.version AND v.place = r.place ORDER BY p.place_in_page"
)


async def page(reader: Reader, plan: SearchPlan) -> Page:
    """Return one page of matches."""
    node = await compiled(reader, plan.type, plan.criterion)
    tid = reader.database.names.type(plan.type)
    if tid is None or node is NOTHING:
        return Page(resources=(), cursor=None)
    order = Order(reader, plan.type, plan.sort)
    position = None if plan.cursor is None else plan.cursor[:-1]
    how = (None if plan.cursor is None else again(reader, tid, node, order, plan.cursor[-1])) or await access(
        reader, tid, node, order
    )
    found: list[Row] = []
    room = plan.max_bytes
    for statement in statements(order, how, position, plan.limit + 1):
        part, room = await _read(reader, order, statement, plan.limit + 1 - len(found), room, is_first=not found)
        found += part
        if len(found) > plan.limit or room <= 0:
            break
    keys = len(order.keys)
    resources = [_stored(plan.type, row[keys + 1 :]) for row in found[: plan.limit] if row[-1] is not None]
    more = len(found) > len(resources)
    if not more:
        return Page(resources=resources, cursor=None)
    # The next page is found as this one was, without counting again.
    return Page(resources=resources, cursor=(*_cursor(order, found[len(resources) - 1][: keys + 1]), hint(how)))


async def count(reader: Reader, plan: SearchPlan, at_most: int | None) -> int:
    """Count matches, at most so many."""
    node = await compiled(reader, plan.type, plan.criterion)
    tid = reader.database.names.type(plan.type)
    if tid is None or node is NOTHING:
        return 0
    statement = await _matches(reader, tid, node)
    ((number,),) = await reader.rows(
        Sql("SELECT count(*) FROM (") + statement + Sql(" LIMIT %s::bigint) f", (at_most,))
    )
    return int(number)


async def _matches(reader: Reader, tid: int, node: Node) -> Sql:
    """Select something of each match, in any order."""
    single = singles(node)
    lists = [each for each in node.conjuncts if each.listing and each not in single and not each.bounds.tight]
    driver = None
    if lists or (reader.database.is_cluster and len(single) > 1):
        driver = await fewest(reader, [*single, *lists], FEW)
    if not single or (driver and driver not in single):
        source, tests = tested(tid, node, driver)
        return Sql("SELECT 1 FROM ") + source + Sql(" WHERE ") + tests
    alone = driver or (single[0] if len(single) == 1 else None)
    reach = within(node.bounds)
    walked = single if alone is None else [alone]
    others = [each for each in node.conjuncts if not any(each is one for one in walked)]
    tests = all_of([*(each.test for each in others), *reach])
    chosen, where = shortest(single, reach) if alone is None else (Sql(""), alone.entries)
    source = Sql("posting x")
    if tests.needs_row:
        source += Sql(" JOIN resource r ON r.rid = x.rid AND r.place = x.place")
    return chosen + Sql("SELECT 1 FROM ") + source + Sql(" WHERE ") + all_of([where, tests]).on("x", "r")


async def _read(
    reader: Reader, order: Order, statement: Sql, limit: int, room: int, *, is_first: bool
) -> tuple[list[Row], int]:
    """Return keys, rid and version of matches, without JSON from where there is no more room; and how much room is left."""
    keys = "".join(f"p.k{n}, " for n in range(len(order.keys)))
    bodies = _BODIES_OF_CLUSTER if reader.database.is_cluster else _BODIES
    found = await reader.rows(
        Sql("WITH p AS MATERIALIZED (")
        + statement
        + Sql(f" LIMIT %s) {bodies.replace('@keys', keys)}", (limit, room, is_first))
    )
    return found, room - sum(row[-2] for row in found)


def _cursor(order: Order, row: Row) -> Cursor:
    # A walk shows the resource's sort value as it is kept.
    return order.cursor(
        tuple(None if value == MISSING and n < len(order.keys) else value for n, value in enumerate(row))
    )


def _stored(type: str, row: Row) -> Stored:
    id, version, seq, at, _, json = row
    return Stored(Key(type, untext(id)), version, seq, at, False, json)
