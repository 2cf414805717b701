"""CommitBundle: a Bundle is taken apart, carried out, and answered entry by entry. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from toro_core.access import Access
from toro_core.bundles.entries import Entry, EntryParser, Read
from toro_core.bundles.exposed import Exposed
from toro_core.bundles.places import placed
from toro_core.bundles.reads import EntryReader, Rpcs, check_read
from toro_core.bundles.transaction import Transactor
from toro_core.caller import Caller
from toro_core.changes import Change, Done
from toro_core.definitions import Definitions
from toro_core.errors import ToroError
from toro_core.interceptors import Call
from toro_core.json import JsonObject, loads
from toro_core.rejections import InvalidBundle
from toro_core.resources import fill
from toro_core.search.parse import SearchParser
from toro_core.status import call_error, issue_message
from toro_core.v1 import (
    CommitBundleRequest,
    CommitBundleResponse,
    Content,
    EntryFailure,
    EntryOutcome,
    EntryResult,
    Handling,
    Interaction,
)
from toro_core.validation.structure import check
from toro_core.writing import Writer

__all__ = ["Bundler"]

_INLINE: Final = 256 << 10
_LARGE_AT_ONCE: Final = 2
"""Bundles beyond `_INLINE` bytes that are worked on at once: parsed, one takes some twenty times its bytes."""
_AT_ONCE: Final = 64
"""Entries of a batch that are carried out at once; their commits share the storage's."""
_MAX_BYTES: Final = 3_500_000
_ORDER: Final = {"delete": 0, "create": 1, "update": 2, "patch": 2}
_KINDS: Final = {"batch": Interaction.INTERACTION_BATCH, "transaction": Interaction.INTERACTION_TRANSACTION}
_OUTCOMES: Final = {
    "created": EntryOutcome.ENTRY_OUTCOME_CREATED,
    "updated": EntryOutcome.ENTRY_OUTCOME_UPDATED,
    "found": EntryOutcome.ENTRY_OUTCOME_FOUND,
    "deleted": EntryOutcome.ENTRY_OUTCOME_DELETED,
    "absent": EntryOutcome.ENTRY_OUTCOME_DELETED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundler:
    """Carries Bundles out: transactions with the transactor, the entries of batches with the writer."""

    definitions: Definitions
    entries: EntryParser
    transactor: Transactor
    writer: Writer
    access: Access
    parser: SearchParser
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_LARGE_AT_ONCE))

    async def commit(self, request: CommitBundleRequest, call: Call, rpcs: Rpcs) -> CommitBundleResponse:
        """Carry a batch or transaction out; `rpcs` answer its reads. Raises ToroError for a transaction that fails."""
        if len(request.json) <= _INLINE:
            return await self._commit(request, call, rpcs)
        async with self.large:
            return await self._commit(request, call, rpcs)

    async def _commit(self, request: CommitBundleRequest, call: Call, rpcs: Rpcs) -> CommitBundleResponse:
        bundle = await self._read(request.json)
        kind = _KINDS[str(bundle["type"])]
        exposed = Exposed(request.exposure if request.HasField("exposure") else None)
        exposed.check_system(kind)
        work = _Work(self, request, call, rpcs, exposed)
        raw = bundle.get("entry", [])
        assert isinstance(raw, list)  # noqa: S101 - checked by _read
        if kind == Interaction.INTERACTION_BATCH:
            results = await work.batch(raw)
        else:
            results = await work.transaction(raw)
        return CommitBundleResponse(interaction=kind, results=results)

    async def _read(self, json: bytes) -> JsonObject:
        if len(json) <= _INLINE:
            return self._parsed(json)
        return await asyncio.to_thread(self._parsed, json)

    def _parsed(self, json: bytes) -> JsonObject:
        """Parse a Bundle and check all but its entries' resources. Raises InvalidJson, InvalidBundle."""
        bundle = loads(json)
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in _KINDS:
            raise InvalidBundle("The body is no Bundle of type batch or transaction; send one.")
        frame = dict(bundle)
        entries = bundle.get("entry")
        if isinstance(entries, list):
            frame["entry"] = [_without_resource(entry) for entry in entries]
        if issues := check(frame, self.definitions):
            raise InvalidBundle(issues=issues)
        return bundle


class _Work:
    """One Bundle being carried out."""

    def __init__(
        self, bundler: Bundler, request: CommitBundleRequest, call: Call, rpcs: Rpcs, exposed: Exposed
    ) -> None:
        self._with = bundler
        self._request = request
        self._call = call
        self._caller: Caller = call.known_caller()
        self._exposed = exposed
        self._reader = EntryReader(rpcs, call, request)
        self._left = request.max_bytes or _MAX_BYTES

    async def transaction(self, raw: Sequence[Any]) -> list[EntryResult]:
        entries = []
        for index, one in enumerate(raw):
            with placed(index):
                entries.append(entry := self._parse(index, one))
                if isinstance(entry.request, Read):
                    lenient = self._request.handling == Handling.HANDLING_LENIENT
                    check_read(entry.request, self._caller, self._with.access, self._with.parser, lenient=lenient)
        done = await self._with.transactor.commit(self._caller, entries, self._exposed)
        results = [self._written(done.get(entry.index)) for entry in entries]
        for entry in entries:
            if isinstance(entry.request, Read):
                results[entry.index] = await self._attempt(entry.index, entry)
        return results

    async def batch(self, raw: Sequence[Any]) -> list[EntryResult]:
        """Carry each entry out by itself, in the order of a transaction, many at a time."""
        results: list[EntryResult] = [EntryResult()] * len(raw)
        entries: list[Entry] = []
        for index, one in enumerate(raw):
            try:
                with placed(index):
                    entries.append(self._parse(index, one))
            except ToroError as error:
                results[index] = self._failed(error)
        for _, group in groupby(sorted(entries, key=_rank), key=_rank):
            waiting = iter(group)
            await asyncio.gather(*(self._work_off(waiting, results) for _ in range(_AT_ONCE)))
        return results

    async def _work_off(self, waiting: Iterable[Entry], results: list[EntryResult]) -> None:
        for entry in waiting:
            results[entry.index] = await self._attempt(entry.index, entry)

    def _parse(self, index: int, raw: Any) -> Entry:
        allow = {"allow_missing": self._request.allow_missing, "allow_multiple": self._request.allow_multiple}
        entry = self._with.entries.parse(index, raw, **allow)
        self._exposed.check(entry.request.type, entry.interaction)
        if isinstance(entry.request, Change) and entry.request.criteria is not None:
            self._exposed.check(entry.request.type, Interaction.INTERACTION_SEARCH_TYPE)
        return entry

    async def _attempt(self, index: int, entry: Entry) -> EntryResult:
        try:
            with placed(index):
                if isinstance(entry.request, Read):
                    result = await self._reader.result(entry.request, self._left)
                    self._left -= result.ByteSize()
                    return result
                done = await self._with.writer.change(self._caller, entry.request)
                return self._written(done[-1] if done else None)
        except Exception as error:
            return self._failed(error)

    def _written(self, done: Done | None) -> EntryResult:
        if done is None:
            return EntryResult(outcome=EntryOutcome.ENTRY_OUTCOME_DELETED)
        result = EntryResult(outcome=_OUTCOMES[done.outcome], issues=[issue_message(one) for one in done.issues])
        if done.stored is not None and done.outcome != "absent":
            wanted = self._request.content == Content.CONTENT_FULL
            fill(result.resource, done.stored, max_bytes=max(self._left, 0), content=wanted)
            self._left -= len(result.resource.json)
        return result

    def _failed(self, error: Exception) -> EntryResult:
        failed = call_error(error, self._call.request_id)
        failure = EntryFailure(code=failed.code, reason=failed.reason, issues=failed.issues)
        return EntryResult(outcome=EntryOutcome.ENTRY_OUTCOME_FAILED, failure=failure)


def _rank(entry: Entry) -> int:
    return 3 if isinstance(entry.request, Read) else _ORDER[entry.request.method]


def _without_resource(entry: Any) -> Any:
    if not isinstance(entry, dict) or len(entry) < 2:
        return entry
    return {name: value for name, value in entry.items() if name != "resource"}
