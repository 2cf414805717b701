"""`toro migrate`: everything of one storage into another."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toro_core.settings import Settings, load

if TYPE_CHECKING:
    from toro_core.moving import Tally
    from toro_core.storage import Storage

__all__ = ["migrate", "move", "tell_tally"]


@click.command(epilog="Example: toro migrate sqlite:///toro.db ndjson:///var/lib/toro")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="Settings file; base_url and service_bases count."
)
@click.option("--resume", is_flag=True, help="Go on with a migration that was stopped, or begun with --warm.")
@click.option(
    "--warm", is_flag=True, help="Move what is there by now, beside running servers; finish later with --resume."
)
def migrate(source: str, target: str, file: Path | None, resume: bool, warm: bool) -> int:
    """Move everything from one storage into a new, empty one.

    Ids, versions, history, times and tombstones are kept, and clients and the server's other records with the time they have left.
    At the end both sides are read and compared, type by type; the exit code is 1 where they differ. Stop the servers first, or move
    most with --warm while they run, then stop them and move the rest with --resume.
    """
    if source == target:
        raise click.UsageError("FROM and TO are the same storage")
    return asyncio.run(_run(source, target, load(file, os.environ, {}), resume, warm))


async def _run(source_url: str, target_url: str, settings: Settings, resume: bool, warm: bool) -> int:
    from toro_core.plugins import open_existing, open_storage

    async with open_existing(source_url) as source, open_storage(target_url) as target:
        return await move(source, target, settings, resume=resume, finish=not warm)


async def move(
    source: Storage,
    target: Storage,
    settings: Settings,
    *,
    resume: bool = False,
    finish: bool = True,
    moment: bool = False,
) -> int:
    """Migrate with a progress bar, to finish compare both sides and say so; return the exit code.

    With `moment` versions are moved and compared as of now, whatever is written to the source meanwhile.
    """
    from toro_core.commands.progress import place_progress
    from toro_core.moving import differences, same_state, tally
    from toro_core.moving import migrate as run
    from toro_core.packages import definitions_of
    from toro_core.search.extract import Extractor

    started = time.monotonic()
    extractor = Extractor(await definitions_of(source), settings.own_bases())
    end = (await source.watermark()).seq if "ordered_changes" in source.capabilities else 0
    with place_progress("Migrating", end) as tell:
        up_to = end if moment else None
        moved = await run(source, target, extractor, tell, resume=resume, finish=finish, up_to=up_to)
    click.echo(f"{moved} versions moved in {time.monotonic() - started:.1f} s", err=True)
    if not finish:
        click.echo("Stop the servers and finish with --resume.")
        return 0
    click.echo("Comparing both sides", err=True)
    theirs = await tally(target)
    different = differences(await tally(source, up_to=up_to), await tally(target, up_to=up_to) if moment else theirs)
    tell_tally(theirs)
    for name, here, there in different:
        click.echo(f"{name}: FROM has {_said(here)}; TO has {_said(there)}", err=True)
    # What servers note of tokens changes all the time.
    state = moment or await same_state(source, target)
    if not state:
        click.echo("clients and other records of the server differ", err=True)
    if different or not state:
        click.echo("The sides differ. If servers were writing to FROM, stop them and move it into a new TO.", err=True)
        return 1
    click.echo("Both sides are equal.")
    return 0


def tell_tally(found: Mapping[str, Tally]) -> None:
    """Print a line for each type."""
    for name, one in found.items():
        click.echo(f"{name:<32} {one.current:>9} resources {one.versions:>9} versions  {one.hash}")


def _said(one: Tally | None) -> str:
    if one is None:
        return "nothing"
    return f"{one.current} resources, {one.versions} versions, {one.tombstones} tombstones, {one.hash}"
