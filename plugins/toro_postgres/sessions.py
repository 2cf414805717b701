"""Connections, and transactions that are repeated where that is safe."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import psycopg
from psycopg.types.numeric import Int8Dumper
from psycopg_pool import AsyncConnectionPool

from toro_core.errors import OutcomeUnknown, StorageError
from toro_postgres import receipts
from toro_postgres.address import parameters
from toro_postgres.connecting import Session, connect
from toro_postgres.faults import fault, is_lost, is_rolled_back
from toro_postgres.schema import Connection

__all__ = ["Sessions", "Work"]

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]

_ATTEMPTS = 8
_PAUSE = 0.05
"""Seconds before the second attempt; each pause after it is twice as long: some six seconds in all, which a restart takes."""
_WAIT = 15
"""Seconds to wait for a connection: while none can be made, and while all are in use."""
_SETTINGS = {
    # In the session, so that neither role nor database can have turned it off.
    "synchronous_commit": "on",
    # Every statement is made for nested loops over its indexes; the planner, going by statistics of lists that differ
    # by orders of magnitude, would sometimes read whole tables instead.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    # For such statements planning takes as long as executing, and their plans do not depend on values: each is planned once.
    "plan_cache_mode": "force_generic_plan",
    "max_parallel_workers_per_gather": "0",
}
_PREPARED_FROM = 2
"""Executions of a statement on a connection before it is prepared there."""


class Sessions:
    """A pool of connections to one database, whichever of the URL's servers has it."""

    def __init__(self, failed_over: Callable[[], None]) -> None:
        """Call `failed_over` before the first connection to a server that was a standby is used; `connected` does the rest."""
        self._failed_over = failed_over
        self._timeline = ""
        self._failovers = 0
        self._writes = 0
        self._pool: AsyncConnectionPool[Session]

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, *, most: int, statement_seconds: float, failed_over: Callable[[], None]
    ) -> AsyncIterator[Sessions]:
        """Connect. Raises Unsupported where the URL cannot be read or the server is too old, StorageBusy where none answers.

        After a failover without synchronous replication the database may lack what was read and committed before it.
        """
        given = parameters(url)
        settings = {**_SETTINGS, "lock_timeout": f"{round(statement_seconds * 1000)}"}
        if "statement_timeout" not in str(given.get("options", "")):
            settings["statement_timeout"] = f"{round(statement_seconds * 1000)}"
        sessions = cls(failed_over)

        async def configure(connection: Connection) -> None:
            # Else an int's type, and with it the prepared statement, depends on how large it is.
            connection.adapters.register_dumper(int, Int8Dumper)
            connection.prepare_threshold = _PREPARED_FROM
            calls = b", ".join([b"set_config(%s, %s, false)"] * len(settings))
            await connection.execute(b"SELECT " + calls, [part for pair in settings.items() for part in pair])
            await connection.commit()
            await sessions._look(connection)

        pool = AsyncConnectionPool(
            "",
            connection_class=Session,
            kwargs=given,
            min_size=1,
            max_size=most,
            open=False,
            configure=configure,
            timeout=_WAIT,
            reconnect_timeout=_WAIT,
        )
        sessions._pool = pool
        await (await connect(given)).close()
        await pool.open()
        try:
            yield sessions
        finally:
            await pool.close()

    async def once(self, work: Work[T]) -> T:
        """Run work each statement of which is by itself, again where the connection is lost: it may have been applied then."""
        return await self._repeated(lambda: self._plain(work))

    async def read(self, work: Work[T]) -> T:
        """Run work that writes nothing, in one snapshot, again where the connection is lost."""
        return await self._repeated(lambda: self._snapshot(work))

    async def write(self, work: Work[T], *, ready: Work[None] | None = None) -> T:
        """Run work in a transaction that is committed when this returns, and was applied once.

        It is repeated where PostgreSQL rolled it back, and where the connection was lost before its commit, or at it and the
        transaction's receipt is not there. What the work raises is raised when all of it is rolled back. `ready` is run
        before it, each statement by itself. Raises OutcomeUnknown where nothing can be learned of a commit.
        """
        self._writes += 1
        if self._writes % receipts.EVERY == 0:
            await self.once(receipts.sweep)

        async def attempt() -> T:
            failovers = self._failovers
            if ready:
                await self._plain(ready)
            return await self._receipted(work, failovers)

        return await self._repeated(attempt)

    async def _plain(self, work: Work[T]) -> T:
        async with self._pool.connection() as connection:
            if not connection.autocommit:
                await _writable(connection)
                await connection.set_autocommit(True)
            return await work(connection)

    async def _snapshot(self, work: Work[T]) -> T:
        async with self._pool.connection() as connection:
            await connection.set_autocommit(False)
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await connection.set_read_only(True)
            return await work(connection)

    async def _receipted(self, work: Work[T], failovers: int) -> T:
        receipt = uuid.uuid4()
        result: T
        is_done = in_doubt = False
        try:
            async with self._pool.connection() as connection:
                if self._failovers != failovers:
                    raise _FailedOver
                connection.is_in_doubt = False
                await _writable(connection)
                result = await work(connection)
                await receipts.leave(connection, receipt)
                is_done = True
                await connection.commit()
                in_doubt = connection.is_in_doubt
        except (psycopg.Error, OSError) as error:
            if not is_done or not is_lost(error) or await self._came_to_nothing(receipt):
                raise
        if in_doubt:
            # Committed, but an operator has cut off its waiting for the standbys.
            await self._came_to_nothing(receipt)
        return result

    async def _came_to_nothing(self, receipt: uuid.UUID) -> bool:
        """Tell whether a transaction whose end is unknown came to nothing, and see to it that it comes to nothing later."""
        try:
            return await self._repeated(lambda: self._is_free(receipt))
        except StorageError as error:
            raise OutcomeUnknown from error

    async def _is_free(self, receipt: uuid.UUID) -> bool:
        async with self._pool.connection() as connection:
            connection.is_in_doubt = False
            await _writable(connection)
            is_free = await receipts.is_free(connection, receipt)
            await connection.commit()
            if connection.is_in_doubt:
                raise psycopg.OperationalError
            return is_free

    async def _look(self, connection: Connection) -> None:
        """Find out whether this is another server's history: each failover begins a new timeline."""
        timeline = ""
        with suppress(psycopg.Error):  # not every service that speaks PostgreSQL has it
            cursor = await connection.execute(b"SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)")
            (timeline,) = await cursor.fetchone() or ("",)
        await connection.rollback()
        if self._timeline and timeline != self._timeline:
            self._failovers += 1
            self._failed_over()
        self._timeline = timeline

    async def _repeated(self, once: Callable[[], Awaitable[T]]) -> T:
        pause = _PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await once()
            except (psycopg.Error, OSError) as error:
                lost = is_lost(error)
                if attempt == _ATTEMPTS or not (lost or is_rolled_back(error)):
                    raise fault(error) from error
                if lost:
                    await self._pool.check()
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads those that collided
            pause *= 2
        raise AssertionError


class _FailedOver(psycopg.OperationalError):
    """What was made ready was so on another server."""


async def _writable(connection: Connection) -> None:
    await connection.set_autocommit(False)
    await connection.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
    await connection.set_read_only(False)
