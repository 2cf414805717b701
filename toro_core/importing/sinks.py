"""Where imported resources go: straight into a storage, or to a running core over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from toro_core.definitions import Definitions
from toro_core.errors import Gone, NotFound, ToroError
from toro_core.importing.preparing import Prepared, Preparer, key_of, told
from toro_core.importing.sources import Incoming, Refused
from toro_core.json import dumps
from toro_core.resources import parse_name
from toro_core.search.extract import Extractor
from toro_core.search.reindex import prepare
from toro_core.storage import Storage, Write
from toro_core.v1 import CallError, Core, DeleteResourceRequest, UpdateResourceRequest
from toro_core.validation import Validator

__all__ = ["CoreSink", "Outcome", "Sink", "StorageSink"]

_AT_ONCE: Final = 16
_TIMEOUT: Final = 60.0
_FATAL: Final = frozenset(
    {"DEADLINE_EXCEEDED", "INVALID_TOKEN", "OUTCOME_UNKNOWN", "STORAGE_FULL", "STORAGE_UNAVAILABLE", "UNAUTHENTICATED"}
)
"""Reasons for which the rest of an import would fail too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a batch: it is stored but for what was `refused`; `warned` is stored although it breaks the definitions."""

    refused: Sequence[Refused] = ()
    warned: Sequence[Refused] = ()


class Sink(Protocol):
    """Stores batches."""

    async def store(self, batch: Sequence[Incoming]) -> Outcome:
        """Store a batch durably. Raises ToroError or CallError where it cannot go on."""

    async def delete(self, name: str) -> bool:
        """Delete a resource, as `Type/id`; False where there was none. Raises as `store` does."""


class StorageSink:
    """Stores batches in one commit each. What breaks the definitions is stored and told, or with `strict` refused."""

    def __init__(
        self,
        storage: Storage,
        definitions: Definitions,
        extractor: Extractor,
        *,
        strict: bool,
        validator: Validator | None = None,
    ) -> None:
        """Store here; without a validator nothing is checked but what storing needs."""
        self._storage = storage
        self._definitions = definitions
        self._extractor = extractor
        self._settled = False
        self.preparer: Final = Preparer(definitions, extractor, strict=strict, validator=validator)

    async def store(self, batch: Sequence[Incoming]) -> Outcome:
        """Write the batch, all of what is not refused or nothing."""
        await self._settle()
        prepared = self.preparer.prepare(batch)
        await self.commit(prepared)
        return Outcome(refused=prepared.refused, warned=prepared.warned)

    async def commit(self, prepared: Prepared) -> None:
        """Write what has been made ready, here or elsewhere."""
        await self._settle()
        if prepared.writes:
            await self._storage.commit([Write(key=key, body=body, rows=rows) for key, body, rows in prepared.writes])

    async def delete(self, name: str) -> bool:
        """Delete a resource."""
        key = parse_name(name, self._definitions.resource_types)
        try:
            await self._storage.commit([Write(key=key, body=None)])
        except (NotFound, Gone):
            return False
        return True

    async def _settle(self) -> None:
        if not self._settled:
            await prepare(self._storage, self._extractor)
            self._settled = True


class CoreSink:
    """Stores by UpdateResource calls, some at a time; the core checks and refuses. Needs `cu` on every type."""

    def __init__(self, core: Core, definitions: Definitions, token: str) -> None:
        """Store through this core with this access token."""
        self._core = core
        self._definitions = definitions
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def store(self, batch: Sequence[Incoming]) -> Outcome:
        """Send the batch; each resource is stored or refused on its own."""
        answers = await asyncio.gather(*(self._send(incoming) for incoming in batch))
        return Outcome(refused=[answer for answer in answers if answer is not None])

    async def delete(self, name: str) -> bool:
        """Delete a resource."""
        request = DeleteResourceRequest(name=name)
        answer = await self._core.DeleteResource(request, metadata=self._metadata, timeout=_TIMEOUT)
        return bool(answer.deletions)

    async def _send(self, incoming: Incoming) -> Refused | None:
        async with self._slots:
            try:
                key = key_of(incoming, self._definitions)
                json = dumps({**incoming.resource, "id": key.id})
                request = UpdateResourceRequest(name=str(key), json=json, allow_missing=True)
                await self._core.UpdateResource(request, metadata=self._metadata, timeout=_TIMEOUT)
            except ToroError as error:
                return told(incoming, error)
            except CallError as error:
                if error.reason in _FATAL:
                    raise
                return told(incoming, error.issues)
        return None
