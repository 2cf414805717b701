"""One import: files to batches to a sink, with a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from toro_core.importing.batches import batches, no_collection
from toro_core.importing.sinks import Sink
from toro_core.importing.sources import Incoming, Refused, parts_of, read_part

__all__ = ["Report", "import_files", "import_resources"]


@dataclass(slots=True, kw_only=True)
class Report:
    """What an import did: resources stored by type and deleted, refused, and stored although they break the definitions."""

    stored: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    warned: list[Refused] = field(default_factory=list)
    deleted: int = 0


async def import_files(
    sink: Sink,
    files: Iterable[Path],
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
        for part in parts_of(path):
            await import_resources([part] if isinstance(part, Refused) else read_part(part), sink, report, stop=stop)
            if stop and report.refused:
                break
        progress(path, report)
        if stop and report.refused:
            return


async def import_resources(
    incoming: Iterable[Incoming | Refused], sink: Sink, report: Report, *, stop: bool = False
) -> None:
    """Import resources in batches, adding to `report`. Raises what the sink raises."""
    with no_collection():
        for resources, unread in batches(incoming, stop=stop):
            report.refused += unread
            if resources:
                await _store(resources, sink, report)
            if stop and report.refused:
                return


async def _store(batch: list[Incoming], sink: Sink, report: Report) -> None:
    outcome = await sink.store(batch)
    refused = {one.place for one in outcome.refused}
    report.stored.update(str(one.resource.get("resourceType")) for one in batch if one.place not in refused)
    report.refused += outcome.refused
    report.warned += outcome.warned
