"""Commits of one process, several of them in a transaction: those that came while another was on its way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

from toro_core.errors import StorageBusy, StorageError
from toro_core.storage import Stored, Write
from toro_postgres.commits import Outcome, commit, has_checks, prepare
from toro_postgres.reader import Database
from toro_postgres.schema import Connection
from toro_postgres.sessions import Sessions

__all__ = ["Writer"]

_Waiting: TypeAlias = tuple[tuple[Write, ...], asyncio.Future[list[Stored]]]

_GROUP = 500
"""Writes of one transaction, unless a single commit has more."""
_MOST = 4
"""Transactions at a time: while one waits for its fsync another may find out what it has to write."""


class Writer:
    """Commits in groups. Every commit is all or nothing, whatever becomes of those beside it."""

    def __init__(self, sessions: Sessions, database: Database) -> None:
        """Write over these, which the caller closes after this."""
        self._sessions = sessions
        self._database = database
        self._waiting: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._left: set[asyncio.Future[list[Stored]]] = set()
        self._closed = False

    async def commit(self, writes: tuple[Write, ...]) -> list[Stored]:
        """Write all and return once they are durable; a caller that goes away changes nothing of that."""
        if self._closed:
            raise StorageBusy("the storage was closed")
        if self._left:
            # Several transactions run at a time: without this the commit could overtake one whose caller has gone away.
            await asyncio.wait(tuple(self._left))
        future: asyncio.Future[list[Stored]] = asyncio.get_running_loop().create_future()
        self._waiting.append((writes, future))
        self._start()
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not future.done():
                self._left.add(future)
                future.add_done_callback(self._left.discard)
            raise

    async def close(self) -> None:
        """Wait for what has been begun."""
        self._closed = True
        while self._running:
            await asyncio.wait(self._running)

    def _start(self) -> None:
        if self._waiting and len(self._running) < _MOST:
            task = asyncio.get_running_loop().create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self) -> None:
        # Those who come in the same turn of the loop come along.
        await asyncio.sleep(0)
        while self._waiting:
            group = self._next()
            try:
                outcomes = await self._write([writes for writes, _ in group])
            except StorageError as error:
                outcomes = [error] * len(group)
            except BaseException as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error if isinstance(error, Exception) else StorageBusy())
                raise
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, StorageError):
                    future.set_exception(outcome)
                    # Nobody may be there to see it.
                    future.exception()
                else:
                    future.set_result(outcome)

    def _next(self) -> list[_Waiting]:
        """Take what may be written together: commits that need no look at the index, or one that does."""
        group = [self._waiting.popleft()]
        size = len(group[0][0])
        while not has_checks(group[0][0]) and self._waiting:
            writes = self._waiting[0][0]
            if has_checks(writes) or size + len(writes) > _GROUP:
                break
            group.append(self._waiting.popleft())
            size += len(writes)
        return group

    async def _write(self, commits: Sequence[Sequence[Write]]) -> list[Outcome]:
        async def ready(connection: Connection) -> None:
            await prepare(connection, self._database, (write for writes in commits for write in writes))

        async def work(connection: Connection) -> list[Outcome]:
            return await commit(connection, self._database, commits)

        return await self._sessions.write(work, ready=ready)
