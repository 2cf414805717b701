"""`toro import` by several processes beside the same by one, with validation, into every storage."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from bench.corpus import lines
from bench.rounds import Row, compare, take
from bench.servers import toro
from bench.storages import SCHEMES, Places

__all__ = ["measure_imports"]

_JOBS = 2


async def measure_imports(folder: Path, *, resources: int, rounds: int) -> list[Row]:
    """Compare imports of one file by resources a second, from the command's start to its end."""
    folder /= "imports"
    folder.mkdir()
    file = folder / "all.ndjson"
    file.write_bytes(b"\n".join(lines(resources)))
    rows = []
    async with AsyncExitStack() as stack:
        places = Places(folder, stack)
        for scheme in SCHEMES:
            samples = {jobs: _importing(places, scheme, file, resources, int(jobs)) for jobs in ("1", str(_JOBS))}
            taken = await take(samples, rounds=rounds)
            measure = f"{scheme}: import of {resources:,}, --jobs {_JOBS}"
            rows.append(compare(measure, "resources/s", taken[str(_JOBS)], "--jobs 1", taken["1"]))
    return rows


def _importing(places: Places, scheme: str, file: Path, resources: int, jobs: int) -> Callable[[], Awaitable[float]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TORO_")}

    async def sample() -> float:
        url = await places.new(scheme)
        command = toro("import", str(file), "--storage", url, "--jobs", str(jobs))
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
        if process.returncode:
            raise RuntimeError(said.decode())
        return resources / (time.perf_counter() - started)

    return sample
