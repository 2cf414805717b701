"""Evaluate a plan over index rows in plain Python: the reference for every storage, and the executor of small ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, assert_never

from toro_core.errors import Unsupported
from toro_core.search.compare import compares, number_compares
from toro_core.search.plan import (
    MISSING,
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Composite,
    Criterion,
    Has,
    Ids,
    LastUpdated,
    Not,
    Number,
    Period,
    Present,
    Quantity,
    Reference,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import Key, ReferenceRow, Rows, TokenRow

__all__ = ["Others", "compares", "matches", "number_compares", "order_key", "places", "sort_value"]


class Others(Protocol):
    """The current resources, each with its time of storage and its rows, among which Chain and Has look."""

    def get(self, key: Key) -> tuple[int, Rows] | None:
        """Return the resource, None where there is none or it is deleted."""

    def of_type(self, type_: str) -> Iterable[tuple[Key, int, Rows]]:
        """Return every resource of the type."""


def matches(criterion: Criterion, key: Key, at: int, rows: Rows, others: Others | None = None) -> bool:
    """Say whether the criterion holds for a resource, stored `at` milliseconds since 1970 UTC with these rows.

    Chain and Has are judged among `others`. Raises Unsupported for one where there are none.
    """
    match criterion:
        case AllOf(criteria):
            return all(matches(one, key, at, rows, others) for one in criteria)
        case AnyOf(criteria):
            return any(matches(one, key, at, rows, others) for one in criteria)
        case Not(inner):
            return not matches(inner, key, at, rows, others)
        case Token():
            return any(_token(criterion, row) for row in rows.tokens)
        case Text():
            return any(row.param == criterion.param and _text(criterion, row.folded, row.exact) for row in rows.strings)
        case Period(param=param, prefix=prefix, low=low, high=high):
            found = ((row.low, row.high) for row in rows.dates if row.param == param)
            return any(compares(prefix, interval, (low, high)) for interval in found)
        case Number(param=param, prefix=prefix, low=low, high=high):
            ranges = ((row.low, row.high) for row in rows.numbers if row.param == param)
            return any(number_compares(prefix, each, (low, high)) for each in ranges)
        case Quantity():
            return _quantity(criterion, rows)
        case Reference():
            return any(_reference(criterion, row) for row in rows.references)
        case Uri(param=param, value=value, match=match):
            found_uris = (row.value for row in rows.uris if row.param == param)
            return any(uri.startswith(value) if match == "starts" else uri == value for uri in found_uris)
        case Present():
            return _present(criterion, rows)
        case Composite(param=param, criteria=criteria):
            groups = (row.rows for row in rows.groups if row.param == param)
            return any(all(matches(one, key, at, group) for one in criteria) for group in groups)
        case Ids(ids=ids):
            return key.id in ids
        case LastUpdated(prefix=prefix, low=low, high=high):
            return compares(prefix, (at * 1000, at * 1000 + 1000), (low, high))
        case Compartment(id=id_):
            return id_ in rows.compartments
        case Chain():
            return _chain(criterion, rows, _known(others))
        case Has():
            return _has(criterion, key, _known(others))
        case _:
            assert_never(criterion)


def sort_value(sort: SortKey, key: Key, at: int, rows: Rows) -> float | str:
    """Return what the resource is ordered by under one key; MISSING, last in both directions, is that very number."""
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


def order_key(sort: Sequence[SortKey], key: Key, at: int, rows: Rows) -> tuple[_Place, ...]:
    """Return what resources are sorted by in Python: for each key in turn, missing values last."""
    return places(sort, [sort_value(one, key, at, rows) for one in sort])


def places(sort: Sequence[SortKey], values: Sequence[float | str]) -> tuple[_Place, ...]:
    """Return what sort values, one for each key, are compared as."""
    return tuple(_Place(value, one.descending) for value, one in zip(values, sort, strict=True))


class _Place:
    __slots__ = ("descending", "missing", "value")

    def __init__(self, value: float | str, descending: bool) -> None:
        self.missing = type(value) is int and value == MISSING
        self.value = value
        self.descending = descending

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Place) and (self.missing, self.value) == (other.missing, other.value)

    def __lt__(self, other: _Place) -> bool:
        if self.missing or other.missing:
            return other.missing and not self.missing
        return bool(self.value > other.value if self.descending else self.value < other.value)  # type: ignore[operator]

    __hash__ = None  # type: ignore[assignment]


def _known(others: Others | None) -> Others:
    if others is None:
        raise Unsupported("A chained criterion cannot be judged from one resource alone; leave it out.")
    return others


def _chain(chain: Chain, rows: Rows, others: Others) -> bool:
    for row in rows.references:
        if row.param == chain.param and row.type == chain.type:
            target = Key(row.type, row.id)
            found = others.get(target)
            if found is not None and matches(chain.criterion, target, *found, others):
                return True
    return False


def _has(has: Has, key: Key, others: Others) -> bool:
    return any(
        any(row.param == has.param and (row.type, row.id) == key for row in rows.references)
        and matches(has.criterion, other, at, rows, others)
        for other, at, rows in others.of_type(has.type)
    )


def _token(wanted: Token, row: TokenRow) -> bool:
    return (
        row.param == wanted.param
        and (wanted.system is None or row.system == wanted.system)
        and (wanted.code is None or row.code == wanted.code)
    )


def _text(wanted: Text, folded: str, exact: str) -> bool:
    match wanted.match:
        case "starts":
            return folded.startswith(wanted.value)
        case "contains":
            return wanted.value in folded
        case "exact":
            return exact == wanted.value
        case _:
            assert_never(wanted.match)


def _quantity(wanted: Quantity, rows: Rows) -> bool:
    return any(
        row.param == wanted.param
        and row.system == wanted.system
        and (wanted.code is None or row.code == wanted.code)
        and number_compares(wanted.prefix, (row.low, row.high), (wanted.low, wanted.high))
        for row in rows.quantities
    )


def _reference(wanted: Reference, row: ReferenceRow) -> bool:
    return (
        row.param == wanted.param
        and row.id == wanted.id
        and (wanted.type is None or row.type == wanted.type)
        and (wanted.version is None or row.version == wanted.version)
    )


def _present(wanted: Present, rows: Rows) -> bool:
    if wanted.type is not None:
        return any(row.param == wanted.param and row.type == wanted.type for row in rows.references)
    kinds: tuple[Iterable[tuple[object, ...]], ...] = (
        rows.tokens,
        rows.strings,
        rows.dates,
        rows.references,
        rows.uris,
        rows.numbers,
        rows.quantities,
        rows.groups,
    )
    return any(row[0] == wanted.param for kind in kinds for row in kind)
