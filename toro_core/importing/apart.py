"""The same import with its files read and checked in processes of their own, while this one writes, in order."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from toro_core.importing.batches import no_collection
from toro_core.importing.job import Report
from toro_core.importing.preparing import Prepared
from toro_core.importing.sinks import StorageSink
from toro_core.importing.sources import Part, Refused, parts_of
from toro_core.importing.workers import Workers

__all__ = ["import_files_apart", "jobs_for"]

_AHEAD: Final = 2
"""Parts that each worker has, or has done, beside the one that is being written."""
_WORTH: Final = 8_000_000
"""Bytes of JSON from which on it pays to start workers, each of which takes about a second to be ready."""
_PACKED: Final = 12
"""How many times as large as its gzip a file is, about."""
_MOST_JOBS: Final = 8


def jobs_for(files: Iterable[Path]) -> int:
    """Return how many processes an import of these files is worth."""
    with suppress(OSError):  # the import tells of it
        if sum(path.stat().st_size * (_PACKED if path.suffix == ".gz" else 1) for path in files) >= _WORTH:
            return max(1, min(_MOST_JOBS, cpus()))
    return 1


def cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def import_files_apart(
    sink: StorageSink,
    workers: Workers,
    files: Iterable[Path],
    report: Report,
    progress: Callable[[Path, Report], None],
    *,
    stop: bool = False,
) -> None:
    """Import files as `import_files` does: the same batches in the same order, told of in the same words."""
    steps = _steps(files)
    waiting: deque[tuple[Path, asyncio.Task[list[Prepared]] | Refused | None]] = deque()
    try:
        with no_collection():
            while True:
                while len(waiting) <= _AHEAD * len(workers.processes) and (step := next(steps, None)) is not None:
                    path, what = step
                    task = asyncio.create_task(workers.prepare(what)) if isinstance(what, Part) else what
                    waiting.append((path, task))
                if not waiting:
                    return
                path, found = waiting.popleft()
                if isinstance(found, asyncio.Task):
                    await _store(await found, sink, report, stop=stop)
                elif found is not None:
                    report.refused.append(found)
                stopped = stop and bool(report.refused)
                if found is None or stopped:
                    progress(path, report)
                if stopped:
                    return
    finally:
        left = [found for _, found in waiting if isinstance(found, asyncio.Task)]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _steps(files: Iterable[Path]) -> Iterator[tuple[Path, Part | Refused | None]]:
    """Yield what is in each file, and None at its end."""
    for path in files:
        for part in parts_of(path):
            yield path, part
        yield path, None


async def _store(batches: list[Prepared], sink: StorageSink, report: Report, *, stop: bool) -> None:
    for prepared in batches:
        await sink.commit(prepared)
        report.stored.update(key.type for key, _, _ in prepared.writes)
        report.refused += prepared.refused
        report.warned += prepared.warned
        if stop and report.refused:
            return
