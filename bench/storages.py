"""The other storages beside SQLite, in one run: loading resources and searching them."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from bench.client import in_process
from bench.copies import measure_copies
from bench.corpus import Corpus, fill, incoming, lines, populate
from bench.growth import queries
from bench.rounds import Row, compare, take
from bench.searches import Searches
from toro_core.definitions import load
from toro_core.plugins import open_storage, upkeep
from toro_core.search.extract import Extractor
from toro_core.storage import GivesScratch

__all__ = ["SCHEMES", "Places", "measure_storages"]

_SQLITE = "sqlite"
_POSTGRES = "postgresql"
_NAMES = {_SQLITE: "toro.db", "ndjson": "data"}
"""What each storage is called in a folder."""
_SERVER = os.environ.get("TORO_BENCH_POSTGRES")
"""The URL of a database in which schemas may be made; without it PostgreSQL is left out."""
SCHEMES = (*_NAMES, _POSTGRES) if _SERVER else tuple(_NAMES)
_QUERIES = (
    "patient",
    "patient + category + dates",
    "patient + code + category + date",
    "code + category",
    "code sorted by date",
    "dates sorted",
    "subject:Patient.name of 4 %",
    "_has",
)


async def measure_storages(folder: Path, *, resources: int, repeats: int, rounds: int) -> list[Row]:
    """Load the same resources into every storage, and ask each some queries; SQLite is what they compare with."""
    async with AsyncExitStack() as stack:
        places = Places(folder, stack)
        rows = await _measured(places, resources, repeats=repeats, rounds=rounds)
        if _SERVER:
            new = partial(places.new, _POSTGRES)
            rows += await measure_copies(new, folder, resources=max(1, resources // 4), rounds=rounds)
        return rows


async def _measured(places: Places, resources: int, *, repeats: int, rounds: int) -> list[Row]:
    ndjson = list(lines(resources))
    rows = []
    loads = {scheme: _loading(places, scheme, ndjson) for scheme in SCHEMES}
    taken = await take(loads, rounds=rounds)
    others = [scheme for scheme in SCHEMES if scheme != _SQLITE]
    for scheme in others:
        rows.append(compare(f"{scheme}: ingest", "resources/s", taken[scheme], "SQLite", taken[_SQLITE]))
    urls = {scheme: await places.new(scheme) for scheme in SCHEMES}
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
            searches[scheme] = Searches(
                core, Corpus(database=Path(_NAMES.get(scheme, scheme)), resources=resources), repeats
            )
        for name in _QUERIES:
            samples = {scheme: each.p50(queries(each)[name]) for scheme, each in searches.items()}
            taken = await take(samples, rounds=rounds)
            for scheme in urls.keys() - {_SQLITE}:
                measure = f"{scheme}: search p50, {name}"
                rows.append(compare(measure, "ms", taken[scheme], "SQLite", taken[_SQLITE]))
    return rows


class Places:
    """Makes new and empty places for storages."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        """Make them in a folder; what has to be removed otherwise is removed with the stack."""
        self._folder = folder
        self._stack = stack
        self._numbers = itertools.count()

    async def new(self, scheme: str) -> str:
        """Return the URL of one."""
        if scheme == _POSTGRES:
            keeper = upkeep(_SERVER or "")
            assert isinstance(keeper, GivesScratch)  # noqa: S101 - the plugin for PostgreSQL is one
            return await self._stack.enter_async_context(keeper.scratch(_SERVER or ""))
        place = self._folder / f"storage-{next(self._numbers)}"
        place.mkdir()
        return f"{scheme}:///{place / _NAMES[scheme]}"


def _loading(places: Places, scheme: str, ndjson: list[bytes]) -> Callable[[], Awaitable[float]]:
    extractor = Extractor(load(), ())

    async def sample() -> float:
        url = await places.new(scheme)
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
