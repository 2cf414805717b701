"""FHIR read, vread and instance history in the core. https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from dataclasses import replace

from toro_core.access import Access, Decision, permits
from toro_core.caller import Caller
from toro_core.errors import Gone, NotFound
from toro_core.json import loads
from toro_core.search.extract import Extractor
from toro_core.storage import HistoryPlan, Key, Page, Storage, Stored

__all__ = ["Reader", "missing"]


class Reader:
    """Reads versions a caller may see. What lies outside a granular grant is as if it did not exist."""

    def __init__(self, storage: Storage, extractor: Extractor, access: Access) -> None:
        """Read from this storage."""
        self._storage = storage
        self._extractor = extractor
        self._access = access

    async def read(self, caller: Caller, key: Key, version: int | None) -> Stored:
        """Return the current version, or the given one. Raises Forbidden, NotFound, Gone."""
        decision = self._access.decide(caller, key.type, "r")
        try:
            stored = await self._storage.read(key, version)
        except NotFound:
            raise missing(key, version) from None
        if not await self.sees(decision, stored):
            raise missing(key, version)
        if stored.deleted:
            raise Gone
        return stored

    async def versions(self, caller: Caller, key: Key, plan: HistoryPlan) -> Page:
        """Return a page of a resource's versions, deletions included. Raises Forbidden, NotFound."""
        decision = self._access.decide(caller, key.type, "r")
        plan = replace(plan, key=key)
        first = plan.cursor is None
        seen: list[Stored] = []
        while not seen:
            try:
                page = await self._storage.history(plan)
            except NotFound:
                raise missing(key) from None
            seen = [stored for stored in page.resources if await self.sees(decision, stored)]
            if page.cursor is None:
                break
            # A page of hidden versions alone would tell that there are some.
            plan = replace(plan, cursor=page.cursor)
        if not seen and first:
            raise missing(key)
        return Page(resources=seen, cursor=page.cursor)

    async def sees(self, decision: Decision, stored: Stored) -> bool:
        """Judge a version by its own content, and a deletion by the content it deleted."""
        if decision.unconstrained:
            return True
        while stored.deleted:
            if stored.version == 1:
                return False
            stored = await self._storage.read(stored.key, stored.version - 1)
        return permits(decision, stored.key, stored.at, self._extractor.rows(loads(stored.json)))


def missing(key: Key, version: int | None = None) -> NotFound:
    """Say that there is no such resource or version, in the same words whether it is absent or hidden."""
    return NotFound(f"{key} does not exist" if version is None else f"{key} has no version {version}")
