"""Puts what was found in order and cuts out a page."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, TypeAlias

from toro_core.search.evaluate import places, sort_value
from toro_core.search.plan import MISSING, SearchPlan, SortKey
from toro_core.storage import Page, Stored
from toro_ndjson.rows import RowsReader
from toro_ndjson.versions import Head

__all__ = ["page"]

_OWN: Final = frozenset({None, "_id", "_lastUpdated"})
"""Sort keys that need no index rows."""
_Values: TypeAlias = tuple[Any, ...]


def page(reader: RowsReader, plan: SearchPlan, found: Collection[Head]) -> Page:
    """Return the page of the resources found; its cursor has the last one's sort values and its id."""
    stored: list[Stored] = []
    size, last = 0, plan.cursor
    for values, head in _first(reader, plan, found):
        size += head.version.size
        if stored and (len(stored) >= plan.limit or size > plan.max_bytes):
            return Page(resources=stored, cursor=last)
        stored.append(head.version.stored())
        last = values
    return Page(resources=stored, cursor=None)


def _first(reader: RowsReader, plan: SearchPlan, found: Collection[Head]) -> Iterable[tuple[_Values, Head]]:
    if len(plan.sort) == 1 and plan.sort[0].param in {None, "_lastUpdated"}:
        return _first_by_time(plan, found)
    rank = _ranking(plan.sort)
    entries = ((rank(values), values, head) for values, head in _valued(reader, plan, found))
    if plan.cursor is not None:
        after = rank(plan.cursor)
        entries = (entry for entry in entries if after < entry[0])
    return [entry[1:] for entry in heapq.nsmallest(plan.limit + 1, entries, key=lambda entry: entry[0])]


def _first_by_time(plan: SearchPlan, found: Collection[Head]) -> Iterable[tuple[_Values, Head]]:
    """Order by one whole number and the id: what nearly every search asks, in a comparison of tuples."""
    (key,) = plan.sort
    stored = key.param == "_lastUpdated"
    values = [head.version.at * 1000 if stored else head.value for head in found]
    ranks = [-value if value != MISSING else value for value in values] if key.descending else values
    entries = [(rank, head.version.key.id, head) for rank, head in zip(ranks, found, strict=True)]
    if plan.cursor is not None:
        value, last = int(plan.cursor[0] or 0), str(plan.cursor[1])
        after = -value if key.descending and value != MISSING else value, last
        entries = [entry for entry in entries if after < entry[:2]]
    first = heapq.nsmallest(plan.limit + 1, entries)
    return [((-rank if key.descending and rank != MISSING else rank, id_), head) for rank, id_, head in first]


def _valued(reader: RowsReader, plan: SearchPlan, found: Collection[Head]) -> Iterable[tuple[_Values, Head]]:
    if all(one.param in _OWN for one in plan.sort):
        for head in found:
            yield (*[_own_value(one, head) for one in plan.sort], head.version.key.id), head
        return
    read = reader.some(len(found), frozenset(one.param or "" for one in plan.sort), {"orders"})
    for head in found:
        version, rows = head.version, read(head.rows)
        values = [
            _own_value(one, head) if one.param in _OWN else sort_value(one, version.key, version.at, rows)
            for one in plan.sort
        ]
        yield (*values, version.key.id), head


def _own_value(sort: SortKey, head: Head) -> int | str:
    if sort.param == "_id":
        return head.version.key.id
    return head.sort if sort.param is None and head.sort is not None else head.version.at * 1000


def _ranking(sort: Sequence[SortKey]) -> Callable[[Sequence[Any]], Any]:
    """Return what makes of sort values and an id something that compares in their order."""
    if len(sort) != 1 or sort[0].param == "_id":
        return lambda values: (places(sort, values[:-1]), values[-1])
    descending = sort[0].descending

    def rank(values: Sequence[Any]) -> tuple[Any, ...]:
        value, id_ = values
        if type(value) is int and value == MISSING:
            return 1, 0, id_
        if not descending:
            return 0, value, id_
        return 0, places(sort, (value,)) if isinstance(value, str) else -value, id_

    return rank
