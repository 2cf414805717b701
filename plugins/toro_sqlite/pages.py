"""A page of a search, and a count, in one snapshot."""

from __future__ import annotations

import heapq
import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from toro_core.search.plan import Cursor, SearchPlan
from toro_core.storage import Key, Page, Stored
from toro_sqlite.driver import Access, choose
from toro_sqlite.keyed import Hit, Row, grouped, keyed
from toro_sqlite.matching import matching
from toro_sqlite.nodes import NOTHING
from toro_sqlite.order import KeyValue, Phase, phases, rank
from toro_sqlite.query import Compiler
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, execute
from toro_sqlite.walks import candidates, walks

__all__ = ["count", "count_statement", "page"]

T = TypeVar("T", bound=tuple[Any, ...])


class _Found(NamedTuple):
    """A match, its place among the phase's, and its current version."""

    place: tuple[KeyValue, ...]
    id: str
    version: int
    seq: int
    at: int
    json: bytes


def page(reader: Reader, plan: SearchPlan) -> Page:
    """Execute the plan; the caller has opened a read transaction."""
    tid = reader.type(plan.type)
    node = NOTHING if tid is None else Compiler(reader, tid).node(plan.criterion)
    if tid is None or node is NOTHING:
        return Page(resources=(), cursor=None)
    order = phases(reader, tid, plan.sort)
    access = choose(reader, node, own_order=order[0].own, descending=order[0].descending)
    start, after = (0, None) if plan.cursor is None else (int(plan.cursor[0] or 0), plan.cursor[1:])
    resources: list[Stored] = []
    size = 0
    cursor: Cursor | None = None
    for number, phase in enumerate(order[start:], start):
        with closing(_found(reader, phase, access, after, plan.limit + 1 - len(resources))) as matches:
            for place, id, version, seq, at, body in matches:
                if resources and (len(resources) >= plan.limit or size + len(body) > plan.max_bytes):
                    return Page(resources=resources, cursor=cursor)
                key = Key(plan.type, id)
                resources.append(Stored(key=key, version=version, seq=seq, at=at, deleted=False, json=body))
                size += len(body)
                cursor = (number, *place)
        after = None
    return Page(resources=resources, cursor=None)


def count(reader: Reader, plan: SearchPlan, at_most: int | None) -> int:
    """Count all matches, up to `at_most`; the caller has opened a read transaction."""
    sql = count_statement(reader, plan, at_most)
    total: int = 0 if sql is None else execute(reader.connection, sql).fetchone()[0]
    return total


def count_statement(reader: Reader, plan: SearchPlan, at_most: int | None) -> Sql | None:
    """Return what counts the matches, None where there can be none."""
    tid = reader.type(plan.type)
    node = NOTHING if tid is None else Compiler(reader, tid).node(plan.criterion)
    if tid is None or node is NOTHING:
        return None
    matches = matching(reader, tid, node, at_most)
    if at_most is not None:
        matches += Sql(" LIMIT ?", (at_most,))
    return Sql("SELECT count(*) FROM (") + matches + Sql(")")


def _found(
    reader: Reader, phase: Phase, access: Access, after: Cursor | None, limit: int
) -> Generator[_Found, None, None]:
    """Yield matches in the phase's order, each once, from after the position; what is not asked for is not read."""
    with ExitStack() as stack:
        if _sorted_here(phase, access):
            yield from _bodies(reader, keyed(reader, phase, candidates(phase, access), after, limit))
            return
        scans = walks(phase, access, after, limit)
        cursors = [stack.enter_context(closing(execute(reader.connection, sql))) for sql in scans]
        if phase.rest:
            rows = _merged([map(Row._make, cursor) for cursor in cursors], phase)
            yield from _bodies(reader, list(islice(grouped(reader, phase, rows, after), limit)))
            return
        last = 0
        for key, rid, id, version, seq, at, body in _merged(cursors, phase):
            if rid != last:
                yield _Found((key, rid), id, version, seq, at, body)
            last = rid


def _sorted_here(phase: Phase, access: Access) -> bool:
    """Tell whether no statement gives the phase in order, nor in order of the first of its keys."""
    if access.how == "scan":
        return not phase.scans
    return bool(phase.pid) or (bool(phase.rest) and not (phase.own and access.how == "merge"))


def _merged(rows: Sequence[Iterator[T]], phase: Phase) -> Iterator[T]:
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
        yield _Found((*hit.values, hit.rid), hit.id, version, seq, at, body)
