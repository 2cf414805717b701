"""A page of a search, and a count, in one snapshot."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from toro_core.search.plan import Cursor, SearchPlan
from toro_core.storage import Key, Page, Stored
from toro_sqlite.driver import Access, choose
from toro_sqlite.keyed import Hit, Row, grouped, keyed
from toro_sqlite.matching import matching
from toro_sqlite.nodes import NOTHING
from toro_sqlite.order import Phase, phases, rank
from toro_sqlite.query import Compiler
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, execute
from toro_sqlite.walks import in_windows, unordered, walks
from toro_sqlite.windows import windowed

__all__ = ["count", "page", "sorted_here"]

T = TypeVar("T", bound=tuple[Any, ...])

_Found: TypeAlias = tuple[Any, int, str, int, int, int, bytes]
"""The key value, or all in a tuple where several decide; rid, id, version, seq, time, JSON."""


def page(reader: Reader, plan: SearchPlan) -> Page:
    """Execute the plan; the caller has opened a read transaction."""
    tid = reader.type(plan.type)
    node = NOTHING if tid is None else Compiler(reader, tid).node(plan.criterion)
    if tid is None or node is NOTHING:
        return Page(resources=(), cursor=None)
    order = phases(reader, tid, plan.sort)
    access = choose(reader, node, order[0])
    start, after = (0, None) if plan.cursor is None else (int(plan.cursor[0] or 0), plan.cursor[1:])
    type_, limit, max_bytes = plan.type, plan.limit, plan.max_bytes
    resources: list[Stored] = []
    size = 0
    last: tuple[int, Any, int] = (0, None, 0)
    for number, phase in enumerate(order[start:], start):
        with ExitStack() as stack:
            matches = _found(reader, phase, access, after, limit + 1 - len(resources), stack)
            for key, rid, id, version, seq, at, body in matches:
                if rid == last[2]:
                    # Two of the lists that were merged have it.
                    continue
                size += len(body)
                if resources and (len(resources) >= limit or size > max_bytes):
                    return Page(resources=resources, cursor=_cursor(*last))
                resources.append(Stored(Key(type_, id), version, seq, at, False, body))
                last = (number, key, rid)
        after = None
    return Page(resources=resources, cursor=None)


def count(reader: Reader, plan: SearchPlan, at_most: int | None) -> int:
    """Count all matches, up to `at_most`; the caller has opened a read transaction."""
    tid = reader.type(plan.type)
    node = NOTHING if tid is None else Compiler(reader, tid).node(plan.criterion)
    if tid is None or node is NOTHING:
        return 0
    matches = matching(reader, tid, node, at_most)
    if at_most is not None:
        matches += Sql(" LIMIT ?", (at_most,))
    total: int = execute(reader.connection, Sql("SELECT count(*) FROM (") + matches + Sql(")")).fetchone()[0]
    return total


def sorted_here(phase: Phase, access: Access) -> bool:
    """Tell whether no statement gives the phase in order, nor in order of the first of its keys."""
    if access.how == "scan":
        return not phase.scans
    return bool(phase.pid) or (bool(phase.rest) and not (phase.own and access.how == "merge"))


def _cursor(number: int, key: Any, rid: int) -> Cursor:
    """Say where a page ended: the phase, all its key values, the resource."""
    return (number, *(key if isinstance(key, tuple) else (key,)), rid)


def _found(
    reader: Reader, phase: Phase, access: Access, after: Cursor | None, limit: int, stack: ExitStack
) -> Iterable[_Found]:
    """Give matches in the phase's order from after the position; what is not asked for is not read."""
    if sorted_here(phase, access):
        return _bodies(reader, keyed(reader, phase, unordered(phase, access), after, limit))
    if in_windows(phase, access):
        return stack.enter_context(closing(windowed(reader, phase, access, after, limit)))
    statements = walks(phase, access, after, limit)
    cursors = [stack.enter_context(closing(execute(reader.connection, sql))) for sql in statements]
    if not phase.rest:
        return _merged(cursors, phase)
    rows = _merged([map(Row._make, cursor) for cursor in cursors], phase)
    return _bodies(reader, list(islice(grouped(reader, phase, rows, after), limit)))


def _merged(rows: Sequence[Iterator[T]], phase: Phase) -> Iterable[T]:
    if len(rows) == 1:
        return rows[0]
    return heapq.merge(*rows, key=lambda row: (rank(row[0]), row[1]), reverse=phase.descending)


def _bodies(reader: Reader, hits: Sequence[Hit]) -> Iterator[_Found]:
    """Read the current versions; a list of numbers is gone through as it stands."""
    rows = reader.connection.execute(
        "SELECT v.version, v.seq, v.at, v.json FROM json_each(?) j CROSS JOIN version v ON v.vid = j.value",
        (json.dumps([hit.vid for hit in hits]),),
    )
    for hit, (version, seq, at, body) in zip(hits, rows, strict=False):
        yield hit.values, hit.rid, hit.id, version, seq, at, body
