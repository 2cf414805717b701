"""The other storages beside SQLite, in one run: loading resources and searching them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from bench.client import in_process
from bench.corpus import Corpus, fill, incoming, lines, populate
from bench.growth import queries
from bench.rounds import Row, compare, take
from bench.searches import Searches
from toro_core.definitions import load
from toro_core.plugins import open_storage
from toro_core.search.extract import Extractor

__all__ = ["measure_storages"]

_SQLITE = "sqlite"
_NAMES = {_SQLITE: "toro.db", "ndjson": "data"}
"""What each storage is called in a folder."""
_QUERIES = ("patient", "patient + code + category + date", "code sorted by date", "dates sorted", "_has")


async def measure_storages(folder: Path, *, resources: int, repeats: int, rounds: int) -> list[Row]:
    """Load the same resources into every storage, and ask each some queries; SQLite is what they compare with."""
    ndjson = list(lines(resources))
    numbers = itertools.count()
    rows = []
    loads = {scheme: _loading(folder, scheme, ndjson, numbers) for scheme in _NAMES}
    taken = await take(loads, rounds=rounds)
    others = [scheme for scheme in _NAMES if scheme != _SQLITE]
    for scheme in others:
        rows.append(compare(f"{scheme}: ingest", "resources/s", taken[scheme], "SQLite", taken[_SQLITE]))
    urls = {scheme: _url(folder, scheme, next(numbers)) for scheme in _NAMES}
    for each in urls.values():
        await populate(resources, each)
    opened = await take({scheme: _opening(each) for scheme, each in urls.items()}, rounds=rounds)
    for scheme in others:
        measure = f"{scheme}: opening {resources:,} resources"
        rows.append(compare(measure, "ms", opened[scheme], "SQLite", opened[_SQLITE]))
    return rows + await _searches(urls, resources, repeats=repeats, rounds=rounds)


async def _searches(urls: dict[str, str], resources: int, *, repeats: int, rounds: int) -> list[Row]:
    rows = []
    async with AsyncExitStack() as stack:
        searches = {}
        for scheme, each in urls.items():
            core = await stack.enter_async_context(in_process(each))
            searches[scheme] = Searches(core, Corpus(database=Path(_NAMES[scheme]), resources=resources), repeats)
        for name in _QUERIES:
            samples = {scheme: each.p50(queries(each)[name]) for scheme, each in searches.items()}
            taken = await take(samples, rounds=rounds)
            for scheme in urls.keys() - {_SQLITE}:
                measure = f"{scheme}: search p50, {name}"
                rows.append(compare(measure, "ms", taken[scheme], "SQLite", taken[_SQLITE]))
    return rows


def _url(folder: Path, scheme: str, number: int) -> str:
    place = folder / f"storage-{number}"
    place.mkdir()
    return f"{scheme}:///{place / _NAMES[scheme]}"


def _loading(
    folder: Path, scheme: str, ndjson: list[bytes], numbers: itertools.count[int]
) -> Callable[[], Awaitable[float]]:
    extractor = Extractor(load(), ())

    async def sample() -> float:
        url = _url(folder, scheme, next(numbers))
        started = time.perf_counter()
        await fill(url, incoming(ndjson), extractor)
        return len(ndjson) / (time.perf_counter() - started)

    return sample


def _opening(url: str) -> Callable[[], Awaitable[float]]:
    async def sample() -> float:
        started = time.perf_counter()
        async with open_storage(url):
            taken = time.perf_counter() - started
        return taken * 1000

    return sample
