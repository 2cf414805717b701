"""Chains for storages that follow none: each is replaced by the resources it leads to, up to a limit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from toro_core.errors import TooCostly
from toro_core.json import loads
from toro_core.search.extract import Extractor
from toro_core.search.plan import AllOf, AnyOf, Chain, Criterion, Has, Ids, Not, Reference, SearchPlan, SortKey
from toro_core.storage import Storage, Stored

__all__ = ["MOST_KEYS", "Joins"]

MOST_KEYS: Final = 10_000
"""Resources a chain may lead to where the storage follows none."""
_PAGE: Final = 500


class Joins:
    """Follows chains on behalf of a storage without the capability `joins`."""

    def __init__(self, storage: Storage, extractor: Extractor, *, most: int = MOST_KEYS) -> None:
        """Ask this storage; more than `most` resources are too many."""
        self._storage = storage
        self._extractor = extractor
        self._most = most

    async def followed(self, resource_type: str, criterion: Criterion) -> Criterion:
        """Return a criterion on the type that the storage can execute. Raises TooCostly."""
        if "joins" in self._storage.capabilities:
            return criterion
        match criterion:
            case AllOf(criteria):
                return AllOf(tuple([await self.followed(resource_type, one) for one in criteria]))
            case AnyOf(criteria):
                return AnyOf(tuple([await self.followed(resource_type, one) for one in criteria]))
            case Not(inner):
                return Not(await self.followed(resource_type, inner))
            case Chain():
                return await self._chain(criterion)
            case Has():
                return await self._has(resource_type, criterion)
            case _:
                return criterion

    async def _chain(self, chain: Chain) -> Criterion:
        found = [stored.key.id async for stored in self._found(chain.type, chain.criterion)]
        return AnyOf(tuple(Reference(param=chain.param, type=chain.type, id=id_) for id_ in found))

    async def _has(self, resource_type: str, has: Has) -> Criterion:
        found: dict[str, None] = {}
        async for stored in self._found(has.type, has.criterion):
            for row in self._extractor.references_in(loads(stored.json), {has.param}):
                if row.type == resource_type:
                    found[row.id] = None
            if len(found) > self._most:
                raise _too_many(self._most)
        return Ids(ids=tuple(found))

    async def _found(self, resource_type: str, criterion: Criterion) -> AsyncIterator[Stored]:
        plan = SearchPlan(
            type=resource_type, criterion=await self.followed(resource_type, criterion), sort=(SortKey(param="_id"),)
        )
        if await self._storage.count(plan, self._most + 1) > self._most:
            raise _too_many(self._most)
        cursor = None
        while True:
            page = await self._storage.search(
                SearchPlan(type=plan.type, criterion=plan.criterion, sort=plan.sort, limit=_PAGE, cursor=cursor)
            )
            for stored in page.resources:
                yield stored
            if page.cursor is None:
                return
            cursor = page.cursor


def _too_many(most: int) -> TooCostly:
    return TooCostly(f"A chain leads to more than {most} resources; narrow it with more parameters.")
