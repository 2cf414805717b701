"""Keeps a claim while its work is done: renews the lease, records progress, and stops what was cancelled or taken over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

from toro_core.bulk.errors import LeaseLost
from toro_core.bulk.files import Files
from toro_core.bulk.job import Unit
from toro_core.bulk.jobs import Claim, Jobs
from toro_core.bulk.parts import Encoders, Parts
from toro_core.errors import StorageBusy

__all__ = ["Watch"]

_LOOK: Final = 0.4
"""Seconds between two looks at whether the job was cancelled."""
_TELL: Final = 1.0
"""Seconds between two records of progress."""


class Watch:
    """Watches over one claim."""

    def __init__(self, jobs: Jobs, claim: Claim, files: Files, encoders: Encoders, max_file_bytes: int) -> None:
        """Watch a claim whose work writes files of at most about this size."""
        self._jobs = jobs
        self._claim = claim
        self._files = files
        self._encoders = encoders
        self._max_file_bytes = max_file_bytes
        self._saving = asyncio.Lock()
        self._told_at = time.monotonic()

    def parts(self, tag: str) -> Parts:
        """Begin the files of a stretch of work."""
        return Parts(self._files, f"{self._claim.job.id}/{tag}", self._encoders, self._max_file_bytes)

    async def save(self, unit: Unit) -> None:
        """Record how far the unit has come. Raises LeaseLost."""
        async with self._saving:
            await self._jobs.save(self._claim, unit)

    async def progress(self, start: Unit, seen: int, parts: Parts) -> None:
        """Tell now and then how far it is from what the unit was at the start of these files. Raises LeaseLost."""
        now = time.monotonic()
        if now - self._told_at < _TELL:
            return
        self._told_at = now
        resources, size = start.resources + parts.resources, start.bytes + parts.bytes
        await self.save(replace(start, seen=seen, resources=resources, bytes=size))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Cancel the work inside, with LeaseLost, where the claim is lost; give the lease up at its end."""
        task = asyncio.current_task()
        assert task is not None, "work is done in a task"  # noqa: S101
        lost = asyncio.Event()
        keeper = asyncio.create_task(self._keep(task, lost))
        try:
            yield
        except asyncio.CancelledError:
            if lost.is_set() and not task.uncancel():
                raise LeaseLost from None
            raise
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await self._jobs.release(self._claim)

    async def _keep(self, task: asyncio.Task[object], lost: asyncio.Event) -> None:
        every = self._jobs.lease_seconds / 3
        renewed = time.monotonic()
        try:
            while True:
                await asyncio.sleep(min(_LOOK, every))
                with suppress(StorageBusy):  # the lease lasts a while longer
                    if not await self._jobs.exists(self._claim.job.id):
                        raise LeaseLost
                    if time.monotonic() - renewed > every:
                        await self._jobs.renew(self._claim)
                        renewed = time.monotonic()
        except LeaseLost:
            lost.set()
            task.cancel()
