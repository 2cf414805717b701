"""The storage contract over one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from toro_core.errors import StorageBusy
from toro_core.search.plan import SearchPlan
from toro_core.storage import (
    Capability,
    HistoryPlan,
    Indexed,
    Key,
    LineBatch,
    Loading,
    Page,
    ScanPlan,
    StateRecord,
    Storage,
    Stored,
    Watermark,
    Write,
)
from toro_sqlite import feeds, pages, reads, state
from toro_sqlite.commits import commit
from toro_sqlite.connections import open_reader, open_writer
from toro_sqlite.explain import explain
from toro_sqlite.faults import fault
from toro_sqlite.lines import LineWalk, Range
from toro_sqlite.loading import load
from toro_sqlite.location import database_path, prepare
from toro_sqlite.names import Names
from toro_sqlite.query import leaves
from toro_sqlite.readers import Readers
from toro_sqlite.reindexing import reindex
from toro_sqlite.writer import Writer

__all__ = ["SqliteStorage", "open_sqlite"]

_CHANGES_BYTES = 1_000_000
_RANGES = 2
"""Parts of an export that are read at the same time: SQLite reads outside Python's lock."""
_INLINE_KEYS = 100
"""Keys, or parts of a criterion, up to which looking each up is still quick."""


@asynccontextmanager
async def open_sqlite(url: str, *, lock_seconds: float = 5.0, max_bytes: int | None = None) -> AsyncIterator[Storage]:
    """Open `sqlite:///toro.db` or `sqlite:////var/toro.db`, creating the file where it is missing.

    `lock_seconds` is how long to wait for another process's write; `max_bytes` is what the file may not grow beyond.
    Raises Unsupported for a file that is not this version's, StorageError where it cannot be opened.
    """
    path = database_path(url)
    try:
        await asyncio.to_thread(prepare, path)
        connection = await asyncio.to_thread(partial(open_writer, path, timeout=lock_seconds, max_bytes=max_bytes))
    except sqlite3.Error as error:
        raise fault(error) from error
    except OSError as error:
        message = f"the database file cannot be opened or made ({error.strerror}); look at its path and permissions"
        raise StorageBusy(message) from error
    writer = Writer(connection, asyncio.get_running_loop())
    try:
        readers = Readers(partial(open_reader, path, timeout=lock_seconds))
        try:
            yield SqliteStorage(writer, readers)
        finally:
            await readers.close()
    finally:
        await writer.close()


class SqliteStorage:
    """One database: a writer's thread and readers."""

    capabilities: frozenset[Capability] = frozenset(
        ("transactions", "history", "state_ttl", "joins", "ordered_changes", "snapshot_scan")
    )

    def __init__(self, writer: Writer, readers: Readers) -> None:
        """Serve over these, which the caller closes."""
        self._writer = writer
        self._readers = readers

    async def read(self, key: Key, version: int | None = None) -> Stored:
        """Return the current version, which may be a tombstone, or the given one."""
        return self._readers.now(lambda names: reads.read(names, key, version))

    async def read_many(self, keys: Sequence[Key]) -> Sequence[Stored | None]:
        """Return the current versions in the order of the keys."""
        keys = tuple(keys)
        run = self._readers.soon if len(keys) <= _INLINE_KEYS else self._readers.later
        return await run(lambda names: reads.read_many(names, keys))

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        """Write every one or none."""
        writes = tuple(writes)
        if not writes:
            return ()
        return await self._writer.submit(lambda transaction: commit(transaction, writes), weight=len(writes))

    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        """Replace index rows."""
        indexed = tuple(indexed)
        if indexed:
            await self._writer.submit(lambda transaction: reindex(transaction, indexed), weight=len(indexed))

    async def search(self, plan: SearchPlan) -> Page:
        """Return one page."""
        run = self._readers.soon if leaves(plan.criterion) <= _INLINE_KEYS else self._readers.later
        return await run(lambda reader: pages.page(reader, plan))

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        """Count all matches."""
        if leaves(plan.criterion) > _INLINE_KEYS:
            return await self._readers.later(lambda reader: pages.count(reader, plan, at_most))
        return await self._readers.soon(lambda reader: pages.count(reader, plan, at_most), is_count=at_most is None)

    async def explain(self, plan: SearchPlan) -> str:
        """Say what a search of the plan does."""
        return await self._readers.later(lambda reader: explain(reader, plan))

    async def history(self, plan: HistoryPlan) -> Page:
        """Return versions, newest first."""
        key = plan.key
        if key is None:
            return await self._readers.soon(lambda names: feeds.history_of_types(names, plan))
        return await self._readers.soon(lambda names: reads.history(names, key, plan))

    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        """Yield what was current at a sequence."""
        async for versions in self._walk(feeds.walk_scan(plan)):
            yield versions

    async def lines(self, plan: ScanPlan) -> AsyncIterator[LineBatch]:
        """Yield the JSON of what was current."""
        walk = LineWalk(plan)
        reading: deque[tuple[Range, asyncio.Task[LineBatch | None]]] = deque()
        cut = self._readers.now(walk.next_range)
        try:
            while cut is not None or reading:
                while cut is not None and len(reading) < _RANGES:
                    reading.append((cut, asyncio.create_task(self._readers.later(partial(walk.read, cut)))))
                    cut = self._readers.now(walk.next_range)
                first, task = reading.popleft()
                batch = await task
                if batch is not None:
                    yield batch
                    continue
                slowly = walk.within(first)
                while (batch := await self._readers.later(slowly)) is not None:
                    yield batch
        finally:
            left = [task for _, task in reading]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        """Yield every version of later commits."""
        last = self._readers.now(feeds.last_seq)
        if last > after:
            async for versions in self._walk(feeds.walk_changes(after, last, _CHANGES_BYTES)):
                yield versions

    async def watermark(self) -> Watermark:
        """Return where the commits have come to."""
        return await self._writer.submit(lambda transaction: transaction.seal())

    async def load(self, versions: Sequence[Loading]) -> None:
        """Take over another storage's versions."""
        versions = tuple(versions)
        if versions:
            await self._writer.submit(lambda transaction: load(transaction, versions), weight=len(versions))

    async def _walk(self, walk: feeds.Walk) -> AsyncIterator[list[Stored]]:
        batch = await self._readers.later(lambda names: walk(names, None))
        while batch.vid is not None:
            yield batch.versions
            batch = await self._readers.later(partial(_next, walk, batch.vid))
        if batch.versions:
            yield batch.versions

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        """Write a state record."""
        return await self._writer.submit(lambda transaction: state.put_state(transaction, key, value, if_revision, ttl))

    async def get_state(self, key: str) -> StateRecord | None:
        """Return a live state record."""
        return self._readers.now(lambda names: state.get_state(names, key))

    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        """Return the live state records under a prefix."""
        return await self._readers.soon(lambda names: state.list_state(names, prefix))

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        """Delete a state record."""
        return await self._writer.submit(lambda transaction: state.delete_state(transaction, key, if_revision))


def _next(walk: feeds.Walk, vid: int, names: Names) -> feeds.Batch:
    return walk(names, vid)
