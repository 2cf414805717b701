"""Connections, and transactions that are repeated where that is safe."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper
from psycopg_pool import AsyncConnectionPool

from toro_core.errors import Unsupported
from toro_postgres.faults import fault, is_lost, is_rolled_back, no_answer
from toro_postgres.schema import Connection

__all__ = ["Sessions", "Work"]

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]

_ATTEMPTS = 8
_PAUSE = 0.05
"""Seconds before the second attempt; each pause after it is twice as long: some six seconds in all, which a restart takes."""
_APPLICATION = "toro"
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
    """A pool of connections to one database."""

    def __init__(self, pool: AsyncConnectionPool[Connection]) -> None:
        """Use this pool, which `connected` opens and closes."""
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, *, most: int, statement_seconds: float) -> AsyncIterator[Sessions]:
        """Connect. Raises Unsupported where the URL cannot be read, StorageBusy where no server answers."""
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error as error:
            raise Unsupported("a PostgreSQL storage URL is like postgresql://user@host:5432/database") from error
        settings = {**_SETTINGS, "lock_timeout": f"{round(statement_seconds * 1000)}"}
        if "statement_timeout" not in str(given.get("options", "")):
            settings["statement_timeout"] = f"{round(statement_seconds * 1000)}"

        async def configure(connection: Connection) -> None:
            # Else an int's type, and with it the prepared statement, depends on how large it is.
            connection.adapters.register_dumper(int, Int8Dumper)
            connection.prepare_threshold = _PREPARED_FROM
            calls = b", ".join([b"set_config(%s, %s, false)"] * len(settings))
            await connection.execute(b"SELECT " + calls, [part for pair in settings.items() for part in pair])
            await connection.commit()

        options = {"application_name": given.get("application_name", _APPLICATION), "connect_timeout": 10}
        pool = AsyncConnectionPool(
            url,
            kwargs=options,
            min_size=1,
            max_size=most,
            open=False,
            configure=configure,
            timeout=30,
            reconnect_timeout=10,
        )
        try:
            async with await psycopg.AsyncConnection.connect(url, **options):  # type: ignore[arg-type]
                pass
        except psycopg.Error as error:
            raise no_answer() from error
        await pool.open()
        try:
            yield cls(pool)
        finally:
            await pool.close()

    async def once(self, work: Work[T]) -> T:
        """Run work each statement of which is by itself, again where the connection is lost: it may have been applied then."""
        return await self._repeated(lambda: self._plain(work))

    async def read(self, work: Work[T]) -> T:
        """Run work that writes nothing, in one snapshot, again where the connection is lost."""
        return await self._repeated(lambda: self._snapshot(work))

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction that is committed when this returns, and was applied once.

        It is repeated where PostgreSQL rolled it back, and where the connection was lost before its commit, or at it and the
        transaction's receipt is not there. What the work raises is raised when all of it is rolled back.
        """
        return await self._repeated(lambda: self._receipted(work))

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

    async def _receipted(self, work: Work[T]) -> T:
        receipt = uuid.uuid4()
        result: T
        is_done = False
        try:
            async with self._pool.connection() as connection:
                await _writable(connection)
                result = await work(connection)
                await connection.execute(_RECEIPT, (receipt,))
                is_done = True
        except (psycopg.Error, OSError) as error:
            if is_done and is_lost(error) and not await self._repeated(lambda: self._is_free(receipt)):
                return result
            raise
        return result

    async def _is_free(self, receipt: uuid.UUID) -> bool:
        """Tell whether a transaction whose end is unknown came to nothing, and see to it that it comes to nothing later."""
        async with self._pool.connection() as connection:
            await _writable(connection)
            # Waits for the transaction, should the server still be at it.
            cursor = await connection.execute(_RECEIPT + b" ON CONFLICT (id) DO NOTHING", (receipt,))
            return cursor.rowcount == 1

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


_RECEIPT = b"INSERT INTO receipt (id, at) SELECT %s, (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


async def _writable(connection: Connection) -> None:
    await connection.set_autocommit(False)
    await connection.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
    await connection.set_read_only(False)
