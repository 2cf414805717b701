"""Writing at the storage: group commit, bulk ingest, and the size of what results."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from bench.baselines.prebuilt import Prebuilt
from bench.corpus import fill, incoming, lines, url
from bench.rounds import Row, Target, compare, take
from toro_core.definitions import load
from toro_core.json import dumps, loads
from toro_core.plugins import open_storage
from toro_core.resources import body, new_id
from toro_core.search.extract import Extractor
from toro_core.storage import ABSENT, Key, Storage, Write
from toro_core.synthetic import generate

__all__ = ["measure_commits", "measure_ingest", "measure_records", "measure_size"]

_CALLERS = 64


async def measure_commits(folder: Path, *, commits: int, rounds: int) -> Row:
    """Compare 64 callers whose commits share an fsync with 64 callers who take turns; both are durable on return."""
    extractor = Extractor(load(), ())
    async with open_storage(url(folder / "commits.db")) as storage:
        writes = itertools.cycle(_writes(list(itertools.islice(lines(2_000), 1_000, 2_000)), extractor))
        samples = {
            "in turn": _commits(storage, writes, commits, asyncio.Semaphore(1)),
            "grouped": _commits(storage, writes, commits, asyncio.Semaphore(_CALLERS)),
        }
        taken = await take(samples, rounds=rounds)
    target = Target(kind="at least", ratio=3)
    return compare("group commit, 64 callers", "/s", taken["grouped"], "commit a request", taken["in turn"], target)


def _writes(ndjson: Sequence[bytes], extractor: Extractor) -> list[Write]:
    resources = [loads(line) for line in ndjson]
    return [
        Write(key=Key(str(one["resourceType"]), "x"), body=body(one, "x"), rows=extractor.rows(one))
        for one in resources
    ]


def _commits(
    storage: Storage, writes: Iterator[Write], count: int, turns: asyncio.Semaphore
) -> Callable[[], Awaitable[float]]:
    async def caller(share: list[Write]) -> None:
        for write in share:
            async with turns:
                await storage.commit([write])

    async def sample() -> float:
        ready = [
            Write(key=Key(write.key.type, new_id()), body=write.body, rows=write.rows, expect=ABSENT)
            for write in itertools.islice(writes, count)
        ]
        started = time.perf_counter()
        await asyncio.gather(*(caller(ready[number::_CALLERS]) for number in range(_CALLERS)))
        return count / (time.perf_counter() - started)

    return sample


async def measure_ingest(folder: Path, *, resources: int, rounds: int) -> Row:
    """Compare an import from bytes with the insertion of the rows it makes, by resources a CPU second."""
    ndjson = list(lines(resources))
    sample_database = folder / "ingest.db"
    extractor = Extractor(load(), ())
    await fill(sample_database, incoming(ndjson), extractor)
    prebuilt = Prebuilt.of(sample_database)
    numbers = itertools.count()

    async def imported() -> float:
        database = folder / f"ingest-{next(numbers)}.db"
        started = time.process_time()
        await fill(database, incoming(ndjson), extractor)
        taken = time.process_time() - started
        _drop(database)
        return resources / taken

    async def inserted() -> float:
        database = folder / f"ingest-{next(numbers)}.db"
        taken = prebuilt.insert(database)
        _drop(database)
        return resources / taken

    taken = await take({"rows": inserted, "bytes": imported}, rounds=rounds)
    target = Target(kind="at least", ratio=0.35)
    unit = "resources/s CPU"
    return compare("bulk ingest from bytes", unit, taken["bytes"], "prebuilt rows", taken["rows"], target)


def _drop(database: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()


async def measure_records(folder: Path, *, patients: int) -> Row:
    """Compare sizes for whole records, over all types that a sandbox has."""
    database = folder / "records.db"
    ndjson = (dumps(resource) for resource in generate(patients=patients))
    await fill(database, incoming(ndjson), Extractor(load(), ()))
    return measure_size(database, f"{patients} whole records")


def measure_size(database: Path, of: str) -> Row:
    """Compare a database's bytes with those of the JSON in it."""
    connection = sqlite3.connect(database)
    (json,) = connection.execute("SELECT sum(length(json)) FROM version").fetchone()
    connection.close()
    size = database.stat().st_size
    target = Target(kind="at most", ratio=2)
    return compare(f"database of {of}", "MB", (size / 1e6,), "JSON MB", (json / 1e6,), target)
