"""When compactions happen: as the journal grows, in a thread beside what is served, and before the folder is closed."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from typing import Final

from toro_core.errors import StorageError
from toro_ndjson.catalog import Catalog
from toro_ndjson.compaction import clean_up, write_generation
from toro_ndjson.journal import Journal
from toro_ndjson.layout import Layout, Manifest
from toro_ndjson.picture import Picture
from toro_ndjson.recovery import sealed_journals
from toro_ndjson.staging import now
from toro_ndjson.writer import Writer

__all__ = ["Compactor"]

_LOG: Final = logging.getLogger("toro.storage")


class Compactor:
    """Compacts one folder, once at a time."""

    def __init__(
        self,
        catalog: Catalog,
        writer: Writer,
        journal: Journal,
        layout: Layout,
        manifest: Manifest,
        threads: Executor,
        compact_bytes: int,
    ) -> None:
        """Compact once the journal has so many bytes, and half of what the type files have."""
        self._catalog = catalog
        self._writer = writer
        self._journal = journal
        self._layout = layout
        self._manifest = manifest
        self._threads = threads
        self._least = compact_bytes
        self._task: asyncio.Task[None] | None = None
        self._failed = False

    def consider(self) -> None:
        """Begin a compaction where it pays and none is under way."""
        enough = max(self._least, sum(self._manifest.sizes.values()) // 2)
        if self._journal.size >= enough * (2 if self._failed else 1) and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._compact())

    async def close(self) -> None:
        """Compact what there is. The journal keeps what could not be."""
        if self._task is not None:
            await self._task
        if self._journal.size or sealed_journals(self._layout.own, self._manifest.generation):
            await self._compact()

    async def _compact(self) -> None:
        run = asyncio.get_running_loop().run_in_executor
        try:
            self._catalog.expire(now())
            picture = await self._writer.between(self._begin)
            manifest, moved = await run(self._threads, write_generation, self._layout, self._manifest, picture)
            self._manifest = manifest
            for version, place in moved.items():
                version.place = place
            await run(self._threads, clean_up, self._layout, manifest)
            self._failed = False
        except (OSError, StorageError) as error:
            self._failed = True
            text = error.strerror if isinstance(error, OSError) else error
            _LOG.warning("the journal could not be compacted and goes on growing (%s)", text)

    def _begin(self) -> Picture:
        pending = sealed_journals(self._layout.own, self._manifest.generation)
        generation = max([self._manifest.generation, *pending]) + 1
        self._journal.rotate(generation)
        return Picture.of(self._catalog, generation)
