"""Read-only connections: one on the event loop for what is quick, a few in threads for what turns out not to be."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from toro_core.errors import StorageBusy
from toro_sqlite.faults import fault, is_interrupt
from toro_sqlite.reader import Reader

__all__ = ["Readers"]

T = TypeVar("T")

_INLINE_SECONDS = 0.0025
"""How long a read may hold the event loop before it is stopped and begun again on a thread."""
_COUNT_SECONDS = 0.001
"""The same for what is seldom quick: an exact total."""
_INLINE_STEPS, _THREAD_STEPS = 1_000, 20_000
"""SQLite's steps between two looks at the clock, or at whether the caller still waits."""
_THREADS = 4


class Readers:
    """Runs reads, each in one snapshot."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Open the event loop's connection now and the threads' when they are first needed."""
        self._connect = connect
        self._pool = ThreadPoolExecutor(_THREADS, "toro-sqlite-reader")
        self._idle: list[Reader] = []
        self._turns = asyncio.Semaphore(_THREADS)
        self._closed = False
        self._inline = Reader(connect())

    def now(self, work: Callable[[Reader], T]) -> T:
        """Run a point read here."""
        self._check_open()
        try:
            return work(self._inline)
        except sqlite3.Error as error:
            raise fault(error) from error

    async def soon(self, work: Callable[[Reader], T], *, is_count: bool = False) -> T:
        """Run here within the budget, else again on a thread."""
        self._check_open()
        deadline = time.monotonic() + (_COUNT_SECONDS if is_count else _INLINE_SECONDS)
        self._inline.connection.set_progress_handler(lambda: time.monotonic() > deadline, _INLINE_STEPS)
        try:
            return _snapshot(self._inline, work)
        except sqlite3.Error as error:
            if not is_interrupt(error):
                raise fault(error) from error
        return await self.later(work)

    async def later(self, work: Callable[[Reader], T]) -> T:
        """Run on a thread; the work stops soon after its caller is cancelled."""
        self._check_open()
        await self._turns.acquire()
        try:
            reader = self._idle.pop() if self._idle else Reader(self._connect())
            stop = threading.Event()
            reader.connection.set_progress_handler(stop.is_set, _THREAD_STEPS)
            running = asyncio.get_running_loop().run_in_executor(self._pool, _snapshot, reader, work)
        except BaseException:
            self._turns.release()
            raise
        running.add_done_callback(lambda done: self._return(reader, done))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            stop.set()
            raise
        except sqlite3.Error as error:
            raise fault(error) from error

    async def close(self) -> None:
        """Finish what runs and close the connections."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)
        # The callbacks that return connections are queued on this loop.
        for _ in range(_THREADS):
            await self._turns.acquire()
        for reader in (self._inline, *self._idle):
            reader.connection.close()

    def _return(self, reader: Reader, done: asyncio.Future[T] | Future[T]) -> None:
        self._idle.append(reader)
        self._turns.release()
        if not done.cancelled():
            done.exception()  # looked at, so that a cancelled caller's is not "never retrieved"

    def _check_open(self) -> None:
        if self._closed:
            raise StorageBusy("the storage is closed")


def _snapshot(reader: Reader, work: Callable[[Reader], T]) -> T:
    """Run the work in one read transaction, and take the connection's progress handler away after it."""
    connection = reader.connection
    try:
        reader.begin()
        return work(reader)
    except sqlite3.Error as error:
        raise reader.failure or error from None
    finally:
        # What stopped the work must not stop this too: SQLite counts a statement's steps over all its runs.
        connection.set_progress_handler(None, 0)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
