"""The changes of a storage as they are committed, by whichever process: one poller for all who wait, none where nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from toro_core.storage import Storage, Stored

__all__ = ["Feed"]

INTERVAL: Final = 0.2
"""Seconds between two looks at the storage."""


class Feed:
    """Hands out changes in commit order, in batches of whole commits."""

    def __init__(self, storage: Storage, *, interval: float = INTERVAL) -> None:
        """Read this storage, which has `ordered_changes`."""
        self._storage = storage
        self._interval = interval
        self._waiting: dict[asyncio.Future[Sequence[Stored]], int] = {}
        self._poller: asyncio.Task[None] | None = None
        self._closed = False

    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        """Yield what is committed after a sequence, those to come included, until the feed is closed."""
        while not self._closed:
            async for batch in self._storage.changes(after):
                if batch:
                    after = batch[-1].seq
                    yield batch
                if self._closed:
                    return
            if batch := await self._next(after):
                after = batch[-1].seq
                yield batch

    def close(self) -> None:
        """End every stream, without an error: whoever follows it knows how far it came."""
        self._closed = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(())

    async def _next(self, after: int) -> Sequence[Stored]:
        """Wait until something is committed after this; return it where the poller has read just that, else nothing."""
        if self._closed:
            return ()
        waiting: asyncio.Future[Sequence[Stored]] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = after
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        try:
            return await waiting
        finally:
            del self._waiting[waiting]
            if not self._waiting and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            after = min(self._waiting.values())
            try:
                batch = await self._first(after)
            except Exception as error:
                self._fail(error)
                return
            for waiting, seen in self._waiting.items():
                if batch and seen < batch[-1].seq and not waiting.done():
                    waiting.set_result(batch if seen == after else ())

    async def _first(self, after: int) -> Sequence[Stored]:
        async for batch in self._storage.changes(after):
            if batch:
                return batch
        return ()

    def _fail(self, error: Exception) -> None:
        """Let everyone who waits know, and begin anew with the next who does."""
        self._poller = None
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(error)
