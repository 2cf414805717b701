"""The conformance suite fails where a storage breaks the contract: each backend here breaks one promise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from toro_core.errors import ConditionChanged, StillReferenced
from toro_core.search.plan import Reference, SearchPlan
from toro_core.storage import Storage, Stored, Write
from toro_core.testing.conditions import ConditionConformance
from toro_sqlite import open_sqlite

_Commit: TypeAlias = Callable[[Storage, Sequence[Write]], Any]


class _Broken:
    """A good storage with a commit of its own."""

    def __init__(self, storage: Storage, commit: _Commit) -> None:
        self._storage = storage
        self._commit = commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        answer: Sequence[Stored] = await self._commit(self._storage, writes)
        return answer


async def _ignores_conditions(storage: Storage, writes: Sequence[Write]) -> Sequence[Stored]:
    return await storage.commit([replace(write, conditions=()) for write in writes])


async def _looks_before_it_commits(storage: Storage, writes: Sequence[Write]) -> Sequence[Stored]:
    for condition in (condition for write in writes for condition in write.conditions):
        page = await storage.search(SearchPlan(type=condition.type, criterion=condition.criterion, limit=2))
        if [stored.key for stored in page.resources] != ([condition.finds] if condition.finds else []):
            raise ConditionChanged
    return await _ignores_conditions(storage, writes)


async def _asks_only_whether_something_is_found(storage: Storage, writes: Sequence[Write]) -> Sequence[Stored]:
    for condition in (condition for write in writes for condition in write.conditions):
        found = await storage.count(SearchPlan(type=condition.type, criterion=condition.criterion), 1)
        if bool(found) is not bool(condition.finds):
            raise ConditionChanged
    return await _ignores_conditions(storage, writes)


async def _judges_after_writing(storage: Storage, writes: Sequence[Write]) -> Sequence[Stored]:
    stored = await _ignores_conditions(storage, writes)
    for condition in (condition for write in writes for condition in write.conditions):
        found = await storage.count(SearchPlan(type=condition.type, criterion=condition.criterion), 2)
        if found != (1 if condition.finds else 0):
            raise ConditionChanged
    return stored


async def _ignores_targets(storage: Storage, writes: Sequence[Write]) -> Sequence[Stored]:
    return await storage.commit([replace(write, targets=()) for write in writes])


async def _takes_a_tombstone_for_a_target(storage: Storage, writes: Sequence[Write]) -> Sequence[Stored]:
    kept = []
    for write in writes:
        there = await storage.read_many(write.targets)
        kept.append(
            replace(write, targets=tuple(k for k, found in zip(write.targets, there, strict=True) if not found))
        )
    return await storage.commit(kept)


async def _ignores_referrers(storage: Storage, writes: Sequence[Write]) -> Sequence[Stored]:
    return await storage.commit([replace(write, unreferenced=False) for write in writes])


async def _looks_for_referrers_of_one_type(storage: Storage, writes: Sequence[Write]) -> Sequence[Stored]:
    for write in writes:
        if write.unreferenced:
            criterion = Reference(param="subject", type=write.key.type, id=write.key.id)
            page = await storage.search(SearchPlan(type="Observation", criterion=criterion, limit=10))
            if page.resources:
                raise StillReferenced(str(write.key), [str(stored.key) for stored in page.resources])
    return await _ignores_referrers(storage, writes)


@pytest.fixture
async def good(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        yield storage


_PROMISES: list[tuple[_Commit, str]] = [
    (_ignores_conditions, "test_a_condition_that_finds_nothing_lets_write_until_something_is_there"),
    (_ignores_conditions, "test_every_condition_of_a_commit_has_to_hold_before_its_first_write"),
    (_asks_only_whether_something_is_found, "test_a_condition_finds_exactly_the_resource_it_names"),
    (_ignores_conditions, "test_conditions_are_of_any_criterion_and_any_type"),
    (_looks_before_it_commits, "test_racing_conditional_creates_leave_one_resource_for_each_identifier"),
    (_judges_after_writing, "test_a_condition_that_finds_nothing_lets_write_until_something_is_there"),
    (_ignores_targets, "test_a_target_exists_when_all_is_written"),
    (_takes_a_tombstone_for_a_target, "test_a_target_exists_when_all_is_written"),
    (_ignores_referrers, "test_what_is_referred_to_is_not_deleted_unreferenced"),
    (_ignores_referrers, "test_deletions_and_references_that_race_leave_none_that_leads_nowhere"),
    (_looks_for_referrers_of_one_type, "test_what_is_referred_to_is_not_deleted_unreferenced"),
]


@pytest.mark.parametrize(("commit", "test"), _PROMISES, ids=lambda each: getattr(each, "__name__", each))
async def test_the_suite_fails_on_a_storage_that_breaks_a_promise(good: Storage, commit: _Commit, test: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, ConditionChanged, StillReferenced)):
        await getattr(ConditionConformance(), test)(_Broken(good, commit))


@pytest.mark.parametrize("test", sorted({test for _, test in _PROMISES}))
async def test_the_same_tests_hold_for_a_good_storage(good: Storage, test: str) -> None:
    async def commit(storage: Storage, writes: Sequence[Write]) -> Sequence[Stored]:
        return await storage.commit(writes)

    await getattr(ConditionConformance(), test)(_Broken(good, commit))
