"""Where imported resources go: straight into a storage, or to a running core over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from toro_core.definitions import Definitions
from toro_core.errors import Issue, ToroError
from toro_core.importing.sources import Incoming, Refused
from toro_core.json import dumps
from toro_core.resources import body, new_id, parse_name
from toro_core.search.extract import Extractor
from toro_core.storage import Key, Storage, Write
from toro_core.v1 import CallError, Core, UpdateResourceRequest
from toro_core.validation.structure import check

__all__ = ["CoreSink", "Sink", "StorageSink"]

_AT_ONCE = 16
_SHOWN = 3


class Sink(Protocol):
    """Stores batches."""

    async def store(self, batch: Sequence[Incoming]) -> list[Refused]:
        """Store a batch durably and return what was refused of it, warnings of what was stored included in `warned`."""

    @property
    def warned(self) -> list[Refused]:
        """What was stored although it breaks the definitions."""


class StorageSink:
    """Stores batches in one commit each. What breaks the definitions is stored and told, or with `strict` refused."""

    def __init__(self, storage: Storage, definitions: Definitions, extractor: Extractor, *, strict: bool) -> None:
        """Store here."""
        self._storage = storage
        self._definitions = definitions
        self._extractor = extractor
        self._strict = strict
        self.warned: list[Refused] = []

    async def store(self, batch: Sequence[Incoming]) -> list[Refused]:
        """Write the batch, all of what is not refused or nothing."""
        prepared = [self._prepare(incoming) for incoming in batch]
        writes = [one for one in prepared if isinstance(one, Write)]
        if writes:
            await self._storage.commit(writes)
        return [one for one in prepared if isinstance(one, Refused)]

    def _prepare(self, incoming: Incoming) -> Write | Refused:
        resource = incoming.resource
        try:
            key = _key(incoming, self._definitions)
            issues = check(resource, self._definitions)
            if issues and self._strict:
                return Refused(place=incoming.place, why=_say(issues))
            write = Write(key=key, body=body(resource, key.id), rows=self._extractor.rows(resource))
        except ToroError as error:
            return Refused(place=incoming.place, why=str(error))
        if issues:
            self.warned.append(Refused(place=incoming.place, why=_say(issues)))
        return write


class CoreSink:
    """Stores by UpdateResource calls, some at a time; the core checks and refuses. Needs `cu` on every type."""

    def __init__(self, core: Core, definitions: Definitions, token: str) -> None:
        """Store through this core with this access token."""
        self._core = core
        self._definitions = definitions
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.warned: list[Refused] = []

    async def store(self, batch: Sequence[Incoming]) -> list[Refused]:
        """Send the batch; each resource is stored or refused on its own."""
        answers = await asyncio.gather(*(self._send(incoming) for incoming in batch))
        return [answer for answer in answers if answer is not None]

    async def _send(self, incoming: Incoming) -> Refused | None:
        async with self._slots:
            try:
                key = _key(incoming, self._definitions)
                json = dumps({**incoming.resource, "id": key.id})
                request = UpdateResourceRequest(name=str(key), json=json, allow_missing=True)
                await self._core.UpdateResource(request, metadata=self._metadata, timeout=60)
            except ToroError as error:
                return Refused(place=incoming.place, why=str(error))
            except CallError as error:
                if error.reason in {"UNAUTHENTICATED", "INVALID_TOKEN", "STORAGE_UNAVAILABLE"}:
                    raise
                return Refused(place=incoming.place, why=_say(error.issues))
        return None


def _key(incoming: Incoming, definitions: Definitions) -> Key:
    resource = incoming.resource
    return parse_name(f"{resource.get('resourceType')}/{resource.get('id') or new_id()}", definitions.resource_types)


class _Said(Protocol):
    @property
    def diagnostics(self) -> str: ...


def _say(issues: Sequence[Issue] | Sequence[_Said]) -> str:
    shown = "; ".join(
        f"{', '.join(getattr(one, 'expressions', ()))} {one.diagnostics}".strip() for one in issues[:_SHOWN]
    )
    more = len(issues) - _SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
