"""Random plans over random rows, compared with `toro_core.search.evaluate`."""

# ruff: noqa: D102, S101, S311 - a test's name is its sentence; a suite asserts; seeded, so that a failure comes again

from __future__ import annotations

import random

import pytest

from toro_core.search.evaluate import matches, sort_value
from toro_core.search.plan import (
    FOREVER,
    MISSING,
    NEVER,
    AllOf,
    AnyOf,
    Criterion,
    Ids,
    LastUpdated,
    Period,
    Prefix,
    Reference,
    SearchPlan,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import DateRow, Key, OrderRow, ReferenceRow, Rows, Storage, StringRow, TokenRow, UriRow, Write
from toro_core.testing.making import TYPE, delete, key, walk, write

__all__ = ["DifferentialConformance"]

_RESOURCES = 60
_PLANS = 150
_DAY = 86_400_000_000
_PREFIXES: tuple[Prefix, ...] = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
_SORTS = (None, None, None, "key", "name", "r", "s", "_id", "_lastUpdated", "unheard")


class DifferentialConformance:
    """The reference in plain Python decides."""

    @pytest.mark.parametrize("seed", range(4))
    async def test_any_plan_finds_and_orders_as_the_reference_says(self, storage: Storage, seed: int) -> None:
        chance = _Chance(seed)
        known: dict[str, tuple[int, Rows]] = {}
        for _ in range(3):
            await _rewrite(storage, chance, known)
            for _ in range(_PLANS):
                await _compare(storage, chance, known)


async def _rewrite(storage: Storage, chance: _Chance, known: dict[str, tuple[int, Rows]]) -> None:
    """Write a good part of the resources again, delete some."""
    writes = []
    for n in range(_RESOURCES):
        id = f"r{n}"
        if id in known and chance.one_in(5):
            writes.append(delete(id))
            del known[id]
        elif id not in known or chance.one_in(3):
            rows = chance.rows()
            writes.append(write(id, rows))
            known[id] = (0, rows)
    for each, stored in zip(writes, await _commit(storage, writes), strict=True):
        if not stored[1]:
            known[each.key.id] = (stored[0], each.rows)


async def _commit(storage: Storage, writes: list[Write]) -> list[tuple[int, bool]]:
    stored = await storage.commit(writes)
    return [(each.at, each.deleted) for each in stored]


async def _compare(storage: Storage, chance: _Chance, known: dict[str, tuple[int, Rows]]) -> None:
    plan = SearchPlan(
        type=TYPE,
        criterion=chance.criterion(3, [at for at, _ in known.values()]),
        sort=(SortKey(param=chance.pick(_SORTS), descending=chance.one_in(2)),),
        limit=chance.pick((1, 7, 100)),
    )
    expected = {id for id, (at, rows) in known.items() if matches(plan.criterion, key(id), at, rows)}
    ids = await walk(storage, plan)
    assert sorted(ids) == sorted(expected), plan
    assert await storage.count(plan) == len(expected), plan
    (sort,) = plan.sort
    values = [sort_value(sort, Key(TYPE, id), *known[id]) for id in ids]
    present = [value for value in values if value != MISSING]
    assert values == present + [MISSING] * (len(values) - len(present)), plan
    assert present == sorted(present, reverse=sort.descending), plan


class _Chance:
    """Draws from few values, so that rows and plans meet."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.pick = self._random.choice

    def one_in(self, n: int) -> bool:
        return self._random.randrange(n) == 0

    def some(self, most: int) -> range:
        return range(self._random.randrange(most + 1))

    def rows(self) -> Rows:
        dates = tuple(DateRow(self.pick(("date", "issued")), *self._interval()) for _ in self.some(3))
        lows = [row.low for row in dates if row.param == "date"]
        # Types differ in what they are sorted by: often the lowest date, else something else or nothing.
        sort = min(lows, default=MISSING) if not self.one_in(6) else self.pick((MISSING, 0, 5 * _DAY, None))
        orders: list[OrderRow] = []
        if not self.one_in(4):
            orders.append(OrderRow("key", *sorted((self._instant(), self._instant()))))
        if not self.one_in(4):
            orders.append(OrderRow("name", *sorted((self._word(), self._word()))))
        references = tuple(
            ReferenceRow(self.pick("pqr"), self.pick(("Patient", "Group")), self.pick("12"), self.pick(("", "", "1")))
            for _ in self.some(3)
        )
        tokens = tuple(TokenRow(self.pick("pqs"), self._system(), self._code()) for _ in self.some(4))
        # Keys as the core makes them, from the other rows, and one that has nothing to do with them.
        orders += self._order("r", [f"{row.type}/{row.id}" for row in references if row.param == "r"])
        orders += self._order("s", [row.code for row in tokens if row.param == "s"])
        return Rows(
            sort=sort,
            tokens=tokens,
            strings=tuple(StringRow(self.pick("pq"), word := self._word(), word.upper()) for _ in self.some(3)),
            dates=dates,
            references=references,
            uris=tuple(UriRow(self.pick("pq"), self.pick(("u", "uu", "v"))) for _ in self.some(2)),
            orders=tuple(orders),
        )

    def _order(self, param: str, values: list[str]) -> list[OrderRow]:
        if not values or self.one_in(9):
            return []
        return [OrderRow(param, min(values), "z" if self.one_in(9) else max(values))]

    def criterion(self, depth: int, moments: list[int]) -> Criterion:
        if depth and not self.one_in(4):
            parts = tuple(self.criterion(depth - 1, moments) for _ in self.some(3))
            return AllOf(parts) if self.one_in(2) else AnyOf(parts)
        param = self.pick("pqrsz") if self.one_in(4) else self.pick("pq")
        match self._random.randrange(8):
            case 0 | 1:
                return Token(
                    param=param,
                    system=self.pick((None, self._system())),
                    code=self.pick((None, self._code(), self._code())),
                )
            case 2:
                return Text(param=param, value=self._word()[: self._random.randrange(4)])
            case 3 | 4:
                low, high = self._interval()
                return Period(param=self.pick(("date", "issued")), prefix=self.pick(_PREFIXES), low=low, high=high)
            case 5:
                return Reference(
                    param=param,
                    type=self.pick((None, "Patient", "Group", "Device")),
                    id=self.pick("123"),
                    version=self.pick((None, None, "1")),
                )
            case 6:
                return Uri(param=param, value=self.pick(("u", "uu", "w")))
            case _:
                if self.one_in(2):
                    return Ids(ids=tuple(f"r{self._random.randrange(_RESOURCES + 5)}" for _ in self.some(20)))
                moment = self.pick(moments or [0]) * 1000 + self.pick((-1, 0, 1, 1000))
                return LastUpdated(
                    prefix=self.pick(_PREFIXES), low=moment, high=moment + self.pick((1, 999, 1000, 10**9))
                )

    def _instant(self) -> int:
        # Days, months and years, so that long and short intervals lie side by side.
        return self._random.randrange(-4, 12) * self.pick((_DAY, 30 * _DAY, 800 * _DAY))

    def _interval(self) -> tuple[int, int]:
        low = NEVER if self.one_in(12) else self._instant()
        length = self.pick((1, _DAY, _DAY, 2 * _DAY, 365 * _DAY, 900 * _DAY))
        high = FOREVER if self.one_in(12) else max(low, self._instant() if low == NEVER else low) + length
        return low, high

    def _system(self) -> str:
        return self.pick(("", "s", "t"))

    def _code(self) -> str:
        return self.pick(("", "a", "b", "c"))

    def _word(self) -> str:
        return self.pick(("anna", "an", "ananas", "bo", "é", "%", ""))
