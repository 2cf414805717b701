"""PostgreSQL beside its own COPY: ingest, export and migration."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.corpus import fill, incoming, lines, populate
from bench.rounds import Row, compare, take
from toro_core.definitions import load
from toro_core.moving import Selection, export, migrate
from toro_core.plugins import open_storage
from toro_core.search.extract import Extractor

__all__ = ["measure_copies"]

_CURRENT = "SELECT json FROM version WHERE ended_seq IS NULL AND NOT deleted"
_ALL = "SELECT json FROM version"
_TABLES = ("name", "home", "version", "resource", "posting", "date", "string", "amount", "ordering")


async def measure_copies(new: Callable[[], Awaitable[str]], folder: Path, *, resources: int, rounds: int) -> list[Row]:
    """Compare an import with a COPY of the rows it makes, exports and migrations with a COPY of the JSON into a file.

    `new` makes an empty database. All of it is by the clock, for most of the work is the server's.
    """
    extractor = Extractor(load(), ())
    ndjson = list(lines(resources))
    loaded, full = await new(), await new()
    await fill(loaded, incoming(ndjson), extractor)
    await populate(resources, full)
    prebuilt = await asyncio.to_thread(_prebuilt, loaded)
    sizes = {query: await asyncio.to_thread(_size, full, query) for query in (_CURRENT, _ALL)}
    numbers = itertools.count()

    async def ingests() -> float:
        url = await new()
        started = time.perf_counter()
        await fill(url, incoming(ndjson), extractor)
        return resources / (time.perf_counter() - started)

    async def copies_in() -> float:
        url = await new()
        async with open_storage(url):
            pass
        started = time.perf_counter()
        await asyncio.to_thread(_insert, url, prebuilt)
        return resources / (time.perf_counter() - started)

    async def exports() -> float:
        target = folder / f"copied-export-{next(numbers)}"
        async with open_storage(full) as storage:
            started = time.perf_counter()
            await export(storage, target, extractor, Selection(), _nothing)
            taken = time.perf_counter() - started
        shutil.rmtree(target)
        return sizes[_CURRENT] / taken

    async def migrates() -> float:
        async with open_storage(full) as source, open_storage(await new()) as target:
            started = time.perf_counter()
            await migrate(source, target, extractor, _nothing)
            return sizes[_ALL] / (time.perf_counter() - started)

    samples = {
        "ingest": ingests,
        "copy in": copies_in,
        "export": exports,
        "copy": _copies_out(full, _CURRENT, sizes[_CURRENT], folder),
        "migrate": migrates,
        "copy all": _copies_out(full, _ALL, sizes[_ALL], folder),
    }
    taken = await take(samples, rounds=rounds)
    return [
        compare("postgresql: ingest", "resources/s", taken["ingest"], "COPY of prebuilt rows", taken["copy in"]),
        compare("postgresql: export", "MB/s", taken["export"], "COPY of the JSON", taken["copy"]),
        compare("postgresql: migrate to another", "MB/s", taken["migrate"], "COPY of the JSON", taken["copy all"]),
    ]


@contextmanager
def _connected(url: str) -> Iterator[Any]:
    import psycopg

    with psycopg.connect(url) as connection:
        yield connection


def _prebuilt(url: str) -> dict[str, bytes]:
    """Read all rows of the tables as COPY takes them."""
    rows = {}
    with _connected(url) as connection:
        for table in _TABLES:
            with connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT BINARY)") as copy:
                rows[table] = b"".join(copy)
    return rows


def _insert(url: str, rows: dict[str, bytes]) -> None:
    with _connected(url) as connection:
        for table, data in rows.items():
            with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(data)


def _size(url: str, query: str) -> float:
    with _connected(url) as connection:
        row = connection.execute(f"SELECT sum(octet_length(json))::bigint FROM ({query}) j").fetchone()  # noqa: S608
        return float(row[0] / 1e6)


def _copies_out(url: str, query: str, size: float, folder: Path) -> Callable[[], Awaitable[float]]:
    """Return what copies into a file and says how many MB of JSON it did in a second."""
    file = folder / "copied"

    def by_copy() -> None:
        statement = f"COPY ({query}) TO STDOUT (FORMAT BINARY)"
        with _connected(url) as connection, connection.cursor().copy(statement) as copy, file.open("wb") as output:
            for piece in copy:
                output.write(piece)

    async def sample() -> float:
        started = time.perf_counter()
        await asyncio.to_thread(by_copy)
        taken = time.perf_counter() - started
        file.unlink()
        return size / taken

    return sample


def _nothing(place: int, done: int) -> None:
    pass
