"""One consistent snapshot of a storage as bulk NDJSON. https://hl7.org/fhir/uv/bulkdata/export.html"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from toro_core.ahead import ahead
from toro_core.allocation import keep_freed_memory
from toro_core.errors import NotFound, Unsupported
from toro_core.json import loads
from toro_core.lines import lines
from toro_core.moving.folder import Output, output_folder
from toro_core.search.extract import Extractor
from toro_core.search.unindexed import index_new
from toro_core.storage import Key, LineBatch, ScanPlan, Storage, Stored, instant, joined

__all__ = ["Exported", "Selection", "export"]

_BATCH_BYTES: Final = 1_000_000
"""What a processor's cache holds: batches of four times as much take a fifth longer to read and write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to export; nothing said stands for everything.

    `since` is milliseconds since 1970 UTC. Patients select what lies in their compartments, themselves included; the members of
    groups are patients too.
    """

    types: tuple[str, ...] = ()
    since: int | None = None
    patients: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The snapshot's time, in milliseconds since 1970 UTC, and the files by type."""

    at: int
    outputs: Mapping[str, Output]


async def export(
    storage: Storage,
    folder: Path,
    extractor: Extractor,
    selection: Selection,
    progress: Callable[[int, int], None],
    *,
    gzipped: bool = False,
) -> Exported:
    """Write the current resources as they are at one moment, a file a type, and a manifest with counts and hashes.

    The folder is there whole or not at all. `progress` is told the sequence reached and how many resources are written. Raises
    FolderExists, NotFound for a patient or a group, and Unsupported where the storage has no snapshots.
    """
    if "snapshot_scan" not in storage.capabilities:
        raise Unsupported("this storage cannot be exported: it does not declare snapshot_scan")
    keep_freed_memory()
    await index_new(storage, extractor, lambda done: None)
    with output_folder(folder, gzipped=gzipped) as opened:
        patients = await _patients(storage, extractor, selection)
        watermark = await storage.watermark()
        plan = ScanPlan(as_of=watermark.seq, types=selection.types, since=selection.since, max_bytes=_BATCH_BYTES)
        written = 0
        batches = lines(storage, plan) if patients is None else _lines_of(patients, storage, plan, extractor)
        async for batch in ahead(batches):
            for some in batch.lines:
                opened.write(some)
                written += some.resources
            progress(batch.seq, written)
        exported = Exported(at=watermark.at, outputs=dict(sorted(opened.outputs.items())))
        opened.finish(_manifest(exported))
    return exported


async def _lines_of(
    patients: frozenset[str], storage: Storage, plan: ScanPlan, extractor: Extractor
) -> AsyncIterator[LineBatch]:
    async for batch in storage.scan(plan):
        if batch:
            taken = [stored for stored in batch if not stored.deleted and _lies_with(patients, stored, extractor)]
            yield LineBatch(batch[-1].seq, joined(taken))


def _lies_with(patients: frozenset[str], stored: Stored, extractor: Extractor) -> bool:
    return not patients.isdisjoint(extractor.compartments(loads(stored.json)))


async def _patients(storage: Storage, extractor: Extractor, selection: Selection) -> frozenset[str] | None:
    """Return the ids of those whose compartments are exported, None for everything."""
    if not selection.patients and not selection.groups:
        return None
    for patient in selection.patients:
        await storage.read(Key("Patient", patient))  # one that was deleted may have left something behind
    members = [await _members(storage, extractor, group) for group in selection.groups]
    return frozenset(selection.patients).union(*members)


async def _members(storage: Storage, extractor: Extractor, group: str) -> Sequence[str]:
    stored = await storage.read(Key("Group", group))
    if stored.deleted:
        raise NotFound(f"Group/{group} was deleted")
    resource: dict[str, Any] = loads(stored.json)
    active = [member for member in resource.get("member", ()) if not member.get("inactive")]
    return [found for member in active if (found := _patient(member, extractor))]


def _patient(member: dict[str, Any], extractor: Extractor) -> str | None:
    reference = member.get("entity", {}).get("reference")
    found = extractor.references.parse(reference) if isinstance(reference, str) else None
    return None if found is None or isinstance(found, str) or found.type != "Patient" else found.id


def _manifest(exported: Exported) -> dict[str, object]:
    return {
        "transactionTime": instant(exported.at),
        "requiresAccessToken": False,
        "output": [
            {"type": name, "url": output.name, "count": output.count, "sha256": output.hash}
            for name, output in exported.outputs.items()
        ],
        "error": [],
    }
