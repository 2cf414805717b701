"""Moving everything between storages, in process."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from toro_core.definitions import load
from toro_core.errors import StorageBusy, ToroError, Unsupported
from toro_core.json import JsonObject, dumps
from toro_core.moving import differences, migrate, same_state, tally
from toro_core.moving.migrating import NothingToMove, TargetNotEmpty
from toro_core.plugins import open_storage
from toro_core.resources import body
from toro_core.search.extract import Extractor
from toro_core.search.indexed import settle
from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import Key, Loading, Rows, Storage, Stored, Write
from toro_core.testing.memory import MemoryStorage

EXTRACTOR = Extractor(load(), ())
FINAL = SearchPlan(type="Observation", criterion=Token(param="status", code="final"))


def write(id: str, status: str = "final", type_: str = "Observation") -> Write:
    resource: JsonObject = {"resourceType": type_, "id": id, "status": status}
    if type_ == "Patient":
        del resource["status"]
    return Write(key=Key(type_, id), body=body(resource, id), rows=EXTRACTOR.rows(resource))


async def fill(storage: Storage) -> None:
    """Write resources with versions and tombstones, and state records."""
    for number in range(20):
        await storage.commit([write(f"o{number}", "preliminary"), write(f"p{number}", type_="Patient")])
    await storage.commit([write(f"o{number}") for number in range(10)])
    await storage.commit([Write(key=Key("Patient", "p3"), body=None), Write(key=Key("Observation", "o3"), body=None)])
    await storage.commit([write("o3"), write("o3", "amended")])
    await storage.put_state("auth/client/one", b"{}")
    await storage.put_state("auth/jti/short", b"{}", ttl=3600)
    await settle(storage, EXTRACTOR)


def nothing(place: int, done: int) -> None:
    pass


async def check(source: Storage, target: Storage) -> None:
    ours, theirs = await tally(source), await tally(target)
    assert ours == theirs
    assert await same_state(source, target)
    assert [one.key.id for one in (await target.search(FINAL)).resources] == [
        one.key.id for one in (await source.search(FINAL)).resources
    ]
    record = await target.get_state("auth/jti/short")
    assert record is not None
    assert record.expires_at is not None
    assert 3500_000 < record.expires_at - time.time() * 1000 <= 3600_000


async def test_everything_moves_and_both_sides_are_equal(tmp_path: Path) -> None:
    async with (
        open_storage(f"sqlite:///{tmp_path}/a.db") as source,
        open_storage(f"sqlite:///{tmp_path}/b.db") as target,
    ):
        await fill(source)
        told: list[tuple[int, int]] = []
        moved = await migrate(source, target, EXTRACTOR, lambda *at: told.append(at))
        assert moved == 54
        assert told[-1][1] == 54
        await check(source, target)
        counts = await tally(target)
        assert {name: (one.versions, one.tombstones, one.current) for name, one in counts.items()} == {
            "Observation": (33, 1, 20),
            "Patient": (21, 1, 19),
        }
        assert await target.count(FINAL) == 9
        # Writing goes on, and nothing is pending there.
        extractor = Extractor(load(), ())
        await settle(target, extractor)
        assert extractor.pending == {}
        [after] = await target.commit([write("o3")])
        assert after.version == 6


async def test_back_and_forth_it_ends_where_it_began(tmp_path: Path) -> None:
    async with open_storage(f"sqlite:///{tmp_path}/a.db") as first, open_storage(f"sqlite:///{tmp_path}/b.db") as last:
        memory = MemoryStorage()
        await fill(first)
        await migrate(first, memory, EXTRACTOR, nothing)
        await migrate(memory, last, EXTRACTOR, nothing)
        await check(first, last)


async def test_a_target_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    source, target, stateful = MemoryStorage(), MemoryStorage(), MemoryStorage()
    await fill(source)
    await target.commit([write("own")])
    await stateful.put_state("auth/client/own", b"{}")
    for each in (target, stateful):
        with pytest.raises(TargetNotEmpty):
            await migrate(source, each, EXTRACTOR, nothing)
    with pytest.raises(TargetNotEmpty, match="something else"):
        await migrate(source, target, EXTRACTOR, nothing, resume=True)
    assert [one.versions for one in (await tally(target)).values()] == [1]
    assert await target.list_state("") == []


async def test_a_storage_that_cannot_is_named() -> None:
    with pytest.raises(Unsupported, match="the source storage cannot be migrated: it does not declare ordered_changes"):
        await migrate(MemoryStorage(without=["ordered_changes"]), MemoryStorage(), EXTRACTOR, nothing)
    with pytest.raises(Unsupported, match="the target storage cannot be migrated: it does not declare history"):
        await migrate(MemoryStorage(), MemoryStorage(without=["history"]), EXTRACTOR, nothing)


class Stops(MemoryStorage):
    """Takes over so many loads, and so many state records, and then fails."""

    def __init__(self, loads: int, states: int) -> None:
        super().__init__()
        self.loads, self.states = loads, states

    async def load(self, versions: Sequence[Loading]) -> None:
        self.loads -= 1
        if self.loads < 0:
            raise StorageBusy
        await super().load(versions)

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        self.states -= 1
        if self.states < 0:
            raise StorageBusy
        return await super().put_state(key, value, if_revision=if_revision, ttl=ttl)


@pytest.mark.parametrize(("loads", "states"), [(0, 0), (1, 0), (7, 0), (99, 0), (99, 1), (99, 2)])
async def test_it_goes_on_where_it_was_stopped(loads: int, states: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toro_core.moving.migrating._BATCH_BYTES", 1)
    source, target = MemoryStorage(), Stops(loads, states)
    await fill(source)
    with pytest.raises(StorageBusy):
        await migrate(source, target, EXTRACTOR, nothing)
    there = sum(one.versions for one in (await tally(target)).values())
    target.loads = target.states = 10**6
    moved = await migrate(source, target, EXTRACTOR, nothing, resume=True)
    assert moved == 54 - there
    await check(source, target)


async def test_what_an_earlier_version_indexed_is_indexed_again() -> None:
    class Forgets(Extractor):
        def rows(self, resource: JsonObject) -> Rows:
            return super().rows({**resource, "status": "lost"})

    source, target = MemoryStorage(), Stops(99, 0)
    await fill(source)
    with pytest.raises(StorageBusy):
        await migrate(source, target, Forgets(load(), ()), nothing)
    assert await target.count(FINAL) == 0
    target.states = 99
    await migrate(source, target, EXTRACTOR, nothing, resume=True)
    assert await target.count(FINAL) == 9


class Busy(MemoryStorage):
    """Is written to while its changes are read."""

    writes = 3

    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        async for batch in super().changes(after):
            yield batch
            if self.writes:
                self.writes -= 1
                await self.commit([write("o1", "amended"), write(f"late{self.writes}")])


async def test_what_is_written_meanwhile_is_moved_too() -> None:
    source, target = Busy(), MemoryStorage()
    await fill(source)
    await migrate(source, target, EXTRACTOR, nothing)
    await check(source, target)
    assert "late0" in {one.key.id for one in (await target.search(FINAL)).resources}


@pytest.mark.parametrize("target", ["ndjson", "sqlite"])
async def test_a_moment_is_moved_and_indexed_whatever_is_written_meanwhile(target: str, tmp_path: Path) -> None:
    async with open_storage(f"{target}:///{tmp_path}/copy.db") as copy:
        source = Busy()
        source.writes = 0
        await fill(source)
        end = (await source.watermark()).seq
        expected, found = await tally(source, up_to=end), [one.json for one in (await source.search(FINAL)).resources]
        source.writes = 3
        await migrate(source, copy, EXTRACTOR, nothing, up_to=end)
        assert await tally(source) != expected
        assert await tally(copy, up_to=end + 10**6) == expected
        assert [one.json for one in (await copy.search(FINAL)).resources] == found


async def test_an_empty_source_is_refused() -> None:
    with pytest.raises(NothingToMove):
        await migrate(MemoryStorage(), MemoryStorage(), EXTRACTOR, nothing)


async def test_a_warm_start_is_finished_after_more_was_written() -> None:
    source, target = MemoryStorage(), MemoryStorage()
    await fill(source)
    await migrate(source, target, EXTRACTOR, nothing, finish=False)
    assert await target.list_state("") == []
    await source.commit([write("o1", "amended"), write("late")])
    await source.put_state("auth/client/late", b"{}")
    assert await migrate(source, target, EXTRACTOR, nothing, resume=True) == 2
    await check(source, target)


async def test_what_cannot_be_indexed_is_named_and_not_quoted() -> None:
    source = MemoryStorage()
    resource: JsonObject = {"resourceType": "Patient", "id": "odd", "name": "Jane"}
    await source.commit([Write(key=Key("Patient", "odd"), body=body(resource, "odd"))])
    with pytest.raises(ToroError, match="Patient/odd version 1 cannot be indexed") as error:
        await migrate(source, MemoryStorage(), EXTRACTOR, nothing)
    assert "Jane" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"json": dumps({"resourceType": "Observation", "id": "o1"})},
        {"at": 1},
        {"version": 9},
        {"seq": 999},
        {"deleted": True},
        {"key": Key("Observation", "other")},
    ],
)
async def test_every_change_of_a_version_is_a_difference(change: dict[str, object]) -> None:
    class Alters(MemoryStorage):
        async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
            async for batch in super().changes(after):
                yield [one._replace(**change) if one.key.id == "o1" else one for one in batch]  # type: ignore[arg-type]

    source, target = MemoryStorage(), Alters()
    await fill(source)
    await migrate(source, target, EXTRACTOR, nothing)
    assert [one.type for one in differences(await tally(source), await tally(target))] == ["Observation"]


async def test_a_record_of_the_server_that_is_missing_or_other_is_a_difference() -> None:
    source, target = MemoryStorage(), MemoryStorage()
    await fill(source)
    await migrate(source, target, EXTRACTOR, nothing)
    await target.put_state("auth/client/one", b"{1}")
    assert not await same_state(source, target)
    await target.delete_state("auth/client/one")
    assert not await same_state(source, target)
