"""WatchResources: what is committed, as far as the caller may see it, in commit order."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from toro_core.access import Access, Decision
from toro_core.caller import Caller, Verifier, caller_of
from toro_core.errors import Unsupported
from toro_core.feed import Feed
from toro_core.histories import granted_types
from toro_core.interceptors import Call
from toro_core.reading import Reader
from toro_core.rejections import InvalidArgument
from toro_core.resources import message
from toro_core.storage import Storage, Stored
from toro_core.v1 import WatchResourcesResponse

__all__ = ["Watching"]

_MESSAGE: Final = 1 << 20
"""Bytes at which a message is full."""
_PROGRESS: Final = 5.0
"""Seconds after which a caller is told where the feed has come to though there was nothing to see."""


class Watching:
    """Watches a storage for callers."""

    def __init__(
        self, storage: Storage, reader: Reader, access: Access, verifier: Verifier, types: frozenset[str]
    ) -> None:
        """Watch this storage; `types` are all there are."""
        self._storage = storage
        self._reader = reader
        self._access = access
        self._verifier = verifier
        self._types = types
        self._feed = Feed(storage)

    async def watch(
        self, call: Call, types: Sequence[str], after: int | None, max_bytes: int
    ) -> AsyncIterator[WatchResourcesResponse]:
        """Stream what is committed after a sequence, None for what is to come. Raises Forbidden, Unsupported, InvalidArgument."""
        self._decisions(call.known_caller(), types)
        if "ordered_changes" not in self._storage.capabilities:
            raise Unsupported("This storage has no feed of changes in commit order; search by _lastUpdated instead.")
        if after is not None and after < 0:
            raise InvalidArgument("after is negative; send the last sequence seen, 0 for every change.")
        return self._messages(call, types, after, max_bytes)

    def close(self) -> None:
        """End every stream."""
        self._feed.close()

    async def _messages(
        self, call: Call, types: Sequence[str], after: int | None, max_bytes: int
    ) -> AsyncIterator[WatchResourcesResponse]:
        if after is None:
            after = (await self._storage.watermark()).seq
            yield WatchResourcesResponse(sequence=after)
        told = time.monotonic()
        async for batch in self._feed.changes(after):
            # A stream may outlive its token, and so what it was granted.
            caller = await caller_of(call.metadata, self._verifier)
            async for answer in self._answers(caller, batch, self._decisions(caller, types), max_bytes):
                if answer.changes or time.monotonic() - told >= _PROGRESS:
                    yield answer
                    told = time.monotonic()

    def _decisions(self, caller: Caller, types: Sequence[str]) -> Mapping[str, Decision]:
        if types:
            return {type_: self._access.decide(caller, type_, "s") for type_ in types}
        return granted_types(self._access, caller, self._types)

    async def _answers(
        self, caller: Caller, batch: Sequence[Stored], decisions: Mapping[str, Decision], max_bytes: int
    ) -> AsyncIterator[WatchResourcesResponse]:
        answer, size = WatchResourcesResponse(), 0
        for stored in batch:
            decision = decisions.get(stored.key.type)
            if decision is None or not await self._reader.sees(caller, decision, stored):
                continue
            change = message(stored, max_bytes=max_bytes)
            room = change.ByteSize()
            if answer.changes and size + room > _MESSAGE:
                answer.sequence = stored.seq - 1
                yield answer
                answer, size = WatchResourcesResponse(), 0
            answer.changes.append(change)
            size += room
        answer.sequence = batch[-1].seq
        yield answer
