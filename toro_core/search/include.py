"""Add to the matches what they refer to, and what refers to them. https://hl7.org/fhir/R4/search.html#revinclude"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from toro_core.access import Access, Decision, Forbidden, permits
from toro_core.binaries import SecurityContexts
from toro_core.caller import Caller
from toro_core.errors import Issue
from toro_core.json import loads
from toro_core.search.combine import all_of
from toro_core.search.extract import Extractor
from toro_core.search.plan import AnyOf, Criterion, Reference, SearchPlan, SortKey
from toro_core.search.query import Include
from toro_core.storage import Key, Storage, Stored

__all__ = ["MOST_INCLUDED", "Includer"]

MOST_INCLUDED: Final = 1000
"""Resources that a page takes in beside its matches."""
_PAGE: Final = 200
"""What is read at once."""
_FIRST: Final = 10
"""What is read at first, before it is known how large it is."""


class _Full(Exception):
    """Nothing more goes into the page."""


@dataclass(slots=True)
class _Page:
    """What has been added, and what was left out."""

    caller: Caller
    readable: Collection[str] | None
    seen: set[Key]
    bytes_left: int
    added: list[Stored] = field(default_factory=list)
    decisions: dict[str, Decision | None] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, stored: Stored) -> None:
        if stored.key in self.seen:
            return
        if len(self.added) >= MOST_INCLUDED or len(stored.json) > self.bytes_left:
            raise _Full
        self.seen.add(stored.key)
        self.bytes_left -= len(stored.json)
        self.added.append(stored)


class Includer:
    """Drives includes, on any storage."""

    def __init__(self, storage: Storage, extractor: Extractor, access: Access) -> None:
        """Include from this storage what `access` lets the caller see."""
        self._storage = storage
        self._extractor = extractor
        self._access = access
        self._contexts = SecurityContexts(storage, extractor, access)

    async def included(
        self,
        caller: Caller,
        matches: Sequence[Stored],
        includes: Sequence[Include],
        *,
        readable: Collection[str] | None,
        max_bytes: int,
    ) -> tuple[Sequence[Stored], Sequence[Issue]]:
        """Return what is added to the matches, and what was left out.

        Only types in `readable`, where it is given, are added, and only what the caller may read and search.
        """
        page = _Page(caller, readable, {stored.key for stored in matches}, max_bytes)
        issues = []
        try:
            await self._rounds(page, matches, includes)
        except _Full:
            text = (
                f"Not everything asked for was included: a page takes in up to {MOST_INCLUDED} resources and some megabytes;"
                " ask with a lower _count."
            )
            issues.append(Issue(severity="warning", code="incomplete", diagnostics=text))
        for type_, why in sorted(page.left_out.items()):
            text = f"{type_} resources were not included: {why}."
            issues.append(Issue(severity="information", code="suppressed", diagnostics=text))
        return page.added, issues

    async def _rounds(self, page: _Page, matches: Sequence[Stored], includes: Sequence[Include]) -> None:
        """Include, then include again for what was added, by what iterates, until nothing new is found."""
        frontier: Sequence[Stored] = matches
        while frontier and includes:
            start = len(page.added)
            await self._forward(page, frontier, [include for include in includes if not include.reverse])
            for include in includes:
                if include.reverse:
                    await self._backward(page, [stored.key for stored in frontier], include)
            frontier = page.added[start:]
            includes = [include for include in includes if include.iterate]

    async def _forward(self, page: _Page, frontier: Iterable[Stored], includes: Sequence[Include]) -> None:
        wanted: dict[Key, None] = {}
        for stored in frontier if includes else ():
            wanted |= dict.fromkeys(self._targets(stored, includes))
        keys = [key for key in wanted if key not in page.seen and self._decision(page, key.type)]
        start, count = 0, _FIRST
        while start < len(keys):
            read = [found for found in await self._storage.read_many(keys[start : start + count]) if found is not None]
            for found in read:
                if not found.deleted and await self._may_see(page, found):
                    page.add(found)
            start += count
            # No more at once than goes into the page, as large as they have been so far.
            size = max((len(found.json) for found in read), default=1)
            count = min(max(page.bytes_left // max(size, 1), 1), _PAGE)

    def _targets(self, stored: Stored, includes: Sequence[Include]) -> Iterable[Key]:
        searchables = self._extractor.searchables(stored.key.type)
        asked: dict[str, set[tuple[str, str]]] = {}
        for include in includes:
            if include.source in {"", stored.key.type}:
                for code in [include.param] if include.param else searchables:
                    for param, target in searchables[code].parts if searchables[code].facts.type == "reference" else ():
                        asked.setdefault(param, set()).add((target, include.target))
        if not asked:
            return
        for row in self._extractor.references_in(loads(stored.json), asked):
            if any({target, limit} <= {"", row.type} for target, limit in asked[row.param]):
                yield Key(row.type, row.id)

    async def _backward(self, page: _Page, keys: Sequence[Key], include: Include) -> None:
        decision = self._decision(page, include.source)
        if decision is None:
            return
        criterion = AnyOf(tuple(self._referring(keys, include)))
        if criterion.criteria:
            async for stored in self._found(include.source, all_of((criterion, decision.clause)), page):
                page.add(stored)

    def _referring(self, keys: Sequence[Key], include: Include) -> Iterable[Criterion]:
        searchables = self._extractor.searchables(include.source)
        codes = [include.param] if include.param else list(searchables)
        parts = {
            part for code in codes if searchables[code].facts.type == "reference" for part in searchables[code].parts
        }
        for param, target in sorted(parts):
            for key in keys:
                if {target, include.target} <= {"", key.type}:
                    yield Reference(param=param, type=key.type, id=key.id)

    async def _found(self, resource_type: str, criterion: Criterion, page: _Page) -> AsyncIterator[Stored]:
        cursor = None
        while True:
            found = await self._storage.search(
                SearchPlan(
                    type=resource_type,
                    criterion=criterion,
                    sort=(SortKey(param="_id"),),
                    limit=_PAGE,
                    max_bytes=max(page.bytes_left, 1),
                    cursor=cursor,
                )
            )
            for stored in found.resources:
                yield stored
            if found.cursor is None:
                return
            cursor = found.cursor

    def _decision(self, page: _Page, resource_type: str) -> Decision | None:
        """Return what of a type may be added; note where that is nothing."""
        if resource_type not in page.decisions:
            page.decisions[resource_type] = None
            if page.readable is not None and resource_type not in page.readable:
                page.left_out[resource_type] = "they cannot be read here"
            else:
                try:
                    page.decisions[resource_type] = self._access.decide(page.caller, resource_type, "rs")
                except Forbidden:
                    page.left_out[resource_type] = f"the access token lacks system/{resource_type}.rs"
        return page.decisions[resource_type]

    async def _may_see(self, page: _Page, stored: Stored) -> bool:
        decision = page.decisions[stored.key.type]
        if await self._contexts.hide(page.caller, stored):
            return False
        if decision is None or decision.unconstrained:
            return decision is not None
        return permits(decision, stored.key, stored.at, self._extractor.rows(loads(stored.json)))
