"""Writes."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest

from toro_core.errors import AlreadyExists, Gone, NotFound, PreconditionFailed, StorageError, Unsupported
from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import ABSENT, Rows, Storage, TokenRow, Version, Write, instant
from toro_core.testing.making import TYPE, create, delete, found, key, put, write

__all__ = ["CommitConformance"]

_RACERS = 16


def _tagged(code: str) -> Rows:
    return Rows(tokens=(TokenRow("tag", "", code),))


def _plan(code: str) -> SearchPlan:
    return SearchPlan(type=TYPE, criterion=Token(param="tag", code=code))


class CommitConformance:
    """Versions, expectations, all or nothing."""

    async def test_versions_count_from_one_and_continue_after_a_tombstone(self, storage: Storage) -> None:
        versions = [
            (await storage.commit([each]))[0].version for each in (write("a"), write("a"), delete("a"), write("a"))
        ]
        assert versions == [1, 2, 3, 4]
        assert not (await storage.read(key("a"))).deleted

    async def test_the_answer_is_in_the_order_of_the_writes(self, storage: Storage) -> None:
        ids = ["m", "a", "z", "b"]
        stored = await put(storage, [write(id) for id in ids])
        assert [each.key.id for each in stored] == ids
        assert await storage.commit([]) in ((), [])

    async def test_a_commit_has_one_sequence_and_time_and_neither_goes_back(self, storage: Storage) -> None:
        together = "transactions" in storage.capabilities
        writes = [[write("same"), *([write(f"a{n}"), write(f"b{n}")] if together else [])] for n in range(5)]
        commits = [await storage.commit(each) for each in writes]
        commits.append(await storage.commit([delete("same")]))
        moments = [{(each.seq, each.at) for each in stored} for stored in commits]
        assert all(len(each) == 1 for each in moments)
        flat = [moment for each in moments for moment in each]
        assert all(one[0] < two[0] and one[1] <= two[1] for one, two in itertools.pairwise(flat))
        assert all(
            f'"lastUpdated":"{instant(each.at)}"'.encode() in each.json for stored in commits[:-1] for each in stored
        )

    async def test_one_key_twice_in_a_commit_is_two_versions_and_the_last_is_current(self, storage: Storage) -> None:
        if "transactions" not in storage.capabilities:
            return
        stored = await storage.commit([write("a", _tagged("one")), write("b"), write("a", _tagged("two")), delete("b")])
        assert [(each.key.id, each.version) for each in stored] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]
        assert await found(storage, _plan("one")) == set()
        assert await found(storage, _plan("two")) == {"a"}
        assert (await storage.read(key("b"))).deleted

    @pytest.mark.parametrize(
        ("spoiler", "error"),
        [
            (write("there", expect=ABSENT), AlreadyExists),
            (write("there", expect=Version(2)), PreconditionFailed),
            (write("gone", expect=Version(2)), PreconditionFailed),
            (write("nobody", expect=Version(1)), PreconditionFailed),
            (delete("nobody"), NotFound),
            (delete("gone"), Gone),
        ],
    )
    async def test_a_failing_write_in_the_middle_leaves_nothing(
        self, storage: Storage, spoiler: Write, error: type[StorageError]
    ) -> None:
        await create(storage, {"there": _tagged("old"), "gone": Rows()})
        await storage.commit([delete("gone")])
        writes = [write("there", _tagged("new")), write("new", _tagged("new")), spoiler, write("late", _tagged("new"))]
        if "transactions" not in storage.capabilities:
            with pytest.raises(Unsupported):
                await storage.commit(writes)
            return
        if spoiler.key == key("there"):
            writes = writes[1:]
        with pytest.raises(error):
            await storage.commit(writes)
        assert await found(storage, _plan("new")) == set()
        assert await found(storage, _plan("old")) == {"there"}
        assert (await storage.read(key("there"))).version == 1
        assert await storage.read_many([key("new"), key("late"), key("nobody")]) == [None, None, None]
        (after,) = await storage.commit([write("new", _tagged("new"), expect=ABSENT)])
        assert after.version == 1

    async def test_absent_accepts_a_tombstone(self, storage: Storage) -> None:
        await create(storage, {"a": Rows()})
        await storage.commit([delete("a")])
        (stored,) = await storage.commit([write("a", expect=ABSENT)])
        assert stored.version == 3

    async def test_a_version_is_expected_exactly(self, storage: Storage) -> None:
        await create(storage, {"a": Rows()})
        (stored,) = await storage.commit([write("a", expect=Version(1))])
        assert stored.version == 2
        for number in (0, 1, 3):
            with pytest.raises(PreconditionFailed):
                await storage.commit([write("a", expect=Version(number))])
            with pytest.raises(PreconditionFailed):
                await storage.commit([delete("a", expect=Version(number))])
        (tombstone,) = await storage.commit([delete("a", expect=Version(2))])
        assert tombstone.version == 3
        with pytest.raises(PreconditionFailed):
            await storage.commit([write("a", expect=Version(3))])

    async def test_exactly_one_of_many_racing_updates_wins(self, storage: Storage) -> None:
        await create(storage, {"a": Rows()})
        races = [storage.commit([write("a", note=str(n), expect=Version(1))]) for n in range(_RACERS)]
        results = await asyncio.gather(*races, return_exceptions=True)
        losers = [each for each in results if isinstance(each, BaseException)]
        assert len(losers) == _RACERS - 1
        assert all(isinstance(each, PreconditionFailed) for each in losers)
        (winner,) = next(each for each in results if not isinstance(each, BaseException))
        assert await storage.read(key("a")) == winner

    async def test_exactly_one_of_many_racing_creates_wins(self, storage: Storage) -> None:
        races = [storage.commit([write("a", expect=ABSENT)]) for _ in range(_RACERS)]
        results = await asyncio.gather(*races, return_exceptions=True)
        assert sum(isinstance(each, AlreadyExists) for each in results) == _RACERS - 1
        assert (await storage.read(key("a"))).version == 1

    async def test_racing_updates_without_expectation_lose_no_version(self, storage: Storage) -> None:
        results = await asyncio.gather(*(storage.commit([write("a")]) for _ in range(_RACERS)))
        assert sorted(each.version for (each,) in results) == list(range(1, _RACERS + 1))
        by_seq = sorted((each for (each,) in results), key=lambda each: each.seq)
        assert [each.version for each in by_seq] == list(range(1, _RACERS + 1))

    async def test_a_failing_commit_harms_none_beside_it(self, storage: Storage) -> None:
        await create(storage, {"there": Rows()})
        good = [storage.commit([write(f"good{n}", _tagged("good"))]) for n in range(_RACERS)]
        bad = [storage.commit([write("there", _tagged("bad"), expect=ABSENT)]) for _ in range(_RACERS)]
        results = await asyncio.gather(
            *(each for pair in zip(good, bad, strict=True) for each in pair), return_exceptions=True
        )
        assert sum(isinstance(each, AlreadyExists) for each in results) == _RACERS
        assert await found(storage, _plan("good")) == {f"good{n}" for n in range(_RACERS)}
        assert await found(storage, _plan("bad")) == set()

    async def test_a_cancelled_commit_is_whole_or_not_at_all(self, storage: Storage) -> None:
        for attempt in range(10):
            code = f"attempt{attempt}"
            ids = [f"{code}-{n}" for n in range(1 if "transactions" not in storage.capabilities else 40)]
            task = asyncio.create_task(_commit(storage, [write(id, _tagged(code)) for id in ids]))
            for _ in range(attempt):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            # A commit that was queued may still become durable; one after it comes after it.
            await storage.commit([write("last")])
            stored = await storage.read_many([key(id) for id in ids])
            # One version each: whoever was cancelled was not taken for one that failed, and repeated.
            assert {each and each.version for each in stored} in ({None}, {1})
            assert await found(storage, _plan(code)) == ({*ids} if stored[0] else set())


async def _commit(storage: Storage, writes: list[Write]) -> None:
    await storage.commit(writes)
