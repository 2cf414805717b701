"""FHIR read and vread in the core, and who sees which version. https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from toro_core.access import Access, Decision, permits
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
