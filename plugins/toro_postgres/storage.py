"""The storage contract over one PostgreSQL database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from toro_core.errors import Unsupported
from toro_core.search.plan import SearchPlan
from toro_core.storage import (
    Capability,
    HistoryPlan,
    Indexed,
    Key,
    LineBatch,
    Loading,
    Page,
    Rows,
    ScanPlan,
    StateRecord,
    Storage,
    Stored,
    Watermark,
    Write,
)
from toro_postgres import clock, feeds, pages, reads, state
from toro_postgres.cluster import capabilities, is_distributed
from toro_postgres.entries import Entries
from toro_postgres.explain import explain
from toro_postgres.keys import Keys
from toro_postgres.lines import LineWalk
from toro_postgres.loading import load
from toro_postgres.names import Names, needed
from toro_postgres.reader import Database, Reader
from toro_postgres.reindexing import reindex
from toro_postgres.schema import Connection, prepared
from toro_postgres.sessions import Sessions, Work
from toro_postgres.writer import Writer

__all__ = ["PostgresStorage", "opened"]

_CONNECTIONS = 10
_STATEMENT_SECONDS = 30.0
_CHANGES_BYTES = 1_000_000
_SWEEP = 32
"""Puts of state records between two sweeps."""


@asynccontextmanager
async def opened(
    url: str, *, connections: int = _CONNECTIONS, statement_seconds: float = _STATEMENT_SECONDS
) -> AsyncIterator[Storage]:
    """Open `postgresql://user@host/database`, bringing its schema to this version.

    At most so many `connections` are used; a statement is stopped after `statement_seconds`, unless the URL's options say more.
    """
    names = Names()
    async with Sessions.connected(
        url, most=connections, statement_seconds=statement_seconds, failed_over=names.forget
    ) as sessions:
        keys = Keys(await sessions.once(prepared))
        await sessions.once(names.refresh)
        database = Database(
            names=names, keys=keys, entries=Entries(names, keys), is_cluster=await sessions.once(is_distributed)
        )
        writer = Writer(sessions, database)
        try:
            yield PostgresStorage(sessions, writer, database, await sessions.once(capabilities))
        finally:
            await writer.close()


class PostgresStorage:
    """One database, which other processes may write as well."""

    def __init__(
        self, sessions: Sessions, writer: Writer, database: Database, capabilities: frozenset[Capability]
    ) -> None:
        """Serve over these, which the caller closes; what is not among the capabilities is refused."""
        self.capabilities = capabilities
        self._sessions = sessions
        self._writer = writer
        self._database = database
        self._puts = 0

    async def read(self, key: Key, version: int | None = None) -> Stored:
        """Return the current version, which may be a tombstone, or the given one."""
        return await self._sessions.once(lambda connection: reads.read(self._reader(connection), key, version))

    async def read_many(self, keys: Sequence[Key]) -> Sequence[Stored | None]:
        """Return the current versions in the order of the keys."""
        keys = tuple(keys)
        return await self._sessions.once(lambda connection: reads.read_many(self._reader(connection), keys))

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        """Write every one or none."""
        return await self._writer.commit(tuple(writes)) if writes else ()

    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        """Replace index rows."""
        if indexed:
            indexed = tuple(indexed)
            ready = self._named([(each.key.type, each.rows) for each in indexed])
            await self._sessions.write(lambda connection: reindex(connection, self._database, indexed), ready=ready)

    async def search(self, plan: SearchPlan) -> Page:
        """Return one page."""
        return await self._sessions.once(lambda connection: pages.page(self._reader(connection), plan))

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        """Count all matches."""
        return await self._sessions.once(lambda connection: pages.count(self._reader(connection), plan, at_most))

    async def explain(self, plan: SearchPlan) -> str:
        """Say what a search of the plan does."""
        return await self._sessions.once(lambda connection: explain(self._reader(connection), plan))

    async def history(self, plan: HistoryPlan) -> Page:
        """Return versions, newest first."""
        key = plan.key
        if key is None:
            self._need("ordered_changes")
            return await self._sessions.read(lambda connection: feeds.history_of_types(self._reader(connection), plan))
        return await self._sessions.read(lambda connection: reads.history(self._reader(connection), key, plan))

    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        """Yield what was current at a sequence."""
        self._need("snapshot_scan")
        async for versions in self._walk(plan, every=False):
            yield versions

    async def lines(self, plan: ScanPlan) -> AsyncIterator[LineBatch]:
        """Yield the JSON of what a scan yields."""
        walk = LineWalk(plan)
        while batch := await self._sessions.once(lambda connection: walk(self._reader(connection))):
            if batch.lines:
                yield batch

    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        """Yield every version of later commits."""
        self._need("ordered_changes")
        last = await self._sessions.once(lambda connection: feeds.last_seq(self._reader(connection)))
        if last > after:
            plan = ScanPlan(as_of=last, after=after, max_bytes=_CHANGES_BYTES)
            async for versions in self._walk(plan, every=True):
                yield versions

    async def watermark(self) -> Watermark:
        """Return where the commits have come to."""
        self._need("ordered_changes", "snapshot_scan")
        return await self._sessions.write(clock.seal)

    async def load(self, versions: Sequence[Loading]) -> None:
        """Take over another storage's versions."""
        self._need("ordered_changes")
        if versions:
            versions = tuple(versions)
            rows = [(stored.key.type, rows) for stored, rows in versions if rows is not None]
            ready = self._named(rows, {each.stored.key.type for each in versions})
            await self._sessions.write(lambda connection: load(connection, self._database, versions), ready=ready)

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        """Write a state record."""
        self._puts += 1
        if self._puts % _SWEEP == 0:
            await self._sessions.write(state.sweep_state)
        keys = self._database.keys
        return await self._sessions.write(
            lambda connection: state.put_state(connection, keys, key, value, if_revision, ttl)
        )

    async def get_state(self, key: str) -> StateRecord | None:
        """Return a live state record."""
        return await self._sessions.once(lambda connection: state.get_state(connection, key))

    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        """Return the live state records under a prefix."""
        return await self._sessions.once(lambda connection: state.list_state(connection, prefix))

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        """Delete a state record."""
        keys = self._database.keys
        return await self._sessions.write(lambda connection: state.delete_state(connection, keys, key, if_revision))

    def _need(self, *any_of: Capability) -> None:
        if self.capabilities.isdisjoint(any_of):
            raise Unsupported(
                f"PostgreSQL as a cluster does not promise {' or '.join(any_of)}; where nobody writes meanwhile, set toro.quiet"
            )

    def _reader(self, connection: Connection) -> Reader:
        return Reader(connection, self._database)

    async def _walk(self, plan: ScanPlan, *, every: bool) -> AsyncIterator[list[Stored]]:
        after: int | None = plan.after
        while after is not None:
            part = replace(plan, after=after)
            batch = await self._sessions.read(partial(self._scan, part, every))
            if batch.versions:
                yield batch.versions
            after = batch.seq

    async def _scan(self, plan: ScanPlan, every: bool, connection: Connection) -> feeds.Batch:
        return await feeds.scan(self._reader(connection), plan, every=every)

    def _named(self, indexed: Sequence[tuple[str, Rows]], types: Iterable[str] = ()) -> Work[None]:
        names, gaps = needed(indexed, types)
        return lambda connection: self._database.names.ensure(connection, names, gaps)
