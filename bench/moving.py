"""Moving data: export and migration, beside a plain select of the same JSON."""

from __future__ import annotations

import asyncio
import itertools
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from bench.corpus import Corpus, url
from bench.rounds import Row, Target, compare, take
from toro_core.definitions import load
from toro_core.moving import Selection, export, migrate
from toro_core.plugins import open_storage
from toro_core.search.extract import Extractor

__all__ = ["measure_moving"]

_CURRENT = "SELECT json FROM version WHERE ended_seq IS NULL AND deleted = 0"
_ALL = "SELECT json FROM version"


async def measure_moving(corpus: Corpus, folder: Path, *, rounds: int) -> list[Row]:
    """Compare an export with a select into a file by MB/s, and a migration with a select of every version by MB a CPU second.

    The select is the sqlite3 command's, where it is installed, else Python's.
    """
    exported, migrated = _size(corpus.database, _CURRENT), _size(corpus.database, _ALL)
    extractor = Extractor(load(), ())
    numbers = itertools.count()

    async def exports() -> float:
        target = folder / f"export-{next(numbers)}"
        async with open_storage(url(corpus.database)) as storage:
            started = time.perf_counter()
            await export(storage, target, extractor, Selection(), _nothing)
            taken = time.perf_counter() - started
        shutil.rmtree(target)
        return exported / taken

    async def migrates() -> float:
        target = folder / f"migrate-{next(numbers)}.db"
        async with open_storage(url(corpus.database)) as source, open_storage(url(target)) as storage:
            started = _cpu()
            await migrate(source, storage, extractor, _nothing)
            taken = _cpu() - started
        target.unlink()
        return migrated / taken

    samples = {
        "select": _selects(corpus.database, _CURRENT, exported, folder, time.perf_counter),
        "export": exports,
        "select all": _selects(corpus.database, _ALL, migrated, folder, _cpu),
        "migrate": migrates,
    }
    taken = await take(samples, rounds=rounds)
    against = "sqlite3 select" if shutil.which("sqlite3") else "Python sqlite3 select"
    target = Target(kind="at least", ratio=0.8)
    return [
        compare("export", "MB/s", taken["export"], against, taken["select"], target),
        compare("migrate, SQLite to SQLite", "MB/s CPU", taken["migrate"], against, taken["select all"]),
    ]


def _size(database: Path, query: str) -> float:
    with closing(sqlite3.connect(database)) as connection:
        return float(connection.execute(f"SELECT sum(length(json)) FROM ({query})").fetchone()[0] / 1e6)  # noqa: S608


def _selects(
    database: Path, query: str, size: float, folder: Path, clock: Callable[[], float]
) -> Callable[[], Awaitable[float]]:
    """Return what selects into a file and says how many MB it did in a second of this clock."""
    command = shutil.which("sqlite3")
    file = folder / "selected.ndjson"

    def by_command() -> None:
        with file.open("wb") as output:
            subprocess.run([str(command), database, query], stdout=output, check=True)

    def by_python() -> None:
        with closing(sqlite3.connect(database)) as connection, file.open("wb") as output:
            for (json,) in connection.execute(query):
                output.write(json)
                output.write(b"\n")

    async def sample() -> float:
        started = clock()
        await asyncio.to_thread(by_command if command else by_python)
        taken = clock() - started
        file.unlink()
        return size / taken

    return sample


def _cpu() -> float:
    """Return the CPU seconds of this process and of those it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _nothing(place: int, done: int) -> None:
    pass
