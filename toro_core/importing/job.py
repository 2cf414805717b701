"""One import: files to batches to a sink, with a report."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from toro_core.importing.manifests import deleted_in, read_manifest
from toro_core.importing.sinks import Sink
from toro_core.importing.sources import Incoming, Refused, read_file

__all__ = ["Report", "delete_listed", "import_files", "import_resources"]

_BATCH: Final = 2_000
_BATCH_BYTES: Final = 8_000_000


@dataclass(slots=True, kw_only=True)
class Report:
    """What an import did: resources stored by type and deleted, refused, and stored although they break the definitions."""

    stored: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    warned: list[Refused] = field(default_factory=list)
    deleted: int = 0


async def import_files(
    files: Iterable[Path],
    sink: Sink,
    report: Report,
    progress: Callable[[Path, Report], None],
    *,
    stop: bool = False,
) -> None:
    """Import files in order, adding to `report`, and call `progress` after each.

    With `stop` nothing is read after the batch in which the first is refused. Raises what the sink raises; the batches before that
    are stored and in the report.
    """
    for path in files:
        await import_resources(read_file(path), sink, report, stop=stop)
        progress(path, report)
        if stop and report.refused:
            return


async def import_resources(
    incoming: Iterable[Incoming | Refused], sink: Sink, report: Report, *, stop: bool = False
) -> None:
    """Import resources in batches, adding to `report`. Raises what the sink raises."""
    with _no_collection():
        batch: list[Incoming] = []
        size = 0
        for one in incoming:
            if isinstance(one, Refused):
                report.refused.append(one)
                if stop:
                    break
                continue
            batch.append(one)
            size += one.size
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                await _store(batch, sink, report)
                batch, size = [], 0
                if stop and report.refused:
                    return
        if batch:
            await _store(batch, sink, report)


async def delete_listed(folders: Iterable[Path], sink: Sink, report: Report) -> None:
    """Delete what the manifests of bulk exports in these folders list as deleted, adding to `report`."""
    for folder in folders:
        manifest = read_manifest(folder) if folder.is_dir() else None
        for path in manifest.deleted if manifest else ():
            for name in deleted_in(path):
                report.deleted += await sink.delete(name)


async def _store(batch: list[Incoming], sink: Sink, report: Report) -> None:
    outcome = await sink.store(batch)
    refused = {one.place for one in outcome.refused}
    report.stored.update(str(one.resource.get("resourceType")) for one in batch if one.place not in refused)
    report.refused += outcome.refused
    report.warned += outcome.warned


@contextmanager
def _no_collection() -> Iterator[None]:
    """Look for no cycles: resources have none, and looking through them takes a third of an import."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
