"""`toro validate`: FHIR files against R4 and profiles, without a server."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toro_core.settings import load

if TYPE_CHECKING:
    from toro_core.definitions import Definitions
    from toro_core.errors import Issue
    from toro_core.validation import Validator

__all__ = ["validate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A resource by its place and what was found, or why it could not be read."""

    place: str
    issues: Sequence[Issue]


@click.command(epilog="Example: toro validate Patient.json bundles/ --profile-policy enforce")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--storage", help="Storage URL whose added packages to validate with. [default: the built-in ones only]")
@click.option(
    "--package", "packages", multiple=True, type=click.Path(path_type=Path), help="Package (.tgz) to use, too."
)
@click.option("--profile", "profiles", multiple=True, help="Profile to check against beside those resources claim.")
@click.option(
    "--profile-policy",
    type=click.Choice(["off", "warn", "enforce"]),
    help="US Core profiles that resources do not claim. [default: warn]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one OperationOutcome instead of a table.")
def validate(
    paths: tuple[Path, ...],
    file: Path | None,
    storage: str | None,
    packages: tuple[Path, ...],
    profiles: tuple[str, ...],
    profile_policy: str | None,
    as_json: bool,
) -> int:
    """Validate Bundles, NDJSON, single resources (each plain or gzipped) and folders of them; exit code 1 tells of errors.

    A Bundle is taken as it is, with the rules on Bundles, and its entries with it.
    """
    from toro_core.importing import find_files
    from toro_core.validation import Validator

    settings = load(file, os.environ, {"profile_policy": profile_policy})
    definitions = asyncio.run(_definitions(storage, packages))
    validator = Validator(definitions, policy=settings.profile_policy)
    judged = [one for path in find_files(paths) for one in _judge(path, validator, profiles)]
    if as_json:
        click.echo(_outcome(judged))
    else:
        _table(judged)
    return 1 if any(issue.severity in ("error", "fatal") for one in judged for issue in one.issues) else 0


async def _definitions(storage: str | None, packages: Sequence[Path]) -> Definitions:
    from toro_core.definitions import load as load_definitions
    from toro_core.definitions.compile import read_package
    from toro_core.definitions.compile_guides import compile_guide
    from toro_core.json import dumps
    from toro_core.packages import stored_packages
    from toro_core.plugins import open_existing

    known = load_definitions()
    added: list[bytes] = []
    if storage:
        async with open_existing(storage) as opened:
            added = [package.data for package in await stored_packages(opened)]
    for path in packages:
        added.append(dumps(compile_guide(read_package(path), known.with_packages(added))))
    return known.with_packages(added) if added else known


def _judge(path: Path, validator: Validator, profiles: Sequence[str]) -> Iterator[_Judged]:
    from toro_core.errors import Issue
    from toro_core.importing import Refused, read_file

    for one in read_file(path, unpacked=False):
        if isinstance(one, Refused):
            yield _Judged(place=one.place, issues=[Issue(severity="fatal", code="structure", diagnostics=one.why)])
        else:
            yield _Judged(place=one.place, issues=validator.validate(one.resource, profiles).issues)


def _table(judged: Sequence[_Judged]) -> None:
    counts: Counter[str] = Counter()
    for one in judged:
        for issue in one.issues:
            counts[issue.severity] += 1
            click.echo(f"{issue.severity:<11}  {one.place}  {issue.diagnostics}")
    found = ", ".join(f"{counts[name]} {name}" for name in ("fatal", "error", "warning", "information") if counts[name])
    click.echo(f"{len(judged)} resources: {found or 'nothing found'}")


def _outcome(judged: Sequence[_Judged]) -> str:
    """Render all as one OperationOutcome; `location` names the file and line."""
    from toro_core.json import dumps, pretty

    issues: list[Any] = [
        {
            "severity": issue.severity,
            "code": issue.code,
            "diagnostics": issue.diagnostics,
            "location": [one.place],
            **({"expression": list(issue.expressions)} if issue.expressions else {}),
        }
        for one in judged
        for issue in one.issues
    ]
    if not issues:
        text = f"{len(judged)} resources are valid."
        issues = [{"severity": "information", "code": "informational", "diagnostics": text}]
    return pretty(dumps({"resourceType": "OperationOutcome", "issue": issues})).decode()
