"""How a plan is executed, for people: what is read first, and the statements with marks where values stand."""

from __future__ import annotations

from collections.abc import Iterator

from toro_core.search.plan import SearchPlan
from toro_postgres.access import Access, access
from toro_postgres.compiler import compiled
from toro_postgres.nodes import NOTHING
from toro_postgres.order import Order
from toro_postgres.reader import Reader
from toro_postgres.walks import statements

__all__ = ["explain"]


async def explain(reader: Reader, plan: SearchPlan) -> str:
    """Say what a search of the plan does."""
    node = await compiled(reader, plan.type, plan.criterion)
    tid = reader.database.names.type(plan.type)
    if tid is None or node is NOTHING:
        return "PostgreSQL finds nothing: no resource of the type has ever had such a value. Nothing is read."
    order = Order(reader, plan.type, plan.sort)
    return "\n".join(_lines(order, await access(reader, tid, node, order), plan))


def _lines(order: Order, how: Access, plan: SearchPlan) -> Iterator[str]:
    yield f"PostgreSQL {_how(how)}."
    for number, statement in enumerate(statements(order, how, None, plan.limit + 1), 1):
        yield f"Statement {number}:"
        yield f"  {' '.join(statement.text.split())}"


def _how(how: Access) -> str:
    if not how.walked:
        return "collects what one criterion lists, tests the rest, and sorts"
    if not how.drivers:
        return "goes through the type in the order of the answer, and tests each resource"
    if len(how.drivers) > 1:
        return f"reads the sparsest of {len(how.drivers)} lists in the order of the answer, and tests the rest"
    if how.drivers[0].chosen:
        return "reads the lists of what is referred to in the order of the answer, and tests the rest"
    lists = len(how.drivers[0].values)
    return f"reads {'one list' if lists == 1 else f'{lists} lists'} in the order of the answer, and tests the rest"
