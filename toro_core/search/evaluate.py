"""Evaluate a plan over index rows in plain Python: the reference for every storage, and the executor of small ones."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from toro_core.search.plan import (
    MISSING,
    AllOf,
    AnyOf,
    Criterion,
    Ids,
    LastUpdated,
    Period,
    Prefix,
    Reference,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import Key, ReferenceRow, Rows, TokenRow

__all__ = ["matches", "sort_value"]

_Interval: TypeAlias = tuple[int, int]


def matches(criterion: Criterion, key: Key, at: int, rows: Rows) -> bool:
    """Say whether the criterion holds for a resource, stored `at` milliseconds since 1970 UTC with these rows."""
    match criterion:
        case AllOf(criteria):
            return all(matches(one, key, at, rows) for one in criteria)
        case AnyOf(criteria):
            return any(matches(one, key, at, rows) for one in criteria)
        case Token():
            return any(_token(criterion, row) for row in rows.tokens)
        case Text(param=param, value=value):
            return any(row.param == param and row.folded.startswith(value) for row in rows.strings)
        case Period(param=param, prefix=prefix, low=low, high=high):
            found = ((row.low, row.high) for row in rows.dates if row.param == param)
            return any(_compares(prefix, interval, (low, high)) for interval in found)
        case Reference():
            return any(_reference(criterion, row) for row in rows.references)
        case Uri(param=param, value=value):
            return any(row.param == param and row.value == value for row in rows.uris)
        case Ids(ids=ids):
            return key.id in ids
        case LastUpdated(prefix=prefix, low=low, high=high):
            return _compares(prefix, (at * 1000, at * 1000 + 1000), (low, high))
        case _:
            assert_never(criterion)


def sort_value(sort: SortKey, key: Key, at: int, rows: Rows) -> int | str:
    """Return what the resource is ordered by; MISSING, last in both directions, is the only int among strings."""
    if sort.param == "_id":
        return key.id
    if sort.param == "_lastUpdated" or (sort.param is None and rows.sort is None):
        return at * 1000
    if sort.param is None:
        return rows.sort if rows.sort is not None else MISSING
    for order in rows.orders:
        if order.param == sort.param:
            return order.high if sort.descending else order.low
    return MISSING


def _token(wanted: Token, row: TokenRow) -> bool:
    return (
        row.param == wanted.param
        and (wanted.system is None or row.system == wanted.system)
        and (wanted.code is None or row.code == wanted.code)
    )


def _reference(wanted: Reference, row: ReferenceRow) -> bool:
    return (
        row.param == wanted.param
        and row.id == wanted.id
        and (wanted.type is None or row.type == wanted.type)
        and (wanted.version is None or row.version == wanted.version)
    )


def _compares(prefix: Prefix, found: _Interval, wanted: _Interval) -> bool:
    within = wanted[0] <= found[0] and found[1] <= wanted[1]
    match prefix:
        case "eq":
            return within
        case "ne":
            return not within
        case "gt":
            return found[1] > wanted[1]
        case "lt":
            return found[0] < wanted[0]
        case "ge":
            return found[1] > wanted[1] or within
        case "le":
            return found[0] < wanted[0] or within
        case "sa":
            return found[0] >= wanted[1]
        case "eb":
            return found[1] <= wanted[0]
        case _:
            assert_never(prefix)
