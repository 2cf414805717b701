"""What a commit has to find beside its own keys: conditions, targets, no referrers."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from toro_core.errors import ConditionChanged, StillReferenced, TargetMissing
from toro_core.search.plan import AllOf, AnyOf, Criterion, Ids, LastUpdated, Reference, SearchPlan, Token
from toro_core.storage import ABSENT, Condition, Key, ReferenceRow, Rows, Storage, TokenRow, Write
from toro_core.testing.making import TYPE, create, delete, found, key, write

__all__ = ["ConditionConformance"]

_RACERS = 16
_IDENTIFIERS = 10


def _named(value: str) -> Rows:
    return Rows(tokens=(TokenRow("identifier", "urn:s", value),))


def _refers(*targets: Key, version: str = "") -> Rows:
    return Rows(references=tuple(ReferenceRow("subject", target.type, target.id, version) for target in targets))


def _identifier(value: str) -> Criterion:
    return Token(param="identifier", system="urn:s", code=value)


def _if(each: Write, criterion: Criterion, finds: Key | None = None, type: str = TYPE) -> Write:
    return replace(each, conditions=(*each.conditions, Condition(type=type, criterion=criterion, finds=finds)))


class ConditionConformance:
    """Conditions are decided inside the commit, so that nothing races between looking and writing."""

    async def test_a_condition_that_finds_nothing_lets_write_until_something_is_there(self, storage: Storage) -> None:
        await storage.commit([_if(write("a", _named("1")), _identifier("1"))])
        with pytest.raises(ConditionChanged):
            await storage.commit([_if(write("b", _named("1")), _identifier("1"))])
        await storage.commit([_if(write("b", _named("2")), _identifier("2"))])
        await storage.commit([delete("a")])
        await storage.commit([_if(write("c", _named("1")), _identifier("1"))])
        assert await found(storage, SearchPlan(type=TYPE)) == {"b", "c"}

    async def test_a_condition_finds_exactly_the_resource_it_names(self, storage: Storage) -> None:
        await create(storage, {"a": _named("1"), "b": _named("2")})
        await storage.commit([_if(write("a", _named("1")), _identifier("1"), key("a"))])
        for finds in (key("b"), key("nobody"), key("a", "Patient")):
            with pytest.raises(ConditionChanged):
                await storage.commit([_if(write("z"), _identifier("1"), finds)])
        with pytest.raises(ConditionChanged):
            await storage.commit([_if(write("z"), _identifier("3"), key("a"))])
        await create(storage, {"c": _named("1")})
        for criterion in (_identifier("1"), AnyOf((_identifier("1"), _identifier("2"))), AllOf(())):
            with pytest.raises(ConditionChanged):
                await storage.commit([_if(write("z"), criterion, key("a"))])
        assert await storage.read_many([key("z")]) == [None]

    async def test_conditions_are_of_any_criterion_and_any_type(self, storage: Storage) -> None:
        await create(storage, {"p": _named("1")}, type="Patient")
        await create(storage, {"a": Rows(references=(ReferenceRow("subject", "Patient", "p", ""),))})
        holding: list[tuple[Criterion, str, Key | None]] = [
            (_identifier("1"), "Patient", key("p", "Patient")),
            (_identifier("1"), TYPE, None),
            (_identifier("1"), "Nothing", None),
            (Reference(param="subject", type="Patient", id="p"), TYPE, key("a")),
            (Ids(ids=("a", "b")), TYPE, key("a")),
            (Token(param="identifier", system="urn:s"), "Patient", key("p", "Patient")),
            (AllOf((Ids(ids=("a",)), LastUpdated(prefix="gt", low=0, high=0))), TYPE, key("a")),
        ]
        for n, (criterion, type, finds) in enumerate(holding):
            await storage.commit([_if(write(f"w{n}", type="Basic"), criterion, finds, type)])
            wrong = None if finds else key("p", "Patient")
            with pytest.raises(ConditionChanged):
                await storage.commit([_if(write("z", type="Basic"), criterion, wrong, type)])
        assert await storage.read_many([key("z", "Basic")]) == [None]

    async def test_every_condition_of_a_commit_has_to_hold_before_its_first_write(self, storage: Storage) -> None:
        if "transactions" not in storage.capabilities:
            return
        one = [_if(write(id, _named("1"), expect=ABSENT), _identifier("1")) for id in ("a", "b")]
        await storage.commit(one)  # neither sees the other
        spoilt = [write("c", _named("2")), _if(write("d"), _identifier("2")), _if(write("e"), _identifier("1"))]
        with pytest.raises(ConditionChanged):
            await storage.commit(spoilt)
        assert await storage.read_many([key(id) for id in "cde"]) == [None, None, None]
        await storage.commit(spoilt[:2])
        with pytest.raises(ConditionChanged):
            await storage.commit([_if(delete("c"), _identifier("2")), write("d")])
        assert not (await storage.read(key("c"))).deleted

    async def test_racing_conditional_creates_leave_one_resource_for_each_identifier(self, storage: Storage) -> None:
        creates = [
            storage.commit([_if(write(f"{n}-{racer}", _named(str(n)), expect=ABSENT), _identifier(str(n)))])
            for n, racer in itertools.product(range(_IDENTIFIERS), range(_RACERS))
        ]
        results = await asyncio.gather(*creates, return_exceptions=True)
        lost = [each for each in results if isinstance(each, BaseException)]
        assert all(isinstance(each, ConditionChanged) for each in lost)
        assert len(lost) == _IDENTIFIERS * (_RACERS - 1)
        for n in range(_IDENTIFIERS):
            assert len(await found(storage, SearchPlan(type=TYPE, criterion=_identifier(str(n))))) == 1

    async def test_a_target_exists_when_all_is_written(self, storage: Storage) -> None:
        there, gone, nobody = (key(id, "Patient") for id in ("there", "gone", "nobody"))
        await create(storage, {"there": Rows(), "gone": Rows()}, type="Patient")
        await storage.commit([delete("gone", type="Patient")])
        await storage.commit([replace(write("a", _refers(there)), targets=(there,))])
        for missing in (gone, nobody):
            with pytest.raises(TargetMissing) as caught:
                await storage.commit([replace(write("b", _refers(there, missing)), targets=(there, missing))])
            assert caught.value.target == str(missing)
        assert await storage.read_many([key("b")]) == [None]
        if "transactions" not in storage.capabilities:
            return
        with pytest.raises(TargetMissing):
            await storage.commit(
                [replace(write("b", _refers(there)), targets=(there,)), delete("there", type="Patient")]
            )
        await storage.commit([replace(write("b", _refers(nobody)), targets=(nobody,)), write("nobody", type="Patient")])

    async def test_what_is_referred_to_is_not_deleted_unreferenced(self, storage: Storage) -> None:
        there = key("there", "Patient")
        await create(storage, {"there": _refers(there)}, type="Patient")
        await create(storage, {f"r{n:02}": _refers(there) for n in range(12)})
        await create(storage, {"v": _refers(there, version="1")}, type="Encounter")
        removal = replace(delete("there", type="Patient"), unreferenced=True)
        with pytest.raises(StillReferenced) as caught:
            await storage.commit([removal])
        assert caught.value.key == str(there)
        assert len(set(caught.value.referrers)) == 10
        assert {*caught.value.referrers} <= {f"{TYPE}/r{n:02}" for n in range(12)} | {"Encounter/v"}
        assert not (await storage.read(there)).deleted
        for n in range(12):
            await storage.commit([delete(f"r{n:02}") if n % 2 else write(f"r{n:02}")])
        with pytest.raises(StillReferenced) as caught:
            await storage.commit([removal])
        assert caught.value.referrers == ("Encounter/v",)
        if "transactions" in storage.capabilities:
            with pytest.raises(StillReferenced):
                await storage.commit([removal, delete("v", type="Encounter"), write("late", _refers(there))])
            await storage.commit([removal, delete("v", type="Encounter")])
        else:
            await storage.commit([delete("v", type="Encounter")])
            await storage.commit([removal])
        assert (await storage.read(there)).deleted

    async def test_deletions_and_references_that_race_leave_none_that_leads_nowhere(self, storage: Storage) -> None:
        pairs = [(key(f"t{n}", "Patient"), f"r{n}") for n in range(_RACERS)]
        await create(storage, {target.id: Rows() for target, _ in pairs}, type="Patient")
        races = []
        for n, (target, id) in enumerate(pairs):
            removal = replace(delete(target.id, type="Patient"), unreferenced=True)
            referring = replace(write(id, _refers(target)), targets=(target,))
            races += [storage.commit([each]) for each in ((removal, referring) if n % 2 else (referring, removal))]
        results = await asyncio.gather(*races, return_exceptions=True)
        lost = [each for each in results if isinstance(each, BaseException)]
        assert len(lost) == _RACERS
        assert all(isinstance(each, StillReferenced | TargetMissing) for each in lost)
        for target, id in pairs:
            (referrer,) = await storage.read_many([key(id)])
            assert (await storage.read(target)).deleted is (referrer is None)
