"""`toro export`: one snapshot of a storage as bulk NDJSON."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toro_core.settings import Settings, load

if TYPE_CHECKING:
    from toro_core.moving import Selection

__all__ = ["export"]


@click.command(epilog="Example: toro export out/ --type Patient --type Observation --since 2026-01-31 --gzip")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--storage", help="Storage URL.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Export these resource types alone.")
@click.option("--since", metavar="TIME", help="Export what was written later than this date or time.")
@click.option(
    "--patient", "patients", multiple=True, metavar="ID", help="Export what lies in this patient's compartment."
)
@click.option("--group", "groups", multiple=True, metavar="ID", help="The same for every patient of this Group.")
@click.option("--gzip", "gzipped", is_flag=True, help="Compress the files.")
def export(
    folder: Path,
    file: Path | None,
    storage: str | None,
    types: tuple[str, ...],
    since: str | None,
    patients: tuple[str, ...],
    groups: tuple[str, ...],
    gzipped: bool,
) -> int:
    """Write the current resources, as they are at one moment, into a new folder.

    There is a file a type, and manifest.json with the moment, counts and hashes. The folder appears when all of it is written;
    servers may write meanwhile. Several --patient and --group add up; --type and --since narrow what they select.
    """
    from toro_core.moving import Selection

    moment = None if since is None else _moment(since)
    selection = Selection(
        types=types,
        since=moment,
        patients=tuple(patient.removeprefix("Patient/") for patient in patients),
        groups=tuple(group.removeprefix("Group/") for group in groups),
    )
    return asyncio.run(_run(folder, load(file, os.environ, {"storage": storage}), selection, gzipped))


def _moment(text: str) -> int:
    """Return when a date or time begins, in milliseconds since 1970 UTC."""
    from toro_core.search.dates import InvalidDate, interval

    try:
        return interval(text)[0] // 1000
    except InvalidDate:
        raise click.UsageError(f"--since takes a FHIR date or time such as 2026-01-31T08:00:00Z, not {text}") from None


async def _run(folder: Path, settings: Settings, selection: Selection, gzipped: bool) -> int:
    from toro_core.commands.progress import place_progress
    from toro_core.moving import export as run
    from toro_core.packages import definitions_of
    from toro_core.plugins import open_existing
    from toro_core.resources import known_type
    from toro_core.search.extract import Extractor
    from toro_core.storage import instant

    started = time.monotonic()
    async with open_existing(settings.storage) as storage:
        definitions = await definitions_of(storage)
        for name in selection.types:
            known_type(name, definitions.resource_types)
        extractor = Extractor(definitions, settings.own_bases())
        end = (await storage.watermark()).seq if "snapshot_scan" in storage.capabilities else 0
        with place_progress("Exporting", end) as tell:
            exported = await run(storage, folder, extractor, selection, tell, gzipped=gzipped)
    for output in exported.outputs.values():
        click.echo(f"{output.count:>9} {output.name:<40} {output.hash}")
    total = sum(output.count for output in exported.outputs.values())
    click.echo(f"{total:>9} resources as of {instant(exported.at)} in {time.monotonic() - started:.1f} s")
    return 0
