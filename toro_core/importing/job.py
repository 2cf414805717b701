"""One import: files to batches to a sink, with a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from toro_core.importing.sinks import Sink
from toro_core.importing.sources import Incoming, Refused, read_file

__all__ = ["Report", "import_files", "import_resources"]

_BATCH = 2_000
_BATCH_BYTES = 8_000_000


@dataclass(slots=True, kw_only=True)
class Report:
    """What an import did: resources stored by type, what was refused, what was stored although it breaks the definitions."""

    stored: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    warned: list[Refused] = field(default_factory=list)


async def import_files(files: Iterable[Path], sink: Sink, progress: Callable[[Path, Report], None]) -> Report:
    """Import files in order, and call `progress` after each. Raises what the sink raises; batches before that are stored."""
    report = Report()
    for path in files:
        await import_resources(read_file(path), sink, report)
        progress(path, report)
    return report


async def import_resources(incoming: Iterable[Incoming | Refused], sink: Sink, report: Report) -> None:
    """Import resources in batches, adding to `report`."""
    batch: list[Incoming] = []
    size = 0
    for one in incoming:
        if isinstance(one, Refused):
            report.refused.append(one)
            continue
        batch.append(one)
        size += one.size
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            await _flush(batch, sink, report)
            size = 0
    await _flush(batch, sink, report)


async def _flush(batch: list[Incoming], sink: Sink, report: Report) -> None:
    refused = await sink.store(batch) if batch else []
    places = {one.place for one in refused}
    for one in batch:
        if one.place not in places:
            report.stored[str(one.resource.get("resourceType"))] += 1
    report.refused += refused
    report.warned = sink.warned
    batch.clear()
