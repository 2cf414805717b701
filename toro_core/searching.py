"""FHIR search in the core: parse, authorise, plan, page. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from toro_core.access import Access, Decision
from toro_core.caller import Caller
from toro_core.errors import Issue
from toro_core.search.paging import InvalidPageToken, PageState, PageTokens
from toro_core.search.parse import SearchParser
from toro_core.search.plan import AllOf, Cursor, SearchPlan
from toro_core.search.query import Parameter, Query
from toro_core.storage import Page, Storage, Stored

__all__ = ["Found", "Searcher"]

_PAGE_BYTES: Final = 3_500_000
_COUNTED: Final = 1_001
"""A total is given unasked where it is below this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of a search."""

    resources: Sequence[Stored]
    next_page_token: str
    total: int | None
    issues: tuple[Issue, ...]
    applied: tuple[Parameter, ...]


class Searcher:
    """Finds what a caller may see."""

    def __init__(
        self, storage: Storage, parser: SearchParser, access: Access, tokens: PageTokens, *, page_size: int
    ) -> None:
        """Search this storage; `page_size` stands where a search has no `_count`."""
        self._storage = storage
        self._parser = parser
        self._access = access
        self._tokens = tokens
        self._page_size = page_size

    async def search(
        self, caller: Caller, resource_type: str, parameters: Sequence[Parameter], *, lenient: bool
    ) -> Found:
        """Answer the first page. Raises Forbidden, InvalidSearch, TooCostly."""
        decision = self._access.decide(caller, resource_type, "s")
        query = self._parser.parse(resource_type, parameters, lenient=lenient)
        plan = self._plan(query, decision, None)
        page = await self._storage.search(plan) if plan.limit else Page(resources=(), cursor=None)
        total = await self._total(query, plan, page)
        token = await self._following(caller, query, page)
        return Found(
            resources=page.resources, next_page_token=token, total=total, issues=query.issues, applied=query.applied
        )

    async def follow(self, caller: Caller, resource_type: str, token: str) -> Found:
        """Answer the page a token names; the grants count as they are now. Raises Forbidden, InvalidPageToken."""
        decision = self._access.decide(caller, resource_type, "s")
        state = await self._tokens.open(token, caller.client_id)
        if (state.kind, state.type) != ("search", resource_type):
            raise InvalidPageToken("The page token belongs to another request; follow the links as they were given.")
        query = self._parser.parse(resource_type, state.parameters)
        page = await self._storage.search(self._plan(query, decision, state.cursor))
        token = await self._following(caller, query, page)
        return Found(resources=page.resources, next_page_token=token, total=None, issues=(), applied=query.applied)

    def _plan(self, query: Query, decision: Decision, cursor: Cursor | None) -> SearchPlan:
        criterion = query.criterion if decision.unconstrained else AllOf((query.criterion, decision.clause))
        return SearchPlan(
            type=query.type,
            criterion=criterion,
            sort=query.sort,
            limit=self._page_size if query.count is None else query.count,
            max_bytes=_PAGE_BYTES,
            cursor=cursor,
        )

    async def _following(self, caller: Caller, query: Query, page: Page) -> str:
        if page.cursor is None:
            return ""
        state = PageState(
            kind="search", type=query.type, parameters=query.applied, cursor=page.cursor, client=caller.client_id
        )
        return await self._tokens.seal(state)

    async def _total(self, query: Query, plan: SearchPlan, page: Page) -> int | None:
        if query.total == "none":
            return None
        if page.cursor is None and plan.limit:
            return len(page.resources)
        if query.total in {"accurate", "estimate"} or not plan.limit:
            return await self._storage.count(plan)
        counted = await self._storage.count(plan, _COUNTED)
        return counted if counted < _COUNTED else None
