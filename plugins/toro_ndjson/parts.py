"""Takes criteria apart: what finds the resources they hold for, and what judges one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Final

from toro_core.search.evaluate import matches
from toro_core.search.plan import (
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Criterion,
    Has,
    Ids,
    LastUpdated,
    Not,
    Period,
    Reference,
    SortKey,
    Token,
)
from toro_core.storage import Rows
from toro_ndjson.bounds import bounds
from toro_ndjson.catalog import Catalog
from toro_ndjson.columns import VALUED, Valued, column_name
from toro_ndjson.joins import Joined
from toro_ndjson.matching import reading
from toro_ndjson.orders import NO_LIMITS, Limits
from toro_ndjson.shelf import Name
from toro_ndjson.sieve import Part, Sieve
from toro_ndjson.versions import Head

__all__ = ["needed", "sieve"]

_NO_ROWS: Final = Rows()
_OWN: Final = SortKey()
_STORED: Final = SortKey(param="_lastUpdated")
_SET: Final = 1
_COLUMN: Final = 4
_PROBE: Final = 30
_ROWS: Final = 80
"""What judging a resource costs by a set, a column, the resources that refer to it, and its rows, of which most are unread."""


def needed(type_: str, criterion: Criterion) -> Iterator[tuple[str, Name]]:
    """Name the types, columns and orders that a sieve asks."""
    match criterion:
        case AllOf(criteria) | AnyOf(criteria):
            for one in criteria:
                yield from needed(type_, one)
        case Not(inner):
            yield from needed(type_, inner)
        case Has(type=other, criterion=inner):
            yield from needed(other, inner)
        case LastUpdated():
            yield type_, _STORED
        case Period():
            yield type_, column_name(criterion)
            yield type_, _OWN
        case _ if isinstance(criterion, VALUED):
            yield type_, column_name(criterion)


def sieve(catalog: Catalog, type_: str, criterion: Criterion, joined: Joined, *, many: bool = False) -> Sieve:
    """Take a criterion apart. What it needs is there; with `many`, rows are read for what is asked alone."""
    return _Maker(catalog, joined, many).sieve(type_, criterion)


class _Maker:
    def __init__(self, catalog: Catalog, joined: Joined, many: bool) -> None:
        self._catalog = catalog
        self._find = catalog.postings.find
        self._joined = joined
        self._many = many

    def sieve(self, type_: str, criterion: Criterion) -> Sieve:
        criteria = list(_flat(criterion))
        own, odd = self._own(type_, criteria)
        stored = _within([found for one in criteria if isinstance(one, LastUpdated) and (found := _bounds(one))])
        parts = [self._part(type_, one) for one in criteria]
        return Sieve(parts, own, stored, odd, self._dated(type_, own, odd))

    def _dated(self, type_: str, limits: Limits, odd: Collection[Head]) -> Part | None:
        """Return what lists all whose own values lie between limits, and the odd ones."""
        order = self._catalog.shelf(type_).order(_OWN)
        if order is None or limits == NO_LIMITS:
            return None
        found = order

        def heads() -> Iterator[Head]:
            pieces = chain.from_iterable(found.walk(descending=False, limits=limits))
            return chain(map(itemgetter(2), pieces), odd)

        return Part(holds=bool, cost=0, size=found.size(limits) + len(odd), heads=heads)

    def _own(self, type_: str, criteria: Iterable[Criterion]) -> tuple[Limits, Collection[Head]]:
        """Return between which own values what holds for the periods lies, and what of it may lie elsewhere."""
        found: list[Limits] = []
        odd: set[Head] = set()
        for one in criteria:
            if isinstance(one, Period):
                column = self._catalog.shelf(type_).column(column_name(one))
                if column is None or column.odd is None:
                    continue
                limits = _bounds(one, column.usual)
                if limits is not None:
                    found.append(limits)
                    odd |= column.odd
        return _within(found), odd

    def _part(self, type_: str, criterion: Criterion) -> Part:
        find = self._find
        match criterion:
            case Token(param=param, system=system, code=code) if code is not None:
                return _in(find("token", type_, param, system, code))
            case Token(param=param, system=system) if system is not None:
                values = self._catalog.postings.values("token", type_, param, system)
                listed = replace(self._judged(criterion), size=len(values))
                return replace(listed, heads=lambda: chain.from_iterable(values.values()))
            case Reference(param=param, type=target, id=id_, version=version):
                among = find("reference", type_, param, target, id_)
                return _in(among) if version is None else self._among(among, criterion)
            case Compartment(id=id_):
                return _in(find("compartment", type_, "", "", id_))
            case Ids(ids=ids):
                known = self._catalog.heads(type_)
                return _in({known[id_] for id_ in ids if id_ in known})
            case Chain() | Has() if (type_, criterion) in self._joined:
                return _in(self._joined[type_, criterion])
            case Has():
                return self._referred(type_, criterion)
            case AllOf():
                return _all(self.sieve(type_, criterion))
            case AnyOf(criteria):
                return _any([self._part(type_, one) for one in criteria])
            case Not(inner):
                part = self._part(type_, inner)
                holds = part.holds
                return Part(holds=lambda head: not holds(head), cost=part.cost, reads=part.reads)
            case LastUpdated():
                return self._updated(type_, criterion)
            case _ if isinstance(criterion, VALUED):
                return self._valued(type_, criterion)
            case _:
                return self._judged(criterion)

    def _valued(self, type_: str, criterion: Valued) -> Part:
        column = self._catalog.shelf(type_).column(column_name(criterion))
        if column is None:
            return self._judged(criterion)
        size = column.size(criterion)
        heads = None if size is None else partial(column.heads, criterion)
        ranged = isinstance(criterion, Period) and column.odd is not None
        return Part(holds=column.test(criterion), cost=_COLUMN, size=size, heads=heads, ranged=ranged)

    def _updated(self, type_: str, criterion: LastUpdated) -> Part:
        def holds(head: Head) -> bool:
            # Rows make no difference.
            return matches(criterion, head.version.key, head.version.at, _NO_ROWS)

        order, limits = self._catalog.shelf(type_).order(_STORED), _bounds(criterion)
        if order is None or limits is None:
            return Part(holds=holds, cost=_COLUMN)
        found = order

        def heads() -> Iterator[Head]:
            return (entry[2] for piece in found.walk(descending=False, limits=limits) for entry in piece)

        return Part(holds=holds, cost=_COLUMN, size=found.size(limits), heads=heads)

    def _among(self, heads: Collection[Head], criterion: Criterion) -> Part:
        return replace(self._judged(criterion), size=len(heads), heads=lambda: heads)

    def _judged(self, criterion: Criterion) -> Part:
        read = reading(self._catalog.rows, criterion) if self._many else self._catalog.rows.one

        def holds(head: Head) -> bool:
            return matches(criterion, head.version.key, head.version.at, read(head.rows))

        return Part(holds=holds, cost=_ROWS, reads=True)

    def _referred(self, type_: str, has: Has) -> Part:
        inner = self._part(has.type, has.criterion)
        find, holds = self._find, inner.holds

        def referred(head: Head) -> bool:
            return any(map(holds, tuple(find("reference", has.type, has.param, type_, head.version.key.id))))

        return Part(holds=referred, cost=_PROBE + 4 * inner.cost, reads=inner.reads)


def _flat(criterion: Criterion) -> Iterator[Criterion]:
    if isinstance(criterion, AllOf):
        for one in criterion.criteria:
            yield from _flat(one)
    else:
        yield criterion


def _bounds(criterion: Period | LastUpdated, width: int = 1_000) -> Limits | None:
    """Return where the low ends lie of all that compare so and are so wide at most; a time of storage is a millisecond."""
    found = bounds(criterion.prefix, criterion.low, criterion.high, width)
    return found and (None if found[0] is None else int(found[0]), None if found[1] is None else int(found[1]))


def _within(limits: Iterable[Limits]) -> Limits:
    limits = tuple(limits)
    return (
        max((low for low, _ in limits if low is not None), default=None),
        min((high for _, high in limits if high is not None), default=None),
    )


def _in(heads: Collection[Head]) -> Part:
    return Part(holds=heads.__contains__, cost=_SET, size=len(heads), heads=lambda: heads, exact=True)


def _all(inner: Sieve) -> Part:
    driver, tests = inner.driver, [part.holds for part in inner.parts]

    def holds(head: Head) -> bool:
        return all(test(head) for test in tests)

    part = Part(holds=holds, cost=inner.cost, reads=any(part.reads for part in inner.parts))
    return part if driver is None else replace(part, size=driver.size, heads=driver.heads)


def _any(parts: list[Part]) -> Part:
    tests = [part.holds for part in parts]

    def holds(head: Head) -> bool:
        return any(test(head) for test in tests)

    cost = sum(part.cost for part in parts)
    part = Part(holds=holds, cost=cost, reads=any(part.reads for part in parts))
    sources = [part.heads for part in parts if part.heads is not None]
    if len(sources) < len(parts):
        return part

    def heads() -> Iterator[Head]:
        return chain.from_iterable(source() for source in sources)

    return replace(part, size=sum(part.size or 0 for part in parts), heads=heads)
