"""`toro reindex`: bring the index up to the definitions of this version."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from toro_core.settings import Settings, load

__all__ = ["reindex", "tell"]


@click.command(epilog="Example: toro reindex --storage sqlite:///toro.db")
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--storage", help="Storage URL.")
@click.option("--all", "everything", is_flag=True, help="Index every type, as after a change of service_bases.")
def reindex(file: Path | None, storage: str | None, everything: bool) -> int:
    """Index stored resources again where search parameters have changed since.

    Until then those parameters are refused. Versions, times and contents stay as they are. When it is stopped, it goes on from
    there the next time. Servers that run meanwhile have to be of this version and to have the same packages; restart them
    afterwards, so that they offer what has been indexed.
    """
    return asyncio.run(_run(load(file, os.environ, {"storage": storage}), everything))


async def _run(settings: Settings, everything: bool) -> int:
    from toro_core.packages import announced, definitions_of
    from toro_core.plugins import open_existing
    from toro_core.search.extract import Extractor
    from toro_core.search.reindex import reindex as run

    async with open_existing(settings.storage) as storage:
        definitions = await definitions_of(storage)
        # A core of other definitions would go on writing resources without the rows that are made here.
        async with announced(storage, definitions):
            count = await run(storage, Extractor(definitions, settings.own_bases()), tell, everything=everything)
    if sys.stderr.isatty():
        click.echo(err=True)
    click.echo(f"{count} resources indexed" if count else "The index is up to date.")
    return 0


def tell(resource_type: str, done: int) -> None:
    """Say how far it is: a line that changes on a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        click.echo(f"\r{resource_type}: {done}\033[K", nl=False, err=True)
    else:
        click.echo(f"{resource_type}: {done} indexed so far", err=True)
