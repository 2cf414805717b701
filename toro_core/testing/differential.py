"""Random plans over random rows, compared with `toro_core.search.evaluate`."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from toro_core.search.evaluate import matches, order_key
from toro_core.search.plan import SearchPlan
from toro_core.storage import Key, Rows, Storage, Write
from toro_core.testing.chance import OTHER, Chance
from toro_core.testing.making import TYPE, delete, put, walk, write

__all__ = ["DifferentialConformance"]

_RESOURCES = 60
_PLANS = 150


class DifferentialConformance:
    """The reference in plain Python decides."""

    @pytest.mark.parametrize("seed", range(4))
    async def test_any_plan_finds_and_orders_as_the_reference_says(self, storage: Storage, seed: int) -> None:
        chance = Chance(seed, joins="joins" in storage.capabilities)
        known = _Known()
        for _ in range(3):
            await _rewrite(storage, chance, known)
            for _ in range(_PLANS):
                await _compare(storage, chance, known)


class _Known:
    """What is stored."""

    def __init__(self) -> None:
        self.resources: dict[Key, tuple[int, Rows]] = {}

    def get(self, key: Key) -> tuple[int, Rows] | None:
        return self.resources.get(key)

    def of_type(self, type_: str) -> Iterator[tuple[Key, int, Rows]]:
        for key, found in self.resources.items():
            if key.type == type_:
                yield key, *found


async def _rewrite(storage: Storage, chance: Chance, known: _Known) -> None:
    """Write a good part of the resources again, delete some."""
    keys = [*(Key(TYPE, f"r{n}") for n in range(_RESOURCES)), *(Key(OTHER, each) for each in ("1", "2", "4", "r1"))]
    writes: list[Write] = []
    for key in keys:
        if key in known.resources and chance.one_in(5):
            writes.append(delete(key.id, type=key.type))
        elif key not in known.resources or chance.one_in(3):
            writes.append(write(key.id, chance.rows(), type=key.type))
    for each, stored in zip(writes, await put(storage, writes), strict=True):
        if stored.deleted:
            del known.resources[each.key]
        else:
            known.resources[each.key] = (stored.at, each.rows)


async def _compare(storage: Storage, chance: Chance, known: _Known) -> None:
    plan = SearchPlan(
        type=chance.pick((TYPE, TYPE, OTHER)),
        criterion=chance.criterion(3, [at for at, _ in known.resources.values()]),
        sort=chance.sort(),
        limit=chance.pick((1, 7, 100)),
    )
    expected = {key.id for key, at, rows in known.of_type(plan.type) if matches(plan.criterion, key, at, rows, known)}
    ids = await walk(storage, plan)
    assert sorted(ids) == sorted(expected), plan
    assert await storage.count(plan) == len(expected), plan
    places = [order_key(plan.sort, key := Key(plan.type, id), *known.resources[key]) for id in ids]
    assert not any(after < before for before, after in pairwise(places)), plan
