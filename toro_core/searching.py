"""FHIR search in the core: parse, authorise, plan, page, include. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from toro_core.access import Access, Decision, Forbidden, sees_everything
from toro_core.binaries import SecurityContexts
from toro_core.caller import Caller
from toro_core.errors import Issue
from toro_core.search.combine import all_of
from toro_core.search.explain import explained
from toro_core.search.extract import Extractor
from toro_core.search.include import Includer
from toro_core.search.indexed import COMPARTMENT
from toro_core.search.joins import Joins
from toro_core.search.paging import InvalidPageToken, PageState, PageTokens
from toro_core.search.parse import SearchParser
from toro_core.search.patience import patience
from toro_core.search.plan import Compartment, Criterion, Cursor, SearchPlan
from toro_core.search.query import Parameter, Query
from toro_core.search.request import Found, Search, common, invalid_search, searched_types
from toro_core.search.subset import Subset
from toro_core.search.trail import Place
from toro_core.storage import Key, Storage, Stored

__all__ = ["Found", "Search", "Searcher"]

_PAGE_BYTES: Final = 3_500_000
_MATCH_BYTES: Final = 2_000_000
"""What the matches of a page may have where others are included beside them."""
_COUNTED: Final = 1_001
"""A total is given unasked where it is below this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A search understood, one plan a type; `applied` and `issues` are of all of them."""

    plans: tuple[SearchPlan, ...]
    query: Query
    applied: tuple[Parameter, ...]
    issues: tuple[Issue, ...]


class Searcher:
    """Finds what a caller may see."""

    def __init__(
        self,
        storage: Storage,
        extractor: Extractor,
        parser: SearchParser,
        access: Access,
        tokens: PageTokens,
        *,
        page_size: int,
    ) -> None:
        """Search this storage; `page_size` stands where a search has no `_count`."""
        self._storage = storage
        self._extractor = extractor
        self._definitions = extractor.definitions
        self._parser = parser
        self._access = access
        self._tokens = tokens
        self._page_size = page_size
        self._joins = Joins(storage, extractor)
        self._includer = Includer(storage, extractor, access)
        self._contexts = SecurityContexts(storage, extractor, access)

    async def search(self, caller: Caller, search: Search) -> Found:
        """Answer the first page. Raises Forbidden, InvalidSearch, TooCostly."""
        async with patience(search.parameters):
            asked = await self._asked(caller, search)
            found, cursor = await self._page(asked.plans, None)
            total = None if self._hides(caller, asked) else await self._total(asked, len(found), cursor)
        return await self._answer(caller, search, asked, found, Place(), cursor, total)

    async def follow(self, caller: Caller, search: Search, token: str) -> Found:
        """Answer the page a token names; the grants count as they are now. Raises Forbidden, InvalidPageToken, TooCostly."""
        state = await self._tokens.open(token, caller.client_id)
        if (state.kind, state.type, state.id) != ("search", search.type, _name(search.compartment)):
            raise InvalidPageToken("The page token belongs to another request; follow the links as they were given.")
        async with patience(state.parameters):
            asked = await self._asked(caller, replace(search, parameters=state.parameters, lenient=False))
            found, cursor = await self._page(asked.plans, state.cursor or None)
        place = Place(cursor=state.cursor, trail=state.trail)
        return await self._answer(caller, search, asked, found, place, cursor, None)

    async def explain(self, caller: Caller, search: Search) -> str:
        """Say what a search does, in words and in the storage's own, to who may read and search everything.

        How a storage executes a plan tells how much of what there is, whatever a grant shows. Raises as `search` does.
        """
        if not sees_everything(caller):
            raise Forbidden("system/*.rs")
        asked = await self._asked(caller, search)
        return "\n\n".join([await explained(plan, self._storage) for plan in asked.plans])

    async def _asked(self, caller: Caller, search: Search) -> _Asked:
        def clause_of(resource_type: str) -> Criterion | None:
            return self._access.visible(caller, resource_type)

        def parsed(given: Sequence[Parameter], lenient: bool) -> list[Query]:
            several = types if len(types) > 1 else ()
            return [
                self._parser.parse(name, given, lenient=lenient, clause_of=clause_of, types=several) for name in types
            ]

        types, rest, issues = searched_types(search, self._definitions, clause_of)
        decisions = [self._access.decide(caller, resource_type, "s") for resource_type in types]
        queries = parsed(rest, search.lenient)
        applied = common(queries)
        if any(len(query.applied) > len(applied) for query in queries):
            # What one type ignores is applied to none, so that links, later pages and issues say the same of all.
            issues = [*issues, *(issue for query in queries for issue in query.issues)]
            queries = parsed(applied, False)
        plans = [
            await self._plan(query, decision, search.compartment, len(types))
            for query, decision in zip(queries, decisions, strict=True)
        ]
        named = tuple(parameter for parameter in search.parameters if parameter.code == "_type")
        notes = dict.fromkeys([*issues, *(issue for query in queries for issue in query.issues)])
        return _Asked(plans=tuple(plans), query=queries[0], applied=(*named, *applied), issues=tuple(notes))

    async def _plan(self, query: Query, decision: Decision, compartment: Key | None, types: int) -> SearchPlan:
        criteria = [query.criterion, decision.clause]
        if compartment is not None:
            if COMPARTMENT in self._extractor.pending.get(query.type, ()):
                text = f"{query.type} resources were put into compartments by other rules; run `toro reindex`."
                raise invalid_search("not-supported", text)
            criteria.append(Compartment(id=compartment.id))
        if types > 1 and any(parameter.code == "_sort" for parameter in query.applied):
            text = "Parameter `_sort` is supported for one type at a time: several types come one after the other."
            raise invalid_search("not-supported", text)
        limit = self._page_size if query.count is None else query.count
        return SearchPlan(
            type=query.type,
            criterion=await self._joins.followed(query.type, all_of(criteria)),
            sort=query.sort,
            limit=0 if query.summary == "count" else limit,
            max_bytes=_MATCH_BYTES if query.includes else _PAGE_BYTES,
        )

    async def _page(self, plans: Sequence[SearchPlan], after: Cursor | None) -> tuple[list[Stored], Cursor | None]:
        """Take a page from the plans, one after the other; among several the cursor's first place names the type."""
        if len(plans) == 1:
            (plan,) = plans
            if not plan.limit:
                return [], None
            page = await self._storage.search(plan if after is None else replace(plan, cursor=after))
            return list(page.resources), page.cursor
        found: list[Stored] = []
        limit, left = plans[0].limit, plans[0].max_bytes
        start = next((n for n, plan in enumerate(plans) if after and plan.type == after[0]), 0)
        cursor = after[1:] or None if after else None
        for plan in plans[start:] if limit else ():
            if len(found) >= limit or left <= 0:
                return found, (plan.type,)
            page = await self._storage.search(replace(plan, cursor=cursor, limit=limit - len(found), max_bytes=left))
            found += page.resources
            left -= sum(len(stored.json) for stored in page.resources)
            if page.cursor is not None:
                return found, (plan.type, *page.cursor)
            cursor = None
        return found, None

    async def _answer(
        self,
        caller: Caller,
        search: Search,
        asked: _Asked,
        found: Sequence[Stored],
        place: Place,
        cursor: Cursor | None,
        total: int | None,
    ) -> Found:
        query = asked.query
        if self._hides(caller, asked):
            found = [stored for stored in found if not await self._contexts.hide(caller, stored)]
        included, issues = await self._included(caller, search, query, found)
        return Found(
            matches=self._shown(query, found),
            included=self._shown(replace(query, elements=()), included) if included else (),
            next_page_token=await self._token(caller, search, asked, None if cursor is None else place.onward(cursor)),
            previous_page_token=await self._token(caller, search, asked, place.back()),
            total=total,
            issues=(*asked.issues, *issues),
            applied=asked.applied,
        )

    @staticmethod
    def _hides(caller: Caller, asked: _Asked) -> bool:
        """Say whether resources may be hidden that match: then their number is nobody's to know."""
        return any(plan.type == "Binary" for plan in asked.plans) and not sees_everything(caller)

    async def _included(
        self, caller: Caller, search: Search, query: Query, found: Sequence[Stored]
    ) -> tuple[Sequence[Stored], Sequence[Issue]]:
        if not query.includes:
            return (), ()
        left = _PAGE_BYTES - sum(len(stored.json) for stored in found)
        return await self._includer.included(caller, found, query.includes, readable=search.readable, max_bytes=left)

    def _shown(self, query: Query, resources: Sequence[Stored]) -> Sequence[Stored]:
        subset = Subset(self._definitions, query.summary, query.elements)
        if subset.whole:
            return resources
        return [stored._replace(json=subset(stored.json)) for stored in resources]

    async def _token(self, caller: Caller, search: Search, asked: _Asked, place: Place | None) -> str:
        if place is None:
            return ""
        state = PageState(
            kind="search",
            type=search.type,
            id=_name(search.compartment),
            parameters=asked.applied,
            cursor=place.cursor,
            trail=place.trail,
            client=caller.client_id,
        )
        return await self._tokens.seal(state)

    async def _total(self, asked: _Asked, on_page: int, cursor: Cursor | None) -> int | None:
        query, plans = asked.query, asked.plans
        if query.total == "none" and query.summary != "count":
            return None
        if cursor is None and plans[0].limit:
            return on_page
        exact = query.total in {"accurate", "estimate"} or not plans[0].limit
        total = 0
        for plan in plans:
            total += await self._storage.count(plan, None if exact else _COUNTED - total)
            if not exact and total >= _COUNTED:
                return None
        return total


def _name(compartment: Key | None) -> str:
    return "" if compartment is None else str(compartment)
