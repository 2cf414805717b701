"""`toro fhirpath`: evaluate an expression on the resources of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from toro_core.definitions import Definitions
    from toro_core.fhirpath import Answer
    from toro_core.fhirpath.environment import Resolve
    from toro_core.importing import Incoming
    from toro_core.json import JsonObject

__all__ = ["fhirpath"]


@click.command(epilog="Example: toro fhirpath \"name.where(use = 'official').given\" Patient.ndjson")
@click.argument("expression")
@click.argument("file", type=click.Path(path_type=Path))
def fhirpath(expression: str, file: Path) -> int:
    """Evaluate a FHIRPath expression on each resource of a file: JSON, XML, or NDJSON with one a line, plain or gzipped.

    Each value is a line of JSON with its type; of NDJSON it says too where the resource stands. What cannot be evaluated is told
    on standard error, and the rest goes on; the exit code is then 1.
    """
    from toro_core.definitions import load
    from toro_core.errors import ToroError
    from toro_core.fhirpath import InvalidExpression
    from toro_core.fhirpath.parser import parse
    from toro_core.importing.sources import Refused, read_file

    try:
        parse(expression)
    except InvalidExpression as error:
        raise click.BadParameter(str(error), param_hint="EXPRESSION") from None
    definitions = load()
    failed = 0
    for incoming in read_file(file, unpacked=False):
        try:
            if isinstance(incoming, Refused):
                raise ToroError(incoming.why)
            for line in _lines(expression, incoming, definitions, placed=incoming.place != str(file)):
                click.echo(line)
        except ToroError as error:
            failed = 1
            click.echo(f"{incoming.place}: {error}", err=True)
    return failed


def _lines(expression: str, incoming: Incoming, definitions: Definitions, *, placed: bool) -> Iterator[bytes]:
    from toro_core.fhirpath import Environment, evaluate
    from toro_core.json import dumps

    environment = Environment(resource=incoming.resource, resolve=_resolver(incoming.resource))
    place: JsonObject = {"at": incoming.place} if placed else {}
    for answer in evaluate(expression, incoming.resource, definitions, environment):
        yield dumps({**place, **_shown(answer)})


def _shown(answer: Answer) -> JsonObject:
    shown: JsonObject = {"type": answer.type, "value": answer.value}
    return {**shown, "_value": answer.sibling} if answer.sibling else shown


def _resolver(resource: JsonObject) -> Resolve:
    """Find what a reference names among the entries of a Bundle, by full URL or as `Type/id`."""
    entries = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
    known: dict[str, JsonObject] = {}
    for entry in entries if isinstance(entries, list) else []:
        found = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and isinstance(found, dict):
            known[f"{found.get('resourceType')}/{found.get('id')}"] = found
            known[str(entry.get("fullUrl"))] = found
    return known.get
