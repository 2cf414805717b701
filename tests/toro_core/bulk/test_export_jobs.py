"""How the work is cut, shared, broken off, gone on with and swept away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toro_core.bulk.errors import LeaseLost
from toro_core.bulk.files import LocalFiles
from toro_core.bulk.jobs import Jobs
from toro_core.errors import Gone, NotFound, StorageFull
from toro_core.json import loads
from toro_core.storage import Stored, instant
from toro_core.testing.memory import MemoryStorage


async def fill(place: Any, kit: Any, commits: int = 40, each: int = 3) -> list[Stored]:
    stored = []
    for number in range(commits):
        found = [kit.observation(f"{number}-{n}", number, note=[{"text": "x" * 100}]) for n in range(each)]
        stored += await place.put(kit.patient(number), *found)
    return stored


def by_type(stored: list[Stored]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for each in stored:
        found.setdefault(each.key.type, []).append(each.json)
    return found


async def test_files_are_cut_by_size_in_commit_order_and_named_by_type_and_number(place: Any, kit: Any) -> None:
    stored = await fill(place, kit)
    job = await place.export()
    assert await place.lines(job) == by_type(stored)
    assert len([file for file in job.files if file.type == "Observation"]) > 3
    assert all(file.size <= 3000 for file in job.files)
    for name in ("Observation", "Patient"):
        names = [file.name for file in job.files if file.type == name]
        assert names == [f"{name}.{number}.ndjson" for number in range(1, len(names) + 1)]


async def test_only_files_of_the_record_exist_once_it_is_complete(place: Any, kit: Any, tmp_path: Path) -> None:
    await fill(place, kit)
    job = await place.export()
    assert {f"{job.id}/{path.name}" for path in (tmp_path / "exports" / job.id).iterdir()} == {
        file.stored for file in job.files
    }


async def test_units_are_shared_and_make_the_same_as_one(kit: Any, tmp_path: Path) -> None:
    storage = MemoryStorage()
    one = kit.place_on(storage, tmp_path / "one")
    stored = await fill(one, kit)
    shared = [kit.place_on(storage, tmp_path / "many", unit_span=5) for _ in range(3)]
    job = await shared[0].start()
    assert job.units > 4
    async with asyncio.timeout(10):
        while (found := await shared[0].jobs.get(job.id)).state == "running":
            await asyncio.gather(*(place.runner.step() for place in shared))
            await asyncio.sleep(0)
    units = await shared[0].jobs.units(job.id)
    assert len({unit.lease for unit in units}) == len(units)
    assert await shared[0].lines(found) == by_type(stored)


async def test_two_never_hold_a_unit_and_who_lost_it_records_nothing(place: Any, kit: Any) -> None:
    await fill(place, kit, commits=2)
    quick = Jobs(place.storage, lease_seconds=0.05)
    job = await place.start()
    held = await quick.claim(job, 0)
    assert held is not None
    assert await place.jobs.claim(job, 0) is None
    await asyncio.sleep(0.08)
    taken = await place.jobs.claim(job, 0)
    assert taken is not None
    assert taken.unit.lease > held.unit.lease
    for late in (quick.renew(held), quick.save(held, replace(held.unit, done=True))):
        with pytest.raises(LeaseLost):
            await late
    await quick.release(held)  # it is not theirs any more
    assert await quick.claim(job, 0) is None
    assert not (await place.jobs.units(job.id))[0].done


class Slow:
    """A storage whose scans take their time."""

    def __init__(self, storage: Any, pause: float) -> None:
        self._storage = storage
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def scan(self, plan: Any) -> Any:
        async for batch in self._storage.scan(replace(plan, max_bytes=1)):
            yield batch
            await asyncio.sleep(self._pause)


async def test_a_cancelled_export_stops_within_a_second_and_leaves_nothing(kit: Any, tmp_path: Path) -> None:
    place = kit.place_on(Slow(MemoryStorage(), 0.05), tmp_path)
    await fill(place, kit, commits=100)
    job = await place.start()
    async with place.runner.running():
        while not list((tmp_path).glob("*/*")):
            await asyncio.sleep(0.02)
        cancelled = time.monotonic()
        await place.exports.cancel(place.caller, job.id)
        with pytest.raises(NotFound):
            await place.exports.look(place.caller, job.id)
        while time.monotonic() - cancelled < 1:  # who works on it may not know at once
            await asyncio.sleep(0.02)
        assert not list(tmp_path.glob("*"))
        assert not await place.storage.list_state("bulk/")


async def test_what_one_gives_up_another_goes_on_with_at_once(kit: Any, tmp_path: Path) -> None:
    storage = MemoryStorage()
    place = kit.place_on(Slow(storage, 0.01), tmp_path)
    stored = await fill(place, kit)
    job = await place.start()
    async with place.runner.running():
        while not (await place.jobs.units(job.id))[0].files:
            await asyncio.sleep(0.01)
    unit = (await place.jobs.units(job.id))[0]
    assert not unit.done
    other = kit.place_on(storage, tmp_path)
    found = await other.finish(job, seconds=5)
    assert unit.files[0] in [replace(file, name="") for file in found.files]
    assert await other.lines(found) == by_type(stored)
    assert {file.stored.partition("/")[2] for file in found.files} == {
        path.name for path in (tmp_path / job.id).iterdir()
    }


async def test_an_export_under_writes_is_the_model_at_its_time_and_the_next_has_the_rest(place: Any, kit: Any) -> None:
    """Two exports while somebody creates, changes and deletes, against what the answers to those writes say."""
    written: list[Stored] = []
    chance = random.Random(7)  # noqa: S311
    stop = asyncio.Event()

    async def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            known = [each for each in written[-60:] if not each.deleted]
            if number % 5 == 0 and known:
                name = str(chance.choice(known).key)
                with contextlib.suppress(Gone):
                    written.append(await place.delete(name))
            else:
                id_ = number if number % 3 else max(1, number - chance.randint(1, 40))
                written.extend(await place.put(kit.observation(id_, note=[{"text": str(number)}])))
            await asyncio.sleep(0.002)

    def model(seq: int) -> dict[str, Stored]:
        current = {}
        for each in sorted(written, key=lambda each: (each.seq, each.version)):
            if each.seq <= seq:
                current[str(each.key)] = each
        return current

    writer = asyncio.create_task(write())
    while len(written) < 60:
        await asyncio.sleep(0.01)
    first = await place.export()
    known = len(written)
    while len(written) < known + 30:
        await asyncio.sleep(0.01)
    second = await place.export(since=instant(first.at))
    stop.set()
    await writer
    then, now = model(first.seq), model(second.seq)
    assert all(each.at <= first.at for each in then.values())
    assert len(then) > 20
    assert len(now) > len(then)
    lines = await place.lines(first)
    assert sorted(lines["Observation"]) == sorted(each.json for each in then.values() if not each.deleted)
    rest = [each for each in now.values() if each.seq > first.seq]
    lines = await place.lines(second)
    assert sorted(lines["Observation"]) == sorted(each.json for each in rest if not each.deleted)
    bundles: list[Any] = [loads(line) for line in lines.get("deleted", [])]
    told = [entry["request"]["url"] for bundle in bundles for entry in bundle["entry"]]
    assert sorted(told) == sorted(str(each.key) for each in rest if each.deleted)


class Full:
    """Files of a disk that is full."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    def create(self, name: str) -> Any:
        raise StorageFull


async def test_a_failed_export_says_why_and_leaves_no_files(kit: Any, tmp_path: Path) -> None:
    place = kit.place_on(MemoryStorage(), tmp_path, files=Full(LocalFiles(tmp_path)))
    await fill(place, kit, commits=1)
    job = await place.export()
    assert (job.state, job.files) == ("failed", ())
    assert "no space" in job.failure
    assert job.expires is not None
    assert not list(tmp_path.glob("*/*"))


async def test_expired_exports_are_swept_away_but_not_under_a_reader(kit: Any, tmp_path: Path) -> None:
    limits = replace(kit.SMALL, keep=-1.0)
    place = kit.place_on(MemoryStorage(), tmp_path, limits)
    await fill(place, kit, commits=1)
    job = await place.export()
    content = place.exports.content(job, job.files[0], 0, 0)
    first = await anext(content)
    await place.runner.sweep()
    assert await place.jobs.get(job.id) is not None
    assert first
    await content.aclose()
    for record in await place.storage.list_state("bulk/reading/"):
        await place.storage.delete_state(record.key)
    await place.runner.sweep()
    assert await place.jobs.get(job.id) is None
    assert not list(tmp_path.iterdir())
    with pytest.raises(NotFound):
        await place.exports.look(place.caller, job.id)
    with pytest.raises(NotFound):
        [chunk async for chunk in place.exports.content(job, job.files[0], 0, 0)]


async def test_files_of_no_job_are_swept_away_when_they_are_old(kit: Any, tmp_path: Path) -> None:
    place = kit.place_on(MemoryStorage(), tmp_path)
    for name, age in (("old", 7200), ("new", 10)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    await place.runner.sweep()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


async def test_progress_is_told_in_numbers_while_the_work_goes_on(kit: Any, tmp_path: Path) -> None:
    place = kit.place_on(Slow(MemoryStorage(), 0.02), tmp_path, kit.Limits(poll=0.05))
    await fill(place, kit, commits=120)
    job = await place.start()
    seen = []
    async with place.runner.running():
        while (look := await place.exports.look(place.caller, job.id)).job.state == "running":
            seen.append((look.percent, look.resources, look.bytes))
            await asyncio.sleep(0.4)
    middle = [each for each in seen if 0 < each[0] < 100]
    assert middle
    assert all(resources > 0 and size > resources for _, resources, size in middle)
    assert (look.percent, look.resources) == (100, 480)
