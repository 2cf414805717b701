"""`toro search`: search a storage as an operator, or explain how it would be searched."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from toro_core.settings import Settings, load

if TYPE_CHECKING:
    from toro_core.search.query import Parameter
    from toro_core.searching import Search

__all__ = ["search"]

_TOTALS: Final = {("_summary", "count"), ("_count", "0"), ("_total", "accurate"), ("_total", "estimate")}
"""What asks for a total."""


@click.command(epilog="Example: toro search --explain 'Observation?patient=1&date=ge2024' --storage sqlite:///toro.db")
@click.argument("query")
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--storage", help="Storage URL to search.")
@click.option("--explain", is_flag=True, help="Say how the search is executed instead of executing it.")
def search(query: str, file: Path | None, storage: str | None, explain: bool) -> int:
    """Search a storage with the QUERY of a FHIR URL, with an operator's eyes: no grants apply.

    The first page is written as NDJSON: the matches, then what is included. What was ignored or cut goes to stderr, as does
    a total that is asked for.
    """
    settings = load(file, os.environ, {"storage": storage})
    return asyncio.run(_run(query, settings, explain))


async def _run(query: str, settings: Settings, explain: bool) -> int:
    from toro_core.access import Access
    from toro_core.auth.scopes import Grant
    from toro_core.caller import Caller
    from toro_core.commands.progress import indexing_progress
    from toro_core.packages import definitions_of
    from toro_core.plugins import open_existing
    from toro_core.search.extract import Extractor
    from toro_core.search.paging import PageTokens
    from toro_core.search.parse import SearchParser
    from toro_core.search.reindex import prepare
    from toro_core.searching import Searcher

    operator = Caller(client_id="operator", grants=(Grant(type="*", permissions="rs"),))
    async with open_existing(settings.storage) as storage:
        definitions = await definitions_of(storage)
        asked = _asked(query, definitions.resource_types)
        extractor = Extractor(definitions, settings.own_bases())
        parser = SearchParser(extractor, max_count=settings.page_size_max)
        await prepare(storage, extractor, indexing_progress())
        access, tokens = Access(parser.constraint), PageTokens(storage)
        searcher = Searcher(storage, extractor, parser, access, tokens, page_size=settings.page_size)
        if explain:
            click.echo(await searcher.explain(operator, asked))
            return 0
        found = await searcher.search(operator, asked)
    for stored in (*found.matches, *found.included):
        click.echo(stored.json)
    for issue in found.issues:
        click.echo(f"{issue.severity}: {issue.diagnostics}", err=True)
    if found.total is not None and any((one.code, *one.values) in _TOTALS for one in asked.parameters):
        click.echo(f"{found.total} in all", err=True)
    if found.next_page_token:
        click.echo("more follow; raise _count or narrow the search", err=True)
    return 0


def _asked(query: str, types: frozenset[str]) -> Search:
    """Parse `Type?query`, `Patient/1/Type?query` or `?_type=…`. Raises UsageError."""
    from toro_core.searching import Search
    from toro_core.storage import Key

    path, _, text = query.removeprefix("/").partition("?")
    *compartment, resource_type = path.split("/")
    if len(compartment) not in {0, 2} or (resource_type not in types and resource_type not in {"", "*"}):
        raise click.UsageError(
            "QUERY is Type?parameters or Patient/ID/Type?parameters, as after the base of a FHIR URL"
        )
    return Search(
        type=resource_type.removesuffix("*"),
        compartment=Key(*compartment) if compartment else None,
        parameters=tuple(_parameters(text)),
    )


def _parameters(text: str) -> Sequence[Parameter]:
    from urllib.parse import parse_qsl

    from toro_core.search.query import Parameter
    from toro_core.search.values import split_escaped

    found = []
    for name, value in parse_qsl(text, keep_blank_values=True):
        code, _, modifier = name.partition(":")
        found.append(Parameter(code=code, modifier=modifier, values=tuple(split_escaped(value, ","))))
    return found
