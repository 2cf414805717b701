"""Versions of many resources in commit order: histories of types, the feed of changes, scans, the watermark."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from toro_core.errors import Unsupported
from toro_core.lines import lines
from toro_core.storage import HistoryPlan, Key, Lines, ScanPlan, Storage, Stored
from toro_core.testing.making import delete, key, put, write

__all__ = ["FeedConformance", "collect", "commits"]


async def collect(batches: AsyncIterator[Sequence[Stored]]) -> list[Stored]:
    """Return all that a scan or a feed yields."""
    return [stored async for batch in batches for stored in batch]


async def commits(storage: Storage) -> list[Stored]:
    """Commit versions of several types: created, replaced, deleted, several in one commit."""
    return [
        stored
        for commit in (
            [write("a"), write("p", type="Patient")],
            [write("b", note="1")],
            [write("a", note="2"), write("b", note="2"), write("a", note="3")],
            [delete("p", type="Patient")],
            [write("c"), delete("b")],
            [write("p", type="Patient", note="again")],
        )
        for stored in await put(storage, commit)
    ]


class FeedConformance:
    """What `scan`, `changes`, `watermark` and `history` without a key promise."""

    async def test_the_history_of_types_and_of_all_is_newest_first(self, storage: Storage) -> None:
        stored = await commits(storage)
        if not {"history", "ordered_changes"} <= storage.capabilities:
            with pytest.raises(Unsupported):
                await storage.history(HistoryPlan())
            return
        for types in ((), ("Patient",), ("Observation", "Patient"), ("Encounter",)):
            expected = [each for each in reversed(stored) if not types or each.key.type in types]
            assert await _pages(storage, HistoryPlan(types=types, limit=2)) == expected
            assert await _pages(storage, HistoryPlan(types=types, max_bytes=1)) == expected

    async def test_a_history_may_be_narrowed_to_a_time(self, storage: Storage) -> None:
        if not {"history", "ordered_changes"} <= storage.capabilities:
            return
        stored: list[Stored] = []
        for note in range(5):
            stored += await storage.commit([write("a", note=str(note)), write("b", note=str(note))])
            await asyncio.sleep(0.003)
        stored += await storage.commit([delete("a")])
        times = sorted({each.at for each in stored})
        ends = {each: after.at for each in stored for after in stored if _follows(each, after)}
        for at in (times[0] - 1, *times, times[-1] + 1):
            for key_ in (None, key("a")):
                of_key = [each for each in reversed(stored) if key_ in (None, each.key)]
                plan = HistoryPlan(key=key_, limit=3)
                assert await _pages(storage, replace(plan, since=at)) == [each for each in of_key if each.at >= at]
                assert await _pages(storage, replace(plan, until=at)) == [each for each in of_key if each.at < at]
                current = [each for each in of_key if ends.get(each, at + 1) > at]
                assert await _pages(storage, replace(plan, current_after=at)) == current

    async def test_changes_are_every_version_in_commit_order(self, storage: Storage) -> None:
        if "ordered_changes" not in storage.capabilities:
            with pytest.raises(Unsupported):
                await collect(storage.changes(0))
            return
        assert await collect(storage.changes(0)) == []
        stored = await commits(storage)
        assert await collect(storage.changes(0)) == stored
        for seq in sorted({each.seq for each in stored}):
            assert await collect(storage.changes(seq)) == [each for each in stored if each.seq > seq]

    async def test_a_batch_is_whole_commits(self, storage: Storage) -> None:
        if not {"ordered_changes", "snapshot_scan"} <= storage.capabilities:
            return
        for commit in range(4):
            await storage.commit([write(f"{commit}-{n}", note="x" * 1000) for n in range(5)])
        watermark = await storage.watermark()
        plan = ScanPlan(as_of=watermark.seq, max_bytes=1500)
        for batches in ([batch async for batch in storage.scan(plan)], [batch async for batch in storage.changes(0)]):
            seqs = [{stored.seq for stored in batch} for batch in batches]
            assert sum(map(len, seqs)) == 4, "no commit is in two batches"
        assert max([len(batch) async for batch in storage.scan(plan)]) < 20, "a batch is about as large as asked for"

    async def test_changes_that_come_while_many_write_miss_nothing(self, storage: Storage) -> None:
        if "ordered_changes" not in storage.capabilities:
            return
        stored: list[Stored] = []

        async def writer(name: str) -> None:
            for n in range(15):
                stored.extend(await storage.commit([write(f"{name}-{n}"), write(name, note=str(n))]))

        writing = asyncio.gather(*(writer(f"w{n}") for n in range(4)))
        seen: list[Stored] = []
        done = False
        while not done:
            done = writing.done()
            seen += await collect(storage.changes(seen[-1].seq if seen else 0))
            await asyncio.sleep(0)
        await writing
        seen += await collect(storage.changes(seen[-1].seq))
        assert [each.seq for each in seen] == sorted(each.seq for each in seen)
        assert sorted(seen) == sorted(stored)

    async def test_a_scan_sees_what_was_current_at_its_sequence(self, storage: Storage) -> None:
        stored = await commits(storage)
        if "snapshot_scan" not in storage.capabilities:
            with pytest.raises(Unsupported):
                await collect(storage.scan(ScanPlan(as_of=stored[-1].seq)))
            return
        for seq in (0, *sorted({each.seq for each in stored})):
            for types in ((), ("Patient",)):
                current: dict[Key, Stored] = {each.key: each for each in stored if each.seq <= seq}
                expected = [
                    each for each in stored if each in current.values() and (not types or each.key.type in types)
                ]
                assert await collect(storage.scan(ScanPlan(as_of=seq, types=types, max_bytes=1))) == expected
        await storage.commit([write("a", note="later"), write("z")])
        plan = ScanPlan(as_of=stored[-1].seq)
        assert [each.key.id for each in await collect(storage.scan(plan))] == ["a", "c", "b", "p"]

    async def test_a_scan_may_be_cut_into_parts(self, storage: Storage) -> None:
        if "snapshot_scan" not in storage.capabilities:
            return
        stored = await commits(storage)
        whole = ScanPlan(as_of=stored[-1].seq)
        everything = await collect(storage.scan(whole))
        for seq in sorted({each.seq for each in stored}):
            first, second = replace(whole, up_to=seq), replace(whole, after=seq)
            assert await collect(storage.scan(first)) + await collect(storage.scan(second)) == everything
            assert all(each.seq <= seq for each in await collect(storage.scan(first)))
        for at in sorted({each.at for each in stored}):
            expected = [each for each in everything if each.at > at]
            assert await collect(storage.scan(replace(whole, since=at))) == expected

    async def test_a_scan_goes_on_as_it_began_whatever_is_written_meanwhile(self, storage: Storage) -> None:
        if "snapshot_scan" not in storage.capabilities:
            return
        for n in range(20):
            await storage.commit([write(f"{n}", note="x" * 100)])
        watermark = await storage.watermark()
        expected = await collect(storage.scan(ScanPlan(as_of=watermark.seq)))
        seen: list[Stored] = []
        async for batch in storage.scan(ScanPlan(as_of=watermark.seq, max_bytes=1)):
            seen += batch
            await storage.commit([write(f"{len(seen)}", note="changed"), write(f"new-{len(seen)}")])
            await storage.commit([delete(f"{len(seen)}")])
        assert seen == expected

    async def test_lines_are_the_json_that_a_scan_yields(self, storage: Storage) -> None:
        if "snapshot_scan" not in storage.capabilities:
            return
        stored = await commits(storage)
        await storage.commit([write(f"{n}", type=("Observation", "Patient")[n % 2]) for n in range(8)])
        whole = ScanPlan(as_of=stored[-1].seq)
        await storage.commit([write("a", note="later"), delete("p", type="Patient")])
        plans = [replace(whole, as_of=each.seq, max_bytes=1) for each in stored]
        plans += [replace(whole, types=types) for types in (("Patient",), ("Patient", "Observation"), ("Encounter",))]
        plans += [replace(whole, after=each.seq) for each in stored] + [
            replace(whole, up_to=each.seq) for each in stored
        ]
        plans += [replace(whole, since=each.at) for each in stored]
        plans.append(replace(whole, as_of=(await storage.watermark()).seq))
        for plan in plans:
            found: dict[str, list[bytes]] = {}
            async for batch in lines(storage, plan):
                for some in batch.lines:
                    found.setdefault(some.type, []).extend(_parted(some))
                so_far = await collect(storage.scan(replace(plan, up_to=batch.seq)))
                assert found == _by_type(so_far), "a batch is whole commits, up to its sequence"
            assert found == _by_type(await collect(storage.scan(plan)))

    async def test_the_watermark_parts_what_is_there_from_what_comes(self, storage: Storage) -> None:
        if not {"ordered_changes", "snapshot_scan"} & storage.capabilities:
            with pytest.raises(Unsupported):
                await storage.watermark()
            return
        await storage.watermark()
        for n in range(10):
            [before] = await storage.commit([write("a", note=str(n))])
            watermark = await storage.watermark()
            [after] = await storage.commit([write("a")])
            assert before.seq <= watermark.seq < after.seq
            assert before.at <= watermark.at < after.at


def _parted(some: Lines) -> list[bytes]:
    parted = [some.json] if some.resources == 1 else some.json.split(b"\n")
    assert len(parted) == some.resources
    return parted


def _by_type(versions: Sequence[Stored]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for stored in versions:
        if not stored.deleted:
            found.setdefault(stored.key.type, []).append(stored.json)
    return found


async def _pages(storage: Storage, plan: HistoryPlan) -> list[Stored]:
    found: list[Stored] = []
    while True:
        page = await storage.history(plan)
        assert len(page.resources) <= plan.limit
        found += page.resources
        if page.cursor is None:
            return found
        assert page.resources
        plan = replace(plan, cursor=page.cursor)


def _follows(before: Stored, after: Stored) -> bool:
    return before.key == after.key and before.version + 1 == after.version
