from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from toro_core.errors import Damaged, StorageBusy, StorageFull, TooCostly, Unsupported
from toro_core.plugins import open_storage
from toro_core.search.plan import AllOf, AnyOf, Ids, Not, Period, SearchPlan, SortKey, Text, Token
from toro_core.storage import (
    Body,
    DateRow,
    GivesLines,
    Lines,
    OrderRow,
    ReferenceRow,
    Rows,
    ScanPlan,
    Storage,
    StringRow,
    TokenRow,
)
from toro_core.testing import StorageConformance
from toro_core.testing.making import TYPE, create, delete, found, key, walk, write
from toro_sqlite import open_sqlite


class TestSqlite(StorageConformance):
    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
            yield storage

    @pytest.fixture
    def url(self, tmp_path: Path) -> Iterator[str]:
        path = tmp_path / "again.db"
        yield f"sqlite:///{path}"
        if not (tmp_path / "damaged").exists():
            connection = sqlite3.connect(path)
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()

    @pytest.fixture
    def damage(self, tmp_path: Path) -> Callable[[], None]:
        def overwrite_pages() -> None:
            path = tmp_path / "again.db"
            data = bytearray(path.read_bytes())
            data[8192 * 2 :] = b"\xa5" * len(data[8192 * 2 :])
            path.write_bytes(data)
            (tmp_path / "damaged").touch()

        return overwrite_pages


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_plugin_is_found_by_its_scheme(tmp_path: Path) -> None:
    async with open_storage(f"sqlite:///{tmp_path}/toro.db") as storage:
        await storage.commit([write("a")])
        assert (await storage.read(key("a"))).version == 1


async def test_files_and_new_folders_are_the_owners_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "new" / "er" / "toro.db"
    async with open_sqlite(f"sqlite:///{path}") as storage:
        await storage.commit([write("a")])
        files = {each.name: _mode(each) for each in path.parent.iterdir()}
        assert files == {"toro.db": 0o600, "toro.db-wal": 0o600, "toro.db-shm": 0o600}
        assert [_mode(path.parent), _mode(path.parent.parent), _mode(tmp_path)] == [0o700, 0o700, 0o755]


async def test_closing_leaves_one_file(tmp_path: Path) -> None:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        await storage.commit([write("a")])
    assert [each.name for each in tmp_path.iterdir()] == ["toro.db"]


async def test_three_slashes_are_relative_and_four_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_sqlite("sqlite:///folder/relative 1%20?#.db"):
        pass
    async with open_sqlite(f"sqlite:////{str(tmp_path).lstrip('/')}/absolute.db"):
        pass
    assert sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*.db")) == [
        "absolute.db",
        "folder/relative 1%20?#.db",
    ]


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite://toro.db", "sqlite:///:memory:", "sqlite:///folder/"]
)
async def test_a_url_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(Unsupported, match=r"sqlite:///toro[.]db"):
        async with open_sqlite(url):
            pass


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/toro.db"
    async with open_sqlite(url):
        pass
    with sqlite3.connect(tmp_path / "toro.db") as connection:
        connection.execute("INSERT INTO schema VALUES (99, 'later')")
    connection.close()
    with pytest.raises(Unsupported, match=r"schema 99.*upgrade toro-fhir"):
        async with open_sqlite(url):
            pass


async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE schema (version INTEGER)")
    connection.close()
    with pytest.raises(Unsupported, match="another program"):
        async with open_sqlite(f"sqlite:///{tmp_path}/other.db"):
            pass
    with sqlite3.connect(tmp_path / "other.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("schema",)]
    connection.close()


async def test_what_is_not_a_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(Damaged):
        async with open_sqlite(f"sqlite:///{tmp_path}/text.db"):
            pass


async def test_a_lock_that_is_not_released_is_said_to_be_busy(tmp_path: Path) -> None:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db", lock_seconds=0.05) as storage:
        other = sqlite3.connect(tmp_path / "toro.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(*(storage.commit([write(f"r{n}")]) for n in range(5)), return_exceptions=True)
        assert all(isinstance(each, StorageBusy) for each in results)
        assert await found(storage, SearchPlan(type=TYPE)) == set()
        other.execute("ROLLBACK")
        other.close()
        await storage.commit([write("a")])
        assert await found(storage, SearchPlan(type=TYPE)) == {"a"}


async def test_a_full_disk_writes_nothing_and_harms_no_commit_beside_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/toro.db"
    async with open_sqlite(url, max_bytes=2_000_000) as storage:
        await storage.commit([write("before")])
        large = [write(f"large{n}", note="x" * 100_000) for n in range(40)]
        good = [storage.commit([write(f"good{n}")]) for n in range(8)]
        results = await asyncio.gather(*good[:4], storage.commit(large), *good[4:], return_exceptions=True)
        assert [type(each) for each in results if isinstance(each, BaseException)] == [StorageFull]
        expected = {"before", *(f"good{n}" for n in range(8))}
        assert await found(storage, SearchPlan(type=TYPE)) == expected
        assert await storage.read_many([each.key for each in large]) == [None] * 40
        await storage.commit([write("after")])
    async with open_sqlite(url) as storage:
        assert await found(storage, SearchPlan(type=TYPE)) == expected | {"after"}
        await storage.commit(large)
        assert await storage.count(SearchPlan(type=TYPE)) == 50


def _slow(alternatives: int) -> SearchPlan:
    """Ask each resource thousands of questions no list answers."""
    texts = tuple(Text(param="name", value=f"z{n}") for n in range(alternatives))
    return SearchPlan(type=TYPE, criterion=Not(Not(AnyOf(texts))))


async def test_a_long_search_leaves_the_loop_to_others_and_stops_with_its_caller(tmp_path: Path) -> None:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        rows = Rows(strings=(StringRow("name", "a", "a"),))
        await create(storage, {f"r{n}": rows for n in range(4000)})
        task = asyncio.create_task(storage.count(_slow(4000)))
        slowest = 0.0
        for _ in range(30):
            started = time.monotonic()
            await asyncio.sleep(0.005)
            await storage.read(key("r1"))
            slowest = max(slowest, time.monotonic() - started)
        assert not task.done()
        assert slowest < 0.5
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        started = time.monotonic()
    assert time.monotonic() - started < 1.5
    with pytest.raises(StorageBusy, match="closed"):
        await storage.read(key("r1"))
    with pytest.raises(StorageBusy, match="closed"):
        await storage.commit([write("late")])


async def test_what_overran_on_the_loop_is_answered_by_a_thread(tmp_path: Path) -> None:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        names = {f"r{n}": Rows(strings=(StringRow("name", f"z{n}", "Z"),)) for n in range(600)}
        await create(storage, names)
        await storage.commit([delete("r7")])
        plans = [storage.count(_slow(900)) for _ in range(6)]
        assert await asyncio.gather(*plans) == [599] * 6


async def test_what_stops_a_search_stops_nothing_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stopped at the first step, whatever statement that is.
    monkeypatch.setattr("toro_sqlite.readers._INLINE_STEPS", 1)
    monkeypatch.setattr("toro_sqlite.readers._INLINE_SECONDS", -1.0)
    monkeypatch.setattr("toro_sqlite.readers._THREAD_STEPS", 1)
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        await create(storage, {f"r{n}": Rows() for n in range(200)})
        for _ in range(10):
            task = asyncio.create_task(storage.count(SearchPlan(type=TYPE, criterion=AnyOf((AllOf(()),)))))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert (await storage.read(key("r1"))).version == 1
            assert await storage.count(SearchPlan(type=TYPE)) == 200


@pytest.mark.parametrize(
    ("few", "small", "sortable", "merged", "many"),
    [(2, 5, 8, 64, 64), (2, 3, 4, 2, 1), (1, 1, 1, 64, 1), (1, 0, 0, 1, 1)],
)
async def test_every_way_to_the_answer_is_the_same_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int, small: int, sortable: int, merged: int, many: int
) -> None:
    # The suite's sixty resources are few; with these bounds they are many.
    monkeypatch.setattr("toro_sqlite.driver._FEW", few)
    monkeypatch.setattr("toro_sqlite.driver._SMALL", small)
    monkeypatch.setattr("toro_sqlite.driver._SORTABLE", sortable)
    monkeypatch.setattr("toro_sqlite.driver._MERGED", merged)
    monkeypatch.setattr("toro_sqlite.joins._FEW", few)
    monkeypatch.setattr("toro_sqlite.matching._CAPS", (few, small))
    monkeypatch.setattr("toro_sqlite.nodes._PROBED", many)
    monkeypatch.setattr("toro_sqlite.starts._LOOKED", many)
    monkeypatch.setattr("toro_sqlite.walks._CURSORS", many if merged == 1 else 8)
    monkeypatch.setattr("toro_sqlite.query._MANY", many)
    monkeypatch.setattr("toro_sqlite.texts._MANY", many)
    monkeypatch.setattr("toro_sqlite.texts._APART", many)
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        await StorageConformance().test_any_plan_finds_and_orders_as_the_reference_says(storage, 100 + small)


async def test_more_values_than_a_statement_takes_are_too_costly(tmp_path: Path) -> None:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        await create(storage, {"a": Rows(strings=(StringRow("name", "a", "a"),), dates=(DateRow("date", 0, 9),))})
        dates = tuple(Period(param="date", prefix="eq", low=n, high=n + 1) for n in range(20_000))
        with pytest.raises(TooCostly, match="ask for fewer alternatives"):
            await storage.search(SearchPlan(type=TYPE, criterion=AnyOf(dates)))
        assert await found(storage, _slow(5_000)) == set()


async def test_a_reference_sorts_by_its_targets_name_whether_that_is_stored_or_not(tmp_path: Path) -> None:
    def rows(*names: str) -> Rows:
        targets = [name.split("/") for name in names]
        return Rows(
            references=tuple(ReferenceRow("subject", type, id, "") for type, id in targets),
            orders=(OrderRow("subject", min(names), max(names)),),
            tokens=(TokenRow("tag", "", "x"),),
        )

    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        await create(storage, {"1": Rows()}, type="Patient")
        await create(
            storage, {"c": rows("Patient/2"), "b": rows("Patient/1", "Patient/9"), "a": rows("Group/7"), "none": Rows()}
        )
        for descending, expected in ((False, ["a", "b", "c", "none"]), (True, ["b", "c", "a", "none"])):
            for criterion in (AllOf(()), AnyOf((Token(param="tag", code="x"), Ids(ids=("none",))))):
                sort = SortKey(param="subject", descending=descending)
                for limit in (1, 3, 50):
                    plan = SearchPlan(type=TYPE, criterion=criterion, sort=(sort,), limit=limit)
                    assert await walk(storage, plan) == expected


async def test_many_versions_keep_one_set_of_index_rows(tmp_path: Path) -> None:
    path = tmp_path / "toro.db"
    async with open_sqlite(f"sqlite:///{path}") as storage:
        rows = Rows(strings=(StringRow("name", "a", "a"), StringRow("name", "b", "b")), compartments=("1",))
        for n in range(20):
            await create(storage, {"a": Rows(sort=n, strings=rows.strings, compartments=rows.compartments)})
        connection = sqlite3.connect(path)
        tables = ("token", "reference", "uri", "date", "string", "ordering")
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608
        assert counts == [0, 1, 0, 0, 2, 0]
        await storage.commit([delete("a")])
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608
        assert counts == [0] * 6
        connection.close()


async def test_a_long_row_of_deletions_is_read_in_batches_too(tmp_path: Path) -> None:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        for n in range(40):
            await storage.commit([write(f"{n}")])
            await storage.commit([delete(f"{n}")])
        plan = ScanPlan(as_of=(await storage.watermark()).seq, max_bytes=1000)
        batches = [len(batch) async for batch in storage.scan(plan)]
        assert sum(batches) == 40
        assert max(batches) < 40


@pytest.mark.parametrize("breaks", [b"\n", b"\r"])
async def test_json_with_a_line_break_of_its_own_stands_alone(tmp_path: Path, breaks: bytes) -> None:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        broken = Body(before=b'{"resourceType":"Observation",' + breaks + b'"id":"b","meta":{', after=b"}}")
        stored = await storage.commit([write("a"), replace(write("b"), body=broken), write("c")])
        assert isinstance(storage, GivesLines)
        [batch] = [batch async for batch in storage.lines(ScanPlan(as_of=stored[0].seq))]
        assert batch.lines == [Lines("Observation", 1, each.json) for each in stored]


async def test_lines_of_sudden_megabytes_are_read_in_small_batches(tmp_path: Path) -> None:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        stored = [(await storage.commit([write(f"{n}")]))[0] for n in range(30)]
        stored += [(await storage.commit([write(f"large-{n}", note="x" * 400_000)]))[0] for n in range(12)]
        assert isinstance(storage, GivesLines)
        plan = ScanPlan(as_of=stored[-1].seq, max_bytes=20_000)
        batches = [some async for batch in storage.lines(plan) for some in batch.lines]
        assert b"\n".join([some.json for some in batches]) == b"\n".join([each.json for each in stored])
        assert max(len(some.json) for some in batches) < 1_000_000


async def test_lines_of_very_many_types_are_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toro_sqlite.lines._MOST_TYPES", 1)
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        await storage.commit([write("a"), write("p", type="Patient")])
        stored = await storage.commit([write("b"), write("q", type="Patient")])
        assert isinstance(storage, GivesLines)
        [batch] = [batch async for batch in storage.lines(ScanPlan(as_of=stored[0].seq))]
        assert batch.seq == stored[0].seq
        assert [(some.type, some.resources) for some in batch.lines] == [("Observation", 2), ("Patient", 2)]
