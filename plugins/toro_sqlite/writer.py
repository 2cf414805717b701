"""The one thread that writes: everything queued while the last COMMIT was being fsynced goes into the next one."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from toro_core.errors import StorageBusy
from toro_sqlite.faults import fault
from toro_sqlite.new_names import NewNames
from toro_sqlite.transaction import Transaction

__all__ = ["Writer"]

T = TypeVar("T")

_GROUP_WEIGHT = 1000
"""Resources after which a group takes no more commits, so that the first in it does not wait long."""
_SMALL_CACHE, _LARGE_CACHE = -16_000, -256_000
"""KiB of pages. Sorted postings of a large commit touch many pages; with too few in memory they are written several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    work: Callable[[Transaction], Any]
    weight: int
    future: asyncio.Future[Any]


_Outcome: TypeAlias = tuple[_Job, Any, BaseException | None]


class _JobError(Exception):
    """SQLite failed inside a job, before COMMIT."""


class Writer:
    """Runs jobs in the writer's thread, each in a savepoint, and answers them after their group's COMMIT has returned."""

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Take the connection over; answers go to this loop."""
        self._connection = connection
        self._loop = loop
        self._names = NewNames(connection)
        self._cache_size = 0
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="toro-sqlite-writer", daemon=True)
        self._thread.start()

    async def submit(self, work: Callable[[Transaction], T], weight: int = 1) -> T:
        """Run the work and return its result once it is durable; a cancelled caller leaves it running. Raises StorageError."""
        if self._closed:
            raise StorageBusy("the storage is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        # A caller that was cancelled asks for no answer; an error there is not "never retrieved".
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._queue.put(_Job(work=work, weight=weight, future=future))
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Take no more jobs, finish those queued and close the connection."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        last = False
        while not last:
            jobs, last = self._group()
            if jobs:
                outcomes = self._settle(jobs)
                # A loop that was stopped without closing its storage asks for no answers.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(_answer, outcomes)
        self._connection.close()

    def _group(self) -> tuple[list[_Job], bool]:
        """Wait for a job and take what is queued behind it; True where the queue has ended."""
        jobs: list[_Job] = []
        job = self._queue.get()
        weight = 0
        while job is not None:
            jobs.append(job)
            weight += job.weight
            if weight >= _GROUP_WEIGHT:
                return jobs, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _settle(self, jobs: list[_Job]) -> list[_Outcome]:
        try:
            return self._transact(jobs)
        except _JobError as error:
            if len(jobs) == 1:
                return _failed(jobs, error.__cause__)
            # One job may have spoilt the transaction of all, as a full disk does; each gets its own.
            return [outcome for job in jobs for outcome in self._settle([job])]
        except Exception as error:
            return _failed(jobs, error)

    def _transact(self, jobs: list[_Job]) -> list[_Outcome]:
        connection = self._connection
        self._size_cache(sum(job.weight for job in jobs))
        try:
            connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(connection, self._names)
            outcomes = [self._attempt(job, transaction) for job in jobs]
            if all(error for _, _, error in outcomes):
                connection.execute("ROLLBACK")
            else:
                transaction.finish()
                connection.execute("COMMIT")
            return outcomes
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._names.forget()
            raise

    def _size_cache(self, weight: int) -> None:
        """Keep the large cache from one large commit to the next, and give it back with the first small one."""
        size = _LARGE_CACHE if weight >= _GROUP_WEIGHT else _SMALL_CACHE
        if size != self._cache_size:
            self._connection.execute(f"PRAGMA cache_size = {size}")
            self._cache_size = size

    def _attempt(self, job: _Job, transaction: Transaction) -> _Outcome:
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            result = job.work(transaction)
        except sqlite3.Error as error:
            raise _JobError from error
        except Exception as error:
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            self._names.forget()
            return job, None, error
        connection.execute("RELEASE job")
        return job, result, None


def _failed(jobs: Sequence[_Job], error: BaseException | None) -> list[_Outcome]:
    named = fault(error) if isinstance(error, sqlite3.Error) else error
    return [(job, None, named) for job in jobs]


def _answer(outcomes: list[_Outcome]) -> None:
    for job, result, error in outcomes:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
