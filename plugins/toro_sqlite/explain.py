"""How a plan is executed, for people: what is read first and why, and the statements with marks where values stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toro_core.search.plan import SearchPlan
from toro_sqlite.driver import Access, choose, listed_count
from toro_sqlite.nodes import EVERYTHING, NOTHING, Node
from toro_sqlite.order import Phase, phases
from toro_sqlite.pages import sorted_here
from toro_sqlite.query import Compiler
from toro_sqlite.ranges import UNBOUNDED
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql
from toro_sqlite.walks import in_windows, unordered, walks
from toro_sqlite.windows import explained

__all__ = ["explain"]

_COUNTED = 1_000
_SHOWN = 3
"""Statements of one part of the order that are written out."""


def explain(reader: Reader, plan: SearchPlan) -> str:
    """Say what a search of the plan does; the caller has opened a read transaction."""
    return "\n".join(_lines(reader, plan))


def _lines(reader: Reader, plan: SearchPlan) -> Iterator[str]:
    tid = reader.type(plan.type)
    node = NOTHING if tid is None else Compiler(reader, tid, labelled=True).node(plan.criterion)
    if tid is None or node is NOTHING:
        yield "SQLite finds nothing: no resource of the type has ever had such a value. Nothing is read."
        return
    order = phases(reader, tid, plan.sort)
    access = choose(reader, node, order[0])
    yield f"SQLite {_how(access)}."
    if node is not EVERYTHING:
        yield from (_criterion(reader, each, each is access.driver) for each in node.conjuncts)
    if access.bounds.tight:
        yield "  Dates bound the part of the order that is read."
    for number, phase in enumerate(order, 1):
        statements = _statements(phase, access, plan.limit + 1)
        yield f"Part {number} of {len(order)} of the order, {_sorting(phase, access)}:"
        yield from (f"  {_flat(statement)}" for statement in statements[:_SHOWN])
        if len(statements) > _SHOWN:
            yield f"  … and {len(statements) - _SHOWN} like it, merged"


def _how(access: Access) -> str:
    if access.how == "merge" and access.driver:
        lists = len(access.driver.postings)
        return f"reads {'one list' if lists == 1 else f'{lists} lists'} in the order of the answer, and tests the rest"
    if access.how == "sort":
        return "collects what one criterion lists, tests the rest, and sorts"
    return "goes through the type in the order of the answer, and tests each resource"


def _criterion(reader: Reader, node: Node, is_driver: bool) -> str:
    if not node.lists:
        count = "no list"
    else:
        listed = listed_count(reader, node, UNBOUNDED, _COUNTED)
        count = f"lists {listed} or more" if listed == _COUNTED else f"lists {listed}"
    return f"  {'→' if is_driver else ' '} {node.label}: {count}{', read first' if is_driver else ', tested'}"


def _statements(phase: Phase, access: Access, limit: int) -> Sequence[Sql]:
    if sorted_here(phase, access):
        return [unordered(phase, access)]
    return explained(phase, access, limit) if in_windows(phase, access) else walks(phase, access, None, limit)


def _sorting(phase: Phase, access: Access) -> str:
    if sorted_here(phase, access):
        return "sorted after all are read"
    if in_windows(phase, access):
        return "about a page at a time: which lists have the next of it, then what they have"
    return (
        "sorted by the other keys where the first is equal"
        if phase.rest
        else "as the index has it, or sorted by SQLite"
    )


def _flat(sql: Sql) -> str:
    return " ".join(sql.text.split())
