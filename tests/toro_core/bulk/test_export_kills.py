"""Processes that work on an export and are killed: another goes on, and the files are the same, byte for byte."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toro_core.json import loads

LEASE = 0.6


@contextmanager
def worker(kit: Any, url: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    options = json.dumps({"lease_seconds": LEASE, "unit_span": 40})
    command = [sys.executable, kit.__file__, url, str(folder), options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "working\n"
            yield process
        finally:
            process.kill()


async def contents(place: Any, job: Any) -> dict[str, bytes]:
    found = {}
    for file in job.files:
        found[file.name] = b"".join([chunk async for chunk in place.exports.content(job, file, 0, 0)])
    return found


async def survived(kit: Any, tmp_path: Path, kills: int) -> None:
    """Export twice, undisturbed and with workers killed at points spread over the whole, and compare."""
    url, folder = f"sqlite:///{tmp_path}/toro.db", tmp_path / "exports"
    async with kit.opened(url, folder, lease_seconds=LEASE, unit_span=40) as place:
        for number in range(120):
            await place.put(kit.patient(number), *(kit.observation(f"{number}-{n}", number) for n in range(8)))
        first = await place.start(level=2)
        units = await place.jobs.units(first.id)
        wanted = await contents(place, await place.finish(first))
        job = replace(first, id="again")
        await place.jobs.add(job, units)
        whole = len(wanted)
        for kill in range(kills):
            target = 1 + whole * kill // kills
            with worker(kit, url, folder) as process:
                deadline = time.monotonic() + 15
                while len(list((folder / job.id).glob("*"))) < target and time.monotonic() < deadline:
                    if (await place.jobs.get(job.id)).state != "running":
                        break
                    await asyncio.sleep(0.001)
                process.kill()
        started = time.monotonic()
        found = await place.finish(job, seconds=10)
        assert time.monotonic() - started < 10
        assert found.state == "complete"
        assert await contents(place, found) == wanted
        patients = [
            str(loads(line)["id"])
            for line in b"".join(data for name, data in wanted.items() if name.startswith("Patient.")).splitlines()
        ]
        assert sorted(patients) == sorted(f"p{number}" for number in range(120))


async def test_killed_workers_change_nothing(kit: Any, tmp_path: Path) -> None:
    await survived(kit, tmp_path, 2)


@pytest.mark.slow
async def test_twenty_killed_workers_change_nothing(kit: Any, tmp_path: Path) -> None:
    await survived(kit, tmp_path, 20)


@pytest.mark.slow
async def test_two_processes_share_one_export(kit: Any, tmp_path: Path) -> None:
    url, folder = f"sqlite:///{tmp_path}/toro.db", tmp_path / "exports"
    async with kit.opened(url, folder, unit_span=20) as place:
        for number in range(160):
            await place.put(*(kit.observation(f"{number}-{n}", number) for n in range(6)))
        first = await place.start()
        units = await place.jobs.units(first.id)
        wanted = await contents(place, await place.finish(first))
        with worker(kit, url, folder) as one, worker(kit, url, folder) as other:
            job = replace(first, id="again")
            await place.jobs.add(job, units)
            deadline = time.monotonic() + 20
            while (found := await place.jobs.get(job.id)).state == "running":
                assert time.monotonic() < deadline
                assert one.poll() is None
                assert other.poll() is None
                await asyncio.sleep(0.02)
        assert await contents(place, found) == wanted
