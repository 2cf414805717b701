"""The storage contract over one folder of NDJSON files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar

from toro_core.errors import StorageBusy, Unsupported
from toro_core.search.plan import SearchPlan
from toro_core.storage import (
    Capability,
    HistoryPlan,
    Indexed,
    Key,
    Loading,
    Page,
    ScanPlan,
    StateRecord,
    Storage,
    Stored,
    Watermark,
    Write,
)
from toro_ndjson import changing, reading
from toro_ndjson.catalog import Catalog
from toro_ndjson.finding import Finder
from toro_ndjson.loading import load
from toro_ndjson.location import parse_location
from toro_ndjson.opening import Opened, opened
from toro_ndjson.pages import page
from toro_ndjson.staging import Staging, now
from toro_ndjson.versions import Version

__all__ = ["NdjsonStorage", "open_ndjson"]

T = TypeVar("T")
_INLINE: Final = 1_000
"""Resources that are sorted, or read, without a thread."""


@asynccontextmanager
async def open_ndjson(url: str, *, compact_bytes: int = 64 << 20) -> AsyncIterator[Storage]:
    """Open `ndjson:///folder`, making the folder where it is missing, or `ndjson:///folder?mode=ro`.

    The journal is compacted from `compact_bytes` on. Raises StorageBusy where another process has the folder open for writing,
    Damaged, Unsupported.
    """
    async with opened(parse_location(url), compact_bytes) as parts:
        yield NdjsonStorage(parts)


class NdjsonStorage:
    """One folder: a catalog in memory, bodies in files, a journal."""

    def __init__(self, parts: Opened) -> None:
        """Serve what was opened, which the caller closes."""
        self._parts = parts
        self._catalog = parts.catalog
        self._finder = Finder(parts.catalog, parts.threads)
        every: set[Capability] = {"history", "state_ttl", "joins", "ordered_changes", "snapshot_scan"}
        self.capabilities: Final[frozenset[Capability]] = frozenset(
            every if parts.read_only else every | {"transactions"}
        )

    async def read(self, key: Key, version: int | None = None) -> Stored:
        """Return the current version, which may be a tombstone, or the given one."""
        return reading.read(self._open(), key, version)

    async def read_many(self, keys: Sequence[Key]) -> Sequence[Stored | None]:
        """Return the current versions in the order of the keys."""
        catalog = self._open()
        versions = [catalog.last(key) for key in keys]
        read = partial(_stored_or_none, versions)
        return read() if len(versions) <= _INLINE else await self._in_thread(read)

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        """Write every one or none."""
        writes = tuple(writes)
        if not writes:
            return ()
        return await self._change(lambda staging: changing.commit(staging, writes), weight=len(writes))

    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        """Replace index rows; where nothing may be written, in memory."""
        indexed = tuple(indexed)
        if indexed:
            work = partial(changing.reindex, indexed=indexed)
            await self._submit(work, weight=len(indexed))

    async def search(self, plan: SearchPlan) -> Page:
        """Return one page."""
        self._open()
        found = await self._finder.first(plan)
        work = partial(page, self._open().rows, plan, found)
        return work() if len(found) <= _INLINE else await self._in_thread(work)

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        """Count all matches."""
        self._open()
        return len(await self._finder.find(plan.type, plan.criterion, at_most))

    async def explain(self, plan: SearchPlan) -> str:
        """Say how a search of the plan goes."""
        self._open()
        return await self._finder.explain(plan.type, plan.criterion)

    async def history(self, plan: HistoryPlan) -> Page:
        """Return versions, newest first."""
        catalog = self._open()
        if plan.key is not None:
            return reading.history(catalog, plan)
        return await self._in_thread(partial(reading.history, catalog, plan))

    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        """Yield the versions that were current at a sequence."""
        async for batch in self._batches(reading.current_at(self._open(), plan), plan.max_bytes):
            yield batch

    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        """Yield every version after a sequence."""
        catalog = self._open()
        async for batch in self._batches(reading.changed(catalog, after, catalog.seq), ScanPlan(as_of=0).max_bytes):
            yield batch

    async def watermark(self) -> Watermark:
        """Return where the commits have come to; what is written next gets a later time."""
        return await self._parts.writer.submit(lambda staging: staging.seal())

    async def load(self, versions: Sequence[Loading]) -> None:
        """Take over versions of another storage."""
        versions = tuple(versions)
        if versions:
            await self._change(lambda staging: load(staging, versions), weight=len(versions))

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        """Write a state record; where nothing may be written, in memory."""
        return await self._submit(lambda staging: changing.put_state(staging, key, value, if_revision, ttl))

    async def get_state(self, key: str) -> StateRecord | None:
        """Return a live state record."""
        return _live(self._open().state.get(key))

    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        """Return the live state records under a prefix."""
        state = self._open().state
        return [record for key in sorted(state) if key.startswith(prefix) and (record := _live(state[key]))]

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        """Delete a state record."""
        return await self._submit(lambda staging: changing.delete_state(staging, key, if_revision))

    async def unindexed(self) -> AsyncIterator[Sequence[Stored]]:
        """Yield the resources that have no index rows."""
        catalog = self._open()
        lacking = [head.version for type_ in catalog.types() for head in catalog.heads(type_).values() if not head.rows]
        if lacking:
            self._parts.reports.tell(f"{len(lacking)} of {len(catalog.versions)} resources have to be indexed")
        for start in range(0, len(lacking), _INLINE):
            yield await self._in_thread(partial(_stored, lacking[start : start + _INLINE]))

    async def leave_out(self, keys: Mapping[Key, str]) -> None:
        """Serve resources no more that lie in others' files."""
        catalog = self._open()
        for key, why in keys.items():
            version = catalog.last(key)
            if version is not None and version.place is not None:
                file, offset, *_ = version.place
                self._parts.reports.say(file.name, partial(file.line, offset), f"{why}; it is left out")
        catalog.discard(keys.keys())

    def _open(self) -> Catalog:
        if self._parts.closed:
            raise StorageBusy("the storage is closed")
        return self._catalog

    async def _change(self, work: Callable[[Staging], T], weight: int) -> T:
        if self._parts.read_only:
            raise Unsupported("this folder is served read-only; nothing is written to it")
        return await self._submit(work, weight)

    async def _submit(self, work: Callable[[Staging], T], weight: int = 1) -> T:
        result = await self._parts.writer.submit(work, weight)
        self._parts.grown()
        return result

    async def _batches(self, versions: Iterable[Version], max_bytes: int) -> AsyncIterator[Sequence[Stored]]:
        batches = reading.batches(versions, max_bytes)
        while batch := await self._in_thread(lambda: _stored(next(batches, ()))):
            self._open()
            yield batch

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._parts.threads, work)


def _stored(versions: Sequence[Version]) -> list[Stored]:
    return [version.stored() for version in versions]


def _stored_or_none(versions: Sequence[Version | None]) -> list[Stored | None]:
    return [None if version is None else version.stored() for version in versions]


def _live(record: StateRecord | None) -> StateRecord | None:
    expired = record is None or (record.expires_at is not None and record.expires_at <= now())
    return None if expired else record
