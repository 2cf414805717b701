"""Where imported resources go: straight into a storage, or to a running core over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from toro_core.definitions import Definitions
from toro_core.errors import Gone, Issue, NotFound, ToroError
from toro_core.importing.sources import Incoming, Refused
from toro_core.json import JsonObject, dumps
from toro_core.resources import body, new_id, parse_name
from toro_core.search.extract import Extractor
from toro_core.search.reindex import prepare
from toro_core.storage import Key, Storage, Write
from toro_core.v1 import CallError, Core, DeleteResourceRequest, UpdateResourceRequest
from toro_core.validation import Validator

__all__ = ["CoreSink", "Outcome", "Sink", "StorageSink"]

_AT_ONCE: Final = 16
_TIMEOUT: Final = 60.0
_SHOWN: Final = 3
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
        self._validator = validator
        self._strict = strict
        self._settled = False

    async def store(self, batch: Sequence[Incoming]) -> Outcome:
        """Write the batch, all of what is not refused or nothing."""
        if not self._settled:
            await prepare(self._storage, self._extractor)
            self._settled = True
        refused: list[Refused] = []
        warned: list[Refused] = []
        prepared = [self._prepare(incoming, refused, warned) for incoming in batch]
        writes = [write for write in prepared if write is not None]
        if writes:
            await self._storage.commit(writes)
        return Outcome(refused=refused, warned=warned)

    async def delete(self, name: str) -> bool:
        """Delete a resource."""
        key = parse_name(name, self._definitions.resource_types)
        try:
            await self._storage.commit([Write(key=key, body=None)])
        except (NotFound, Gone):
            return False
        return True

    def _prepare(self, incoming: Incoming, refused: list[Refused], warned: list[Refused]) -> Write | None:
        resource = incoming.resource
        try:
            key = _key(incoming, self._definitions)
            laid_out = body(resource, key.id)
        except ToroError as error:
            refused.append(_told(incoming, error))
            return None
        issues = self._broken(resource)
        if issues and self._strict:
            refused.append(_told(incoming, issues))
            return None
        try:
            rows = self._extractor.rows(resource)
        except Exception:
            if not issues and self._validator is not None:
                raise
            # What has another shape than its definition cannot be indexed.
            issues = issues or (Issue(code="structure", diagnostics="is not shaped as its definition says."),)
            refused.append(_told(incoming, issues))
            return None
        if issues:
            warned.append(_told(incoming, issues))
        return Write(key=key, body=laid_out, rows=rows)

    def _broken(self, resource: JsonObject) -> tuple[Issue, ...]:
        """Return the errors of a resource; warnings are of no interest to who moves data."""
        if self._validator is None:
            return ()
        report = self._validator.validate(resource)
        return tuple(issue for issue in report.issues if issue.severity == "error") if report.broken else ()


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
                key = _key(incoming, self._definitions)
                json = dumps({**incoming.resource, "id": key.id})
                request = UpdateResourceRequest(name=str(key), json=json, allow_missing=True)
                await self._core.UpdateResource(request, metadata=self._metadata, timeout=_TIMEOUT)
            except ToroError as error:
                return _told(incoming, error)
            except CallError as error:
                if error.reason in _FATAL:
                    raise
                return _told(incoming, error.issues)
        return None


def _key(incoming: Incoming, definitions: Definitions) -> Key:
    resource = incoming.resource
    return parse_name(f"{resource.get('resourceType')}/{resource.get('id') or new_id()}", definitions.resource_types)


class _Issue(Protocol):
    @property
    def diagnostics(self) -> str:
        """What happened."""


def _told(incoming: Incoming, why: ToroError | Sequence[_Issue]) -> Refused:
    issues: Sequence[_Issue] = why.issues if isinstance(why, ToroError) else why
    text = "; ".join(issue.diagnostics for issue in issues[:_SHOWN])
    more = len(issues) - _SHOWN
    return Refused(place=incoming.place, why=f"{text}; and {more} more" if more > 0 else text)
