"""`toro package`: FHIR packages whose profiles, extensions and value sets a deployment knows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from toro_core.settings import load

__all__ = ["package"]

_STORAGE = click.option("--storage", help="Storage URL. [default: as configured]")
_CONFIG = click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file. [default: toro.toml]")


@click.group(epilog="Example: toro package add hl7.fhir.us.core-7.0.0.tgz --storage sqlite:///toro.db")
def package() -> None:
    """Add, list and remove the FHIR packages resources are validated with. Restart the cores of the deployment afterwards."""


@package.command(epilog="Example: toro package add hl7.fhir.us.core-7.0.0.tgz")
@click.argument("path", metavar="FILE.tgz", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_STORAGE
@_CONFIG
def add(path: Path, storage: str | None, file: Path | None) -> None:
    """Compile a package with snapshots and add it, in place of one of the same name and version."""
    asyncio.run(_add(path, _url(storage, file)))


@package.command("list", epilog="Example: toro package list")
@_STORAGE
@_CONFIG
def list_(storage: str | None, file: Path | None) -> None:
    """List the packages resources are validated with, the newest first."""
    asyncio.run(_list(_url(storage, file)))


@package.command(epilog="Example: toro package remove hl7.fhir.us.core#7.0.0")
@click.argument("name", metavar="NAME#VERSION")
@_STORAGE
@_CONFIG
def remove(name: str, storage: str | None, file: Path | None) -> int:
    """Remove an added package; those that come with Toro stay."""
    return asyncio.run(_remove(name, _url(storage, file)))


def _url(storage: str | None, file: Path | None) -> str:
    return load(file, os.environ, {"storage": storage}).storage


async def _add(path: Path, url: str) -> None:
    from toro_core.definitions.compile import read_package
    from toro_core.definitions.compile_guides import compile_guide
    from toro_core.packages import definitions_of, store_package
    from toro_core.plugins import open_storage
    from toro_core.validation.bindings import binding

    content = read_package(path)
    async with open_storage(url) as opened:
        known = await definitions_of(opened)
        facts = compile_guide(content, known)
        added = await store_package(opened, facts)
    unknown = [url for url in facts["open"] if not binding(url, known).known]
    _tell(added.label, facts, unknown, len(content["SearchParameter"]))


def _tell(label: str, facts: dict[str, Any], unknown: Sequence[str], parameters: int) -> None:
    kinds = [row["type"] == "Extension" for row in facts["profiles"].values()]
    sets = len(facts["valueSets"])
    click.echo(f"Added {label}: {kinds.count(False)} profiles, {kinds.count(True)} extensions, {sets} value sets")
    for url in unknown:
        click.echo(f"not checked, its codes are not in the package: {url}")
    if parameters:
        click.echo(f"not used: {parameters} search parameters; search knows those that come with Toro")
    click.echo("Restart the cores of this deployment: all of them load the same packages.")


async def _list(url: str) -> None:
    from toro_core.packages import definitions_of, stored_packages
    from toro_core.plugins import open_storage

    async with open_storage(url) as opened:
        definitions = await definitions_of(opened)
        added = {package.label for package in await stored_packages(opened)}
    for one in definitions.packages:
        origin = "added" if one.label in added else "built in"
        click.echo(f"{one.label:<40} {len(one.types()):>5} profiles and extensions, {origin}")
    click.echo(f"digest {definitions.digest}")


async def _remove(name: str, url: str) -> int:
    from toro_core.packages import remove_package
    from toro_core.plugins import open_storage

    async with open_storage(url) as opened:
        if await remove_package(opened, name):
            click.echo(f"Removed {name}; restart the cores of this deployment")
            return 0
    click.echo(f"There is no added package {name}; toro package list shows what there is", err=True)
    return 1
