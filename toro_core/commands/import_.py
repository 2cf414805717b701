"""`toro import`: FHIR files into a storage or a running core."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from toro_core.settings import Settings, load

if TYPE_CHECKING:
    from toro_core.importing import Refused, Report, Sink

__all__ = ["import_", "load_paths"]

_Run: TypeAlias = "Callable[[Sequence[Path], Report, Callable[[Path, Report], None]], Awaitable[None]]"

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
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    help="Processes to use, of which one writes and the others read and check; 1 does all in one.  "
    "[default: as many as there are CPUs, up to 8; 1 for what is done in seconds]",
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
    jobs: int | None,
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
    if address and jobs is not None:
        raise click.UsageError("--jobs is about --storage; a core checks what it is sent itself")
    settings = load(file, os.environ, {"storage": storage})
    if address:
        settings.check_grpc(address)
    if strict and not validate:
        raise click.UsageError("--strict and --no-validate exclude each other")
    loading = load_paths(
        paths, settings, address, token or "", strict=strict, go_on=go_on, validate=validate, jobs=jobs
    )
    return asyncio.run(loading)


async def load_paths(
    paths: tuple[Path, ...],
    settings: Settings,
    address: str | None = None,
    token: str = "",
    *,
    strict: bool = False,
    go_on: bool = True,
    validate: bool = True,
    jobs: int | None = None,
) -> int:
    """Load files, tell how it went, and return the exit code."""
    from toro_core.commands.progress import file_progress
    from toro_core.importing import NothingToImport, Report, delete_listed, find_files, jobs_for, read_manifest

    files = find_files(paths)
    if not files and not any(read_manifest(path) for path in paths if path.is_dir()):
        raise NothingToImport
    report = Report()
    started = time.monotonic()
    try:
        asked = _Asked(strict=strict, stop=not go_on, validate=validate, jobs=jobs or jobs_for(files))
        opened = _open_core(settings, address, token, asked) if address else _open_storage(settings, asked)
        async with opened as (sink, run):
            with file_progress(files) as tell:
                await run(files, report, tell)
            if go_on or not report.refused:
                await delete_listed(paths, sink, report, stop=not go_on)
    except BaseException:
        click.echo("Stopped; stored until then:", err=True)
        raise
    finally:
        _tell(report, time.monotonic() - started)
        if not validate and not address:
            click.echo("Nothing was validated, as --no-validate asked")
    return 1 if report.refused else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    strict: bool
    stop: bool
    validate: bool
    jobs: int


@asynccontextmanager
async def _open_core(settings: Settings, address: str, token: str, asked: _Asked) -> AsyncIterator[tuple[Sink, _Run]]:
    from toro_core.channel import core_tls
    from toro_core.definitions import load as load_definitions
    from toro_core.importing import CoreSink, import_files
    from toro_core.v1 import connect

    async with connect(address, max_body=settings.max_body, tls=core_tls(settings)) as core:
        sink = CoreSink(core, load_definitions(), token)
        yield sink, partial(import_files, sink, stop=asked.stop)


@asynccontextmanager
async def _open_storage(settings: Settings, asked: _Asked) -> AsyncIterator[tuple[Sink, _Run]]:
    from toro_core.importing import StorageSink, Terms, import_files, import_files_apart, open_workers
    from toro_core.packages import announced, definitions_of, stored_packages
    from toro_core.plugins import open_storage
    from toro_core.search.extract import Extractor
    from toro_core.validation import Validator

    async with open_storage(settings.storage) as storage:
        definitions = await definitions_of(storage)
        validator = Validator(definitions, policy=settings.profile_policy) if asked.validate else None
        extractor = Extractor(definitions, settings.own_bases())
        sink = StorageSink(storage, definitions, extractor, strict=asked.strict, validator=validator)
        async with announced(storage, definitions):
            if asked.jobs == 1:
                yield sink, partial(import_files, sink, stop=asked.stop)
                return
            terms = Terms(
                packages=[package.data for package in await stored_packages(storage)],
                service_bases=settings.own_bases(),
                policy=settings.profile_policy if asked.validate else None,
                strict=asked.strict,
                stop=asked.stop,
            )
            async with open_workers(asked.jobs - 1, terms, sink.preparer, _tell_of_workers) as workers:
                yield sink, partial(import_files_apart, sink, workers, stop=asked.stop)


def _tell_of_workers(what: str) -> None:
    click.echo(what, err=True)


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
