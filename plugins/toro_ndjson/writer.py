"""Lets changes go one after another: all that were queued while the last were being fsynced go into the next fsync."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from toro_core.errors import StorageBusy, StorageError
from toro_ndjson.catalog import Catalog
from toro_ndjson.journal import Journal
from toro_ndjson.staging import Staging

__all__ = ["Writer"]

T = TypeVar("T")
_GROUP_WEIGHT: Final = 1_000
"""Resources after which a group takes no more, so that the first in it does not wait long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    work: Callable[[Staging], Any]
    weight: int
    future: asyncio.Future[Any]


_Outcome: TypeAlias = tuple[_Job, Any, BaseException | None]


class Writer:
    """Judges and journals in its thread, makes visible on the loop. Between two groups `between` may do other work."""

    def __init__(self, catalog: Catalog, journal: Journal | None) -> None:
        """Write to this journal, or keep changes in memory alone."""
        self._catalog = catalog
        self._journal = journal
        self._jobs: deque[_Job] = deque()
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="toro-ndjson-writer")
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, work: Callable[[Staging], T], weight: int = 1) -> T:
        """Do the work and return its result once it is durable; a cancelled caller leaves it running. Raises StorageError."""
        if self._closed:
            raise StorageBusy("the storage is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # A caller that was cancelled asks for no answer; an error there is not "never retrieved".
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._jobs.append(_Job(work=work, weight=weight, future=future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def between(self, work: Callable[[], T]) -> T:
        """Do something in the writer's thread while no change is under way."""
        async with self._turn:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def drained(self) -> None:
        """Take no more changes and wait for those queued."""
        self._closed = True
        if self._running is not None:
            await self._running

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    async def _run(self) -> None:
        while self._jobs:
            async with self._turn:
                await self._settle(self._group())

    def _group(self) -> list[_Job]:
        jobs: list[_Job] = []
        weight = 0
        while self._jobs and weight < _GROUP_WEIGHT:
            jobs.append(self._jobs.popleft())
            weight += jobs[-1].weight
        return jobs

    async def _settle(self, jobs: list[_Job]) -> None:
        try:
            staging, outcomes = await self._in_thread(lambda: self._write(jobs))
        except StorageError as error:
            if len(jobs) == 1:
                _answer([(jobs[0], None, error)])
                return
            # What was too much for the disk together may fit one by one.
            for job in jobs:
                await self._settle([job])
            return
        except Exception as error:
            _answer([(job, None, error) for job in jobs])
            return
        staging.apply()
        _answer(outcomes)

    def _in_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _write(self, jobs: list[_Job]) -> tuple[Staging, list[_Outcome]]:
        journal = self._journal
        staging = Staging(self._catalog, *((None, 0) if journal is None else (journal.file, journal.size)))
        outcomes = [_attempt(job, staging) for job in jobs]
        if journal is not None and staging.lines:
            journal.append(staging.lines)
        return staging, outcomes


def _attempt(job: _Job, staging: Staging) -> _Outcome:
    try:
        return job, staging.attempt(job.work), None
    except Exception as error:
        return job, None, error


def _answer(outcomes: list[_Outcome]) -> None:
    for job, result, error in outcomes:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
