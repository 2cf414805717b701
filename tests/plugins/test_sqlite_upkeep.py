"""Backups of a database in use, and what becomes of files that are no such thing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from toro_core.errors import Damaged, StorageBusy, StorageError, Unsupported
from toro_core.moving import tally
from toro_core.search.plan import Reference, SearchPlan
from toro_core.storage import BacksUp, Finds, GivesScratch, Storage, Upgrades
from toro_core.testing.making import TYPE, delete, found, key, write
from toro_sqlite import open_sqlite
from toro_sqlite.schema import _MIGRATIONS, SCHEMA_VERSION
from toro_sqlite.upkeep import SqliteUpkeep

CARE = SqliteUpkeep()


def test_it_offers_every_upkeep() -> None:
    assert isinstance(CARE, Finds)
    assert isinstance(CARE, Upgrades)
    assert isinstance(CARE, BacksUp)
    assert isinstance(CARE, GivesScratch)


async def _write(storage: Storage, name: str, stop: asyncio.Event) -> int:
    number = 0
    while not stop.is_set():
        await storage.commit([write(f"{name}{number}", note="x" * 2000), write(name, note=str(number))])
        if number % 5 == 4:
            await storage.commit([delete(f"{name}{number}")])
        number += 1
    return number


async def test_a_backup_under_writes_is_one_moment_and_restores_to_the_same(tmp_path: Path) -> None:
    url, file, again = f"sqlite:///{tmp_path}/toro.db", tmp_path / "backup", f"sqlite:///{tmp_path}/restored.db"
    async with open_sqlite(url) as storage:
        stop = asyncio.Event()
        writers = [asyncio.create_task(_write(storage, name, stop)) for name in "abcd"]
        while len(await storage.list_state("")) < 1:
            await asyncio.sleep(0.3)
            await storage.put_state("auth/client/x", b"{}")
        await CARE.backup(url, file)
        at_least = (await storage.watermark()).seq
        await asyncio.sleep(0.1)
        stop.set()
        assert min(await asyncio.gather(*writers)) > 1
        await CARE.restore(file, again)
        async with open_sqlite(again) as restored:
            last = (await restored.watermark()).seq
            assert 0 < last <= at_least
            ours, theirs = await tally(storage, up_to=last), await tally(restored, up_to=last)
            assert ours == theirs
            assert ours["Observation"].tombstones
            assert (await restored.get_state("auth/client/x")) is not None
            # More was written since, and the restored one goes its own way.
            assert sum(one.versions for one in (await tally(storage)).values()) > ours["Observation"].versions
            await restored.commit([write("own")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "restored.db", "toro.db"]
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_backup_that_is_given_up_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/toro.db"
    async with open_sqlite(url) as storage:
        await storage.commit([write(f"a{number}", note="x" * 20_000) for number in range(1_000)])
        task = asyncio.create_task(CARE.backup(url, tmp_path / "backup"))
        while not (tmp_path / "backup.partial").exists():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not list(tmp_path.glob("backup*"))


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/toro.db"
    async with open_sqlite(url) as storage:
        await storage.commit([write("a")])
    (tmp_path / "there").write_text("mine")
    with pytest.raises(Unsupported, match="there exists"):
        await CARE.backup(url, tmp_path / "there")
    await CARE.backup(url, tmp_path / "backup")
    with pytest.raises(Unsupported, match=r"toro[.]db exists"):
        await CARE.restore(tmp_path / "backup", url)
    assert (tmp_path / "there").read_text() == "mine"


async def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path}/target.db"
    (tmp_path / "text").write_text("not a database" * 1000)
    (tmp_path / "empty").touch()
    with closing(sqlite3.connect(tmp_path / "other")) as connection:
        connection.execute("CREATE TABLE schema (version INTEGER)")
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        await storage.commit([write(f"r{n}", note="x" * 500) for n in range(500)])
    data = bytearray((tmp_path / "toro.db").read_bytes())
    data[8192 * 30 : 8192 * 40] = b"\xa5" * 8192 * 10
    (tmp_path / "torn").write_bytes(data)
    for name, error in (
        ("text", Damaged),
        ("torn", Damaged),
        ("empty", Unsupported),
        ("other", Unsupported),
        ("gone", StorageBusy),
    ):
        with pytest.raises(error):
            await CARE.restore(tmp_path / name, target)
        assert not [path for path in tmp_path.iterdir() if path.name.startswith("target.db")], name


FIXTURES = sorted(Path(__file__).parent.glob("schema_*.sql"))


def _make(fixture: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(fixture.read_text())


def test_every_schema_but_the_newest_has_a_fixture() -> None:
    assert [path.name for path in FIXTURES] == [f"schema_{number}.sql" for number in range(1, SCHEMA_VERSION)]


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
async def test_an_older_schema_is_opened_after_an_upgrade_and_not_before(fixture: Path, tmp_path: Path) -> None:
    url, number = f"sqlite:///{tmp_path}/toro.db", int(fixture.stem.removeprefix("schema_"))
    _make(fixture, tmp_path / "toro.db")
    assert await CARE.schema(url) == (number, SCHEMA_VERSION)
    with pytest.raises(Unsupported, match=rf"schema {number} .* needs {SCHEMA_VERSION}; .*toro storage upgrade"):
        async with open_sqlite(url):
            pass
    assert await CARE.schema(url) == (number, SCHEMA_VERSION)
    await CARE.backup(url, tmp_path / "backup")
    await CARE.upgrade(url)
    await CARE.upgrade(url)
    assert await CARE.schema(url) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert await CARE.schema(f"sqlite:///{tmp_path}/backup") == (number, SCHEMA_VERSION)
    async with open_sqlite(url) as storage:
        assert {name: (one.versions, one.tombstones, one.current) for name, one in (await tally(storage)).items()} == {
            "Observation": (6, 1, 3),
            "Patient": (2, 0, 2),
        }
        plan = SearchPlan(type=TYPE, criterion=Reference(param="subject", type="Patient", id="p0"))
        assert await found(storage, plan) == {"o0", "o2"}
        await storage.commit([delete("o0")])
        assert await found(storage, plan) == {"o2"}
        assert (await storage.read(key("o1"))).version == 2
    async with open_sqlite(f"sqlite:///{tmp_path}/fresh.db"), open_sqlite(url):
        assert _tables(tmp_path / "toro.db") == _tables(tmp_path / "fresh.db")


def _tables(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")}


async def test_an_upgrade_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/toro.db"
    _make(FIXTURES[0], tmp_path / "toro.db")
    before = _tables(tmp_path / "toro.db")
    with pytest.MonkeyPatch.context() as patch:
        broken = (*_MIGRATIONS[:-1], ("CREATE TABLE half (x)", "CREATE TABLE half (x)"))
        patch.setattr("toro_sqlite.schema._MIGRATIONS", broken)
        with pytest.raises(StorageError):
            await CARE.upgrade(url)
    assert _tables(tmp_path / "toro.db") == before
    assert await CARE.schema(url) == (1, SCHEMA_VERSION)
    await CARE.upgrade(url)


async def test_a_scratch_area_lies_beside_the_database_and_is_gone_afterwards(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data/toro.db"
    async with CARE.scratch(url) as scratch:
        async with open_sqlite(scratch) as storage:
            await storage.commit([write("a")])
        assert len(list((tmp_path / "data").iterdir())) == 1
    assert list((tmp_path / "data").iterdir()) == []
