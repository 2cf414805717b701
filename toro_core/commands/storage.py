"""`toro storage`: which storages there are, what one is, whether it keeps its promises, and upgrades of its schema."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toro_core.errors import ToroError
from toro_core.settings import load

if TYPE_CHECKING:
    from toro_core.testing.checking import Report

__all__ = ["storage"]


@click.group(epilog="Example: toro storage info sqlite:///toro.db")
def storage() -> None:
    """List, look at, check and upgrade storages."""


@storage.command("list", epilog="Example: toro storage list")
def list_() -> int:
    """Name the schemes of storage URLs for which a plugin is installed."""
    from toro_core.plugins import STORAGE_GROUP

    for entry in sorted(importlib.metadata.entry_points(group=STORAGE_GROUP), key=lambda entry: entry.name):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "?"
        click.echo(f"{entry.name + '://':<16} {package:<28} {entry.value}")
    return 0


@storage.command(epilog="Example: toro storage info sqlite:///toro.db")
@click.argument("url")
def info(url: str) -> int:
    """Say what a storage does and holds: capabilities, schema, resources by type."""
    return asyncio.run(_info(url))


async def _info(url: str) -> int:
    from toro_core.packages import definitions_of
    from toro_core.plugins import check_storage, open_storage, upkeep
    from toro_core.search.extract import Extractor
    from toro_core.search.indexed import find_pending
    from toro_core.search.plan import SearchPlan
    from toro_core.storage import Arranges, LooksOnly, Upgrades

    await check_storage(url)
    care = upkeep(url)
    if isinstance(care, LooksOnly):
        looking = await care.looking(url)
        if looking != url:
            click.echo("opened        read-only, so that looking makes nothing")
            url = looking
    if isinstance(care, Upgrades):
        schema = await care.schema(url)
        newest = (
            "the newest" if schema.found == schema.known else f"this Toro needs {schema.known}: toro storage upgrade"
        )
        click.echo(f"schema        {schema.found}, {newest}")
    if isinstance(care, Arranges) and (waits := await care.pending(url)):
        click.echo(f"to do         {waits}: toro storage upgrade")
    async with open_storage(url) as opened:
        definitions = await definitions_of(opened)
        extractor = Extractor(definitions, ())
        click.echo(f"capabilities  {', '.join(sorted(opened.capabilities)) or 'none'}")
        pending = await find_pending(opened, extractor)
        said = f"of other rules for {', '.join(sorted(pending))}: toro reindex" if pending else "up to date"
        click.echo(f"index         {said}")
        click.echo(f"records       {len(await opened.list_state(''))} of the server's own: clients, keys and the like")
        total = 0
        for name in sorted(definitions.resource_types):
            if count := await opened.count(SearchPlan(type=name)):
                click.echo(f"{count:>9} {name}")
                total += count
    click.echo(f"{total:>9} resources")
    return 0


@storage.command(epilog="Example: toro storage check sqlite:////var/lib/toro/toro.db --report check.json")
@click.argument("url")
@click.option(
    "--report",
    "file",
    type=click.Path(path_type=Path),
    default=Path("toro-storage-check.json"),
    show_default=True,
    help="Write the outcome of every test here.",
)
@click.option("--only", multiple=True, metavar="GROUP", help="Run these groups alone, such as commit or durability.")
@click.option("--volatile", is_flag=True, help="The storage is one that forgets: leave out what is about that.")
def check(url: str, file: Path, only: tuple[str, ...], volatile: bool) -> int:
    """Run the certification suite beside a storage, without touching it.

    It takes a minute or two. Where the plugin has no scratch areas, URL holds {}, which is replaced by a new name for each test
    and is left behind. The exit code is 1 where a promise of the storage contract is broken.
    """
    try:
        import pytest  # noqa: F401
        import pytest_asyncio  # noqa: F401
    except ImportError as error:
        raise ToroError(
            f"the suite needs pytest and pytest-asyncio: pip install 'toro-fhir[testing]' ({error})"
        ) from error
    from toro_core.testing.checking import run

    report = run(url, _tell_running, only=only, volatile=volatile)
    _tell(report, whole=not only)
    file.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    return 1 if report.failed or not report.passed else 0


def _tell_running(done: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done} tests have run\033[K", nl=False, err=True)


def _tell(report: Report, *, whole: bool) -> None:
    if sys.stderr.isatty():
        click.echo(err=True)
    for group, outcomes in report.groups().items():
        line = "  ".join(f"{outcomes[name]:>4} {name}" for name in ("passed", "failed", "skipped"))
        click.echo(f"{group:<14}{line}")
    for result in report.results:
        if result.outcome == "failed":
            click.echo(f"FAILED {result.test}: {result.why}", err=True)
    for why, count in report.skipped_because().items():
        click.echo(f"{count} skipped: {why}")
    name = f"{report.scheme} storage ({report.plugin})"
    verdict = (
        "is not certified"
        if report.failed or not report.passed
        else "is certified"
        if whole
        else "keeps these promises"
    )
    click.echo(f"{name} {verdict}: {report.passed} passed, {report.failed} failed")


@storage.command(epilog="Example: toro storage upgrade sqlite:////var/lib/toro/toro.db --backup before.db")
@click.argument("url")
@click.option(
    "--backup",
    "file",
    type=click.Path(path_type=Path),
    help="Where to; else toro-schema-N-TIME.backup here.",
)
@click.option("--no-backup", is_flag=True, help="Upgrade without one.")
def upgrade(url: str, file: Path | None, no_backup: bool) -> int:
    """Back a storage up and bring its schema and layout to what this version of Toro needs. Stop its servers first.

    Older versions refuse the storage afterwards; the backup is what they can go back to.
    """
    return asyncio.run(_upgrade(url, file, no_backup))


async def _upgrade(url: str, file: Path | None, no_backup: bool) -> int:
    from toro_core.commands.backup import back_up
    from toro_core.plugins import check_storage, upkeep
    from toro_core.storage import Arranges, BacksUp, Upgrades

    await check_storage(url)
    care = upkeep(url)
    if not isinstance(care, Upgrades):
        click.echo("This storage has no schema to upgrade: its plugin sees to that when it opens it.")
        return 0
    found, known = await care.schema(url)
    pending = await care.pending(url) if isinstance(care, Arranges) else ""
    if found == known and not pending:
        click.echo(f"The schema is the newest, {known}.")
        return 0
    if not no_backup:
        if not isinstance(care, BacksUp):
            raise ToroError("this storage is backed up by its own tools: do so, and repeat this with --no-backup")
        target = file or Path(f"toro-schema-{found}-{time.strftime('%Y%m%d-%H%M%S')}.backup")
        await back_up(target, load(None, os.environ, {"storage": url}))
    if found != known:
        await care.upgrade(url)
        click.echo(f"Upgraded from schema {found} to {known}.")
    # Asked again, for the newer schema may have more to lay out.
    if isinstance(care, Arranges) and (pending := await care.pending(url)):
        await care.arrange(url)
        click.echo(f"Done: {pending}.")
    return 0
