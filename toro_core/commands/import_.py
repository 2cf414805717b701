"""`toro import`: FHIR files into a storage or a running core."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from toro_core.settings import Settings, load

if TYPE_CHECKING:
    from toro_core.importing import Refused, Report, Sink

__all__ = ["import_", "load_paths"]

_SHOWN: Final = 20


@click.command("import", epilog="Example: toro import bundles/ Patient.ndjson.gz --storage sqlite:///toro.db")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--storage", help="Storage URL to write into.")
@click.option("--core", "address", help="Address of a running core to send to instead; needs TORO_TOKEN or --token.")
@click.option("--token", envvar="TORO_TOKEN", help="Access token for --core, with create and update on the types sent.")
@click.option("--strict", is_flag=True, help="Refuse resources that are invalid instead of storing and telling.")
@click.option(
    "--continue/--stop", "go_on", default=True, show_default=True, help="What to do when something is refused."
)
@click.option(
    "--validate/--no-validate", default=True, show_default=True, help="Check resources, where not sent to a core."
)
def import_(
    paths: tuple[Path, ...],
    file: Path | None,
    storage: str | None,
    address: str | None,
    token: str | None,
    strict: bool,
    go_on: bool,
    validate: bool,
) -> int:
    """Load Bundles, NDJSON, single resources (each plain or gzipped), folders of them and bulk exports with their manifest.

    Ids are kept; meta.versionId and meta.lastUpdated become the server's. What cannot be stored is told by file and line, and
    the exit code is then 1; with --stop nothing is read after the batch, of at most 2000 resources, in which that happens. A file
    of XML is read where it is named itself.
    """
    if address and storage:
        raise click.UsageError("--storage and --core exclude each other")
    if address and not token:
        raise click.UsageError("--core needs an access token: set TORO_TOKEN or --token")
    settings = load(file, os.environ, {"storage": storage})
    if address:
        settings.check_grpc(address)
    if strict and not validate:
        raise click.UsageError("--strict and --no-validate exclude each other")
    return asyncio.run(load_paths(paths, settings, address, token or "", strict=strict, go_on=go_on, validate=validate))


async def load_paths(
    paths: tuple[Path, ...],
    settings: Settings,
    address: str | None = None,
    token: str = "",
    *,
    strict: bool = False,
    go_on: bool = True,
    validate: bool = True,
) -> int:
    """Load files, tell how it went, and return the exit code."""
    from toro_core.commands.progress import file_progress
    from toro_core.importing import Report, delete_listed, find_files, import_files

    files = find_files(paths)
    report = Report()
    started = time.monotonic()
    try:
        async with _open_sink(settings, address, token, strict=strict, validate=validate) as sink:
            with file_progress(files) as tell:
                await import_files(files, sink, report, tell, stop=not go_on)
            if go_on or not report.refused:
                await delete_listed(paths, sink, report)
    except BaseException:
        click.echo("Stopped; stored until then:", err=True)
        raise
    finally:
        _tell(report, time.monotonic() - started)
        if not validate and not address:
            click.echo("Nothing was validated, as --no-validate asked")
    return 1 if report.refused else 0


@asynccontextmanager
async def _open_sink(
    settings: Settings, address: str | None, token: str, *, strict: bool, validate: bool
) -> AsyncIterator[Sink]:
    from toro_core.channel import core_tls
    from toro_core.definitions import load as load_definitions
    from toro_core.importing import CoreSink, StorageSink
    from toro_core.packages import announced, definitions_of
    from toro_core.plugins import open_storage
    from toro_core.search.extract import Extractor
    from toro_core.v1 import connect
    from toro_core.validation import Validator

    if address:
        async with connect(address, max_body=settings.max_body, tls=core_tls(settings)) as core:
            yield CoreSink(core, load_definitions(), token)
        return
    async with open_storage(settings.storage) as storage:
        definitions = await definitions_of(storage)
        validator = Validator(definitions, policy=settings.profile_policy) if validate else None
        extractor = Extractor(definitions, settings.own_bases())
        async with announced(storage, definitions):
            yield StorageSink(storage, definitions, extractor, strict=strict, validator=validator)


def _tell(report: Report, seconds: float) -> None:
    for name, count in sorted(report.stored.items()):
        click.echo(f"{count:>9} {name}")
    click.echo(f"{report.stored.total():>9} resources in {seconds:.1f} s")
    if report.refused:
        click.echo(f"{len(report.refused):>9} refused")
    if report.deleted:
        click.echo(f"{report.deleted:>9} deleted, as the export says")
    _tell_some("stored, although it breaks the definitions", report.warned)
    _tell_some("refused", report.refused)


def _tell_some(what: str, places: Sequence[Refused]) -> None:
    for one in places[:_SHOWN]:
        click.echo(f"{one.place}: {what}: {one.why}", err=True)
    if len(places) > _SHOWN:
        click.echo(f"and {len(places) - _SHOWN} more {what}", err=True)
