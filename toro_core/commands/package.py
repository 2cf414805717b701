"""`toro package`: FHIR packages whose profiles, extensions, value sets and search parameters a deployment knows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toro_core.settings import Settings, load

if TYPE_CHECKING:
    from toro_core.storage import Storage

__all__ = ["package"]

_STORAGE = click.option("--storage", help="Storage URL. [default: as configured]")
_CONFIG = click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file. [default: toro.toml]")


@click.group(epilog="Example: toro package add hl7.fhir.us.core-7.0.0.tgz --storage sqlite:///toro.db")
def package() -> None:
    """Add, list and remove the FHIR packages that resources are validated and searched with.

    Restart the cores of the deployment afterwards.
    """


@package.command(epilog="Example: toro package add hl7.fhir.us.core-7.0.0.tgz")
@click.argument("path", metavar="FILE.tgz", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_STORAGE
@_CONFIG
@click.option("--reindex/--no-reindex", default=True, show_default=True, help="Index stored resources again at once.")
def add(path: Path, storage: str | None, file: Path | None, reindex: bool) -> None:
    """Compile a package with snapshots and add it, in place of one of the same name and version.

    Its search parameters that are new or changed are refused until what is stored has been indexed by them. That is done at once
    where no core is running, and can be stopped: `toro reindex` goes on from there.
    """
    asyncio.run(_add(path, _settings(storage, file), reindex=reindex))


@package.command("list", epilog="Example: toro package list")
@_STORAGE
@_CONFIG
def list_(storage: str | None, file: Path | None) -> None:
    """List the packages resources are validated and searched with, the newest first."""
    asyncio.run(_list(_settings(storage, file)))


@package.command(epilog="Example: toro package remove hl7.fhir.us.core#7.0.0")
@click.argument("name", metavar="NAME#VERSION")
@_STORAGE
@_CONFIG
def remove(name: str, storage: str | None, file: Path | None) -> int:
    """Remove an added package; those that come with Toro stay."""
    return asyncio.run(_remove(name, _settings(storage, file)))


def _settings(storage: str | None, file: Path | None) -> Settings:
    return load(file, os.environ, {"storage": storage})


async def _add(path: Path, settings: Settings, *, reindex: bool) -> None:
    from toro_core.definitions.compile import read_package
    from toro_core.definitions.compile_guides import compile_guide
    from toro_core.packages import definitions_of, store_package
    from toro_core.plugins import open_storage
    from toro_core.validation.bindings import binding

    content = read_package(path)
    async with open_storage(settings.storage) as opened:
        known = await definitions_of(opened)
        facts = compile_guide(content, known)
        added = await store_package(opened, facts)
        unknown = [url for url in facts["open"] if not binding(url, known).known]
        _tell(added.label, facts, unknown)
        await _index(opened, settings, facts, reindex=reindex)


async def _index(storage: Storage, settings: Settings, facts: dict[str, Any], *, reindex: bool) -> None:
    """Say which parameters the package brings, and index by them unless a core would go on writing without them."""
    from toro_core.commands.reindex import tell
    from toro_core.packages import DefinitionsDiffer, announced, definitions_of
    from toro_core.search.extract import Extractor
    from toro_core.search.indexed import settle
    from toro_core.search.reindex import reindex as run

    definitions = await definitions_of(storage)
    extractor = Extractor(definitions, settings.own_bases())
    for name, rows in facts.get("search", {}).items():
        resource_type = "Patient" if name == "Resource" else name
        searchables = extractor.layout(resource_type).searchables
        for code, row in rows.items():
            if code not in searchables:
                click.echo(f"not searchable, its expression cannot be indexed: {name} {code}")
            elif definitions.search_parameters(resource_type)[code].url != row["url"]:
                click.echo(f"not used, there is another of that name in a package of a higher version: {name} {code}")
    await settle(storage, extractor)
    if not extractor.pending:
        click.echo("Restart the cores of this deployment: all of them load the same packages.")
        return
    try:
        async with announced(storage, definitions):
            if reindex:
                count = await run(storage, extractor, tell)
                click.echo(f"{count} resources indexed by the parameters of the package. Start the cores again.")
                return
    except DefinitionsDiffer:
        click.echo("Cores are running, or were a minute ago.")
    count = sum(len(codes) for codes in extractor.pending.values())
    click.echo(f"{count} search parameters are new or changed. They are refused until they are indexed:")
    click.echo("restart the cores of this deployment, run toro reindex, and restart them once more.")


def _tell(label: str, facts: dict[str, Any], unknown: Sequence[str]) -> None:
    kinds = [row["type"] == "Extension" for row in facts["profiles"].values()]
    sets = len(facts["valueSets"])
    parameters = sum(len(rows) for rows in facts.get("search", {}).values())
    click.echo(
        f"Added {label}: {kinds.count(False)} profiles, {kinds.count(True)} extensions, {sets} value sets,"
        f" {parameters} search parameters beside those of R4"
    )
    for url in unknown:
        click.echo(f"not checked, its codes are not in the package: {url}")


async def _list(settings: Settings) -> None:
    from toro_core.packages import definitions_of, stored_packages
    from toro_core.plugins import open_existing
    from toro_core.search.extract import Extractor
    from toro_core.search.indexed import settle

    async with open_existing(settings.storage) as opened:
        definitions = await definitions_of(opened)
        added = {package.label for package in await stored_packages(opened)}
        extractor = Extractor(definitions, settings.own_bases())
        await settle(opened, extractor)
    for one in definitions.packages:
        origin = "added" if one.label in added else "built in"
        parameters = definitions.search_count(one)
        click.echo(
            f"{one.label:<40} {len(one.types()):>5} profiles and extensions, {parameters:>4} search parameters, {origin}"
        )
    for name, codes in sorted(extractor.pending.items()):
        click.echo(f"refused until toro reindex has finished: {name} {', '.join(sorted(codes))}")
    click.echo(f"digest {definitions.digest}")


async def _remove(name: str, settings: Settings) -> int:
    from toro_core.packages import remove_package
    from toro_core.plugins import open_existing

    async with open_existing(settings.storage) as opened:
        if await remove_package(opened, name):
            click.echo(f"Removed {name}; restart the cores of this deployment, and run toro reindex")
            return 0
    click.echo(f"There is no added package {name}; toro package list shows what there is", err=True)
    return 1
