"""Finds the resources of a plan: along its order until a page is full, or by the rarest thing that is asked.

Small questions are answered at once. Large ones go to a thread, piece by piece, so that others get their turn; it judges
resources that were listed at one moment. Chains are followed first, from set to set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from typing import Final, NamedTuple

from toro_core.search.plan import AllOf, Chain, Criterion, Has, SearchPlan, SortKey
from toro_ndjson.catalog import Catalog
from toro_ndjson.columns import VALUED, column_name
from toro_ndjson.joins import Joined, joins, stands
from toro_ndjson.matching import EVERYTHING, has_joins, narrowed, params, questions
from toro_ndjson.ordered import Entry
from toro_ndjson.orders import NO_LIMITS, order_name
from toro_ndjson.parts import needed, sieve
from toro_ndjson.shelf import Name
from toro_ndjson.sieve import RANKING, Part, Sieve, passing
from toro_ndjson.versions import Head
from toro_ndjson.walking import INLINE, Budget, along, judged

__all__ = ["Finder"]

_SMALL: Final = 100
"""Resources that are all judged and put in order, rather than gone along an order for."""
_PIECE: Final = 1_000
"""Resources after which a cancelled caller is noticed, fewer where much is asked of each."""
_PIECE_ASKED: Final = 100_000
_TRIES: Final = 3
"""How often chains are followed again because something was written meanwhile."""


class _Listed(NamedTuple):
    """Resources, what is to be asked of each, and how many of them are enough, None for all."""

    heads: list[Head]
    parts: Sequence[Part]
    enough: int | None


class Finder:
    """Answers criteria on a catalog."""

    def __init__(self, catalog: Catalog, threads: Executor) -> None:
        """Look here, with these threads."""
        self._catalog = catalog
        self._threads = threads

    async def first(self, plan: SearchPlan) -> Collection[Head]:
        """Return resources of the plan among which are the first after its cursor, one more than its limit."""
        key = plan.sort[0] if plan.sort else SortKey(param="_id")
        name = order_name(key, dated=plan.type in self._catalog.dated)
        asked, joined = await self._taken_apart(plan.type, plan.criterion, name)
        order = self._catalog.shelf(plan.type).order(name)
        ordered = 0 if order is None else order.size(asked.limits(name))
        every = len(self._catalog.heads(plan.type))
        size = None if asked.driver is None else asked.driver.size
        few = size is not None and (size <= _SMALL or asked.few(plan.limit + 1, ordered, every))
        if few and (size or 0) * asked.cost <= INLINE:
            return self._driven(asked)
        walk, cost = self._walk(plan, key, name, asked), None if size is None else size * (asked.cost + RANKING)
        found = await along(plan, asked.parts, walk, Budget(self._catalog, asked.parts, cost))
        if found is None:
            # Something has been written meanwhile, or the rarest thing asked for is rarer than what is left of the order.
            asked, joined = await self._taken_apart(plan.type, plan.criterion, name)
            if asked.driver is not None and (asked.driver.size or 0) * asked.cost <= INLINE:
                return self._driven(asked)

            def listed(asked: Sieve) -> _Listed:
                rest = [entry[2] for piece in self._walk(plan, key, name, asked) for entry in piece]
                candidates, driver = asked.candidates(), asked.driver
                if candidates is not None and driver is not None and (driver.size or 0) < len(rest):
                    return _Listed(list(dict.fromkeys(candidates[0])), candidates[1], None)
                return _Listed(rest, asked.parts, plan.limit + 1 if len(plan.sort) == 1 else None)

            found = await self._in_thread(plan.type, plan.criterion, joined, listed, name)
        if asked.limits(name) == NO_LIMITS:
            return found
        return {*found, *passing(asked.parts, asked.odd)}

    async def find(self, type_: str, criterion: Criterion, at_most: int | None = None) -> Sequence[Head]:
        """Return the current resources of a type for which the criterion holds, in no order, or `at_most` of them."""
        asked, joined = await self._taken_apart(type_, criterion)

        def listed(asked: Sieve) -> _Listed:
            heads, parts = asked.candidates() or (every.values(), asked.parts)
            return _Listed(list(dict.fromkeys(heads)), parts, at_most)

        every = self._catalog.heads(type_)
        heads, parts = asked.candidates() or (every.values(), asked.parts)
        if not parts:
            return list(islice(heads, at_most))
        found = await judged(parts, heads, at_most, Budget(self._catalog, parts))
        if found is None:
            found = await self._in_thread(type_, criterion, joined, listed)
        return found[:at_most]

    async def explain(self, type_: str, criterion: Criterion) -> str:
        """Say how many resources the postings leave, what is found by order, and what is asked of each of them."""
        among, rest = narrowed(self._catalog, type_, criterion)
        every = len(self._catalog.heads(type_))
        lines = [f"{every} resources of {type_} are indexed in memory."]
        if among is None:
            lines.append("No posting narrows them.")
        else:
            lines.append(f"Postings of tokens, references, compartments and ids leave {len(among)}.")
        await self._provide(type_, criterion, ())
        for name, size in self._sizes(type_, criterion):
            lines.append(f"Values of {name} are in order; {size} of them lie where they may match.")
        if rest == EVERYTHING:
            lines.append("Nothing more is asked of them.")
        elif has_joins(rest):
            lines.append("The chains are followed from set to set; what else is asked is evaluated on each.")
        else:
            lines.append(f"Evaluated on each: {', '.join(sorted(params(rest))) or 'the resource itself'}.")
        return "\n".join(lines)

    def _sizes(self, type_: str, criterion: Criterion) -> Iterator[tuple[str, int]]:
        for one in criterion.criteria if isinstance(criterion, AllOf) else (criterion,):
            if isinstance(one, VALUED):
                name = column_name(one)
                column = self._catalog.shelf(type_).column(name)
                size = None if column is None else column.size(one)
                if size is not None:
                    yield name.param, size

    def _walk(self, plan: SearchPlan, key: SortKey, name: SortKey, asked: Sieve) -> Iterator[list[Entry]]:
        """Go along the plan's first order from its cursor; where more keys decide, from the first of equal ones."""
        order = self._catalog.shelf(plan.type).order(name)
        if order is None:
            raise RuntimeError("an order was not provided")
        after = None
        if plan.cursor is not None:
            after = plan.cursor[0], str(plan.cursor[-1]) if len(plan.sort) == 1 else ""
        return order.walk(descending=key.descending, after=after, limits=asked.limits(name))

    def _driven(self, asked: Sieve) -> list[Head]:
        heads, parts = asked.candidates() or ([], ())
        return passing(parts, dict.fromkeys(heads))

    async def _in_thread(
        self,
        type_: str,
        criterion: Criterion,
        joined: Joined,
        listed: Callable[[Sieve], _Listed],
        *orders: SortKey,
    ) -> list[Head]:
        """Judge what is listed at one moment, or go on until there is enough."""
        if next(joins(type_, criterion), None) is not None:
            # Who refers to a resource changes meanwhile; what was found does not.
            _, joined = await self._taken_apart(type_, criterion, *orders, everything=True)
        heads, parts, enough = listed(sieve(self._catalog, type_, criterion, joined, many=True))
        loop = asyncio.get_running_loop()
        pace = max(min(_PIECE, _PIECE_ASKED // questions(criterion)), 1)
        found: list[Head] = []
        looked = 0
        with self._catalog.replaced() as replaced:
            while looked < len(heads) and (enough is None or len(found) < enough):
                piece = heads[looked : looked + pace]
                looked += pace
                found += await loop.run_in_executor(self._threads, passing, parts, piece)
        # What was replaced meanwhile was no longer found where it was looked for.
        lost = set(replaced).intersection(heads[:looked]).difference(found) if replaced else ()
        return found + [head for head in lost if stands(type_, criterion, joined, self._catalog, head)]

    async def _taken_apart(
        self, type_: str, criterion: Criterion, *orders: SortKey, everything: bool = False
    ) -> tuple[Sieve, Joined]:
        """Return what is asked as things are now, and what was found for its chains; with `everything`, for each Has as well."""
        joined: dict[tuple[str, Criterion], Collection[Head]] = {}
        for _ in range(_TRIES):
            moment = self._catalog.moment
            for other, join in joins(type_, criterion):
                if isinstance(join, Chain):
                    joined[other, join] = await self._chained(other, join)
                elif everything:
                    joined[other, join] = await self._referred(other, join)
            await self._provide(type_, criterion, orders)
            if not joined or moment == self._catalog.moment:
                break
        return sieve(self._catalog, type_, criterion, joined), joined

    async def _provide(self, type_: str, criterion: Criterion, orders: Iterable[SortKey]) -> None:
        names: dict[str, set[Name]] = {type_: set(orders)}
        for other, name in needed(type_, criterion):
            names.setdefault(other, set()).add(name)
        catalog = self._catalog
        # One of them may change what was made for another while it is made.
        while not all(catalog.shelf(other).has(some) for other, some in names.items()):
            for other, some in names.items():
                await catalog.shelf(other).provide(some, catalog.heads(other).values, self._threads)

    async def _chained(self, type_: str, chain: Chain) -> set[Head]:
        find = self._catalog.postings.find
        targets = await self.find(chain.type, chain.criterion)
        return set().union(
            *(find("reference", type_, chain.param, chain.type, target.version.key.id) for target in targets)
        )

    async def _referred(self, type_: str, has: Has) -> set[Head]:
        sources = await self.find(has.type, has.criterion)
        read = self._catalog.rows.asked(frozenset({has.param}), frozenset({"references"}))

        def targets(heads: Sequence[Head]) -> list[str]:
            return [row.id for head in heads for row in read(head.rows).references if row.type == type_]

        loop = asyncio.get_running_loop()
        ids: set[str] = set()
        for start in range(0, len(sources), _PIECE):
            ids.update(await loop.run_in_executor(self._threads, targets, sources[start : start + _PIECE]))
        known = self._catalog.heads(type_)
        return {known[id_] for id_ in ids if id_ in known}
