"""FHIR read and vread in the core, and who sees which version. https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from toro_core.access import Access, Decision, permits, sees_everything
from toro_core.binaries import SecurityContexts
from toro_core.caller import Caller
from toro_core.errors import Gone, NotFound
from toro_core.json import loads
from toro_core.search.extract import Extractor
from toro_core.storage import Key, Storage, Stored

__all__ = ["Reader", "missing"]


class Reader:
    """Reads versions a caller may see. What lies outside a granular grant is as if it did not exist."""

    def __init__(self, storage: Storage, extractor: Extractor, access: Access) -> None:
        """Read from this storage."""
        self._storage = storage
        self._extractor = extractor
        self._access = access
        self._contexts = SecurityContexts(storage, extractor, access)

    async def read(self, caller: Caller, key: Key, version: int | None) -> Stored:
        """Return the current version, or the given one. Raises Forbidden, NotFound, Gone."""
        decision = self._access.decide(caller, key.type, "r")
        try:
            stored = await self._storage.read(key, version)
        except NotFound:
            raise missing(key, version) from None
        if not await self.sees(caller, decision, stored):
            raise missing(key, version)
        if stored.deleted:
            raise Gone
        return stored

    async def sees(self, caller: Caller, decision: Decision, stored: Stored) -> bool:
        """Judge a version by its own content, and a deletion by the content it deleted."""
        if decision.unconstrained and (stored.key.type != "Binary" or sees_everything(caller)):
            return True
        while stored.deleted:
            if stored.version == 1:
                return False
            stored = await self._storage.read(stored.key, stored.version - 1)
        if await self._hides(caller, stored):
            return False
        return decision.unconstrained or permits(
            decision, stored.key, stored.at, self._extractor.rows(loads(stored.json))
        )

    async def _hides(self, caller: Caller, stored: Stored) -> bool:
        """Say whether a Binary's context hides a version: its own, or that of today, which may have been added since."""
        if stored.key.type != "Binary":
            return False
        return await self._contexts.hide(caller, stored) or await self._contexts.hide(
            caller, await self._storage.read(stored.key)
        )


def missing(key: Key, version: int | None = None) -> NotFound:
    """Say that there is no such resource or version, in the same words whether it is absent or hidden."""
    return NotFound(f"{key} does not exist" if version is None else f"{key} has no version {version}")
