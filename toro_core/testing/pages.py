"""Order, pages and counts."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import dataclasses

import pytest

from toro_core.search.plan import MISSING, AllOf, AnyOf, Criterion, Cursor, SearchPlan, SortKey, Text, Token
from toro_core.storage import OrderRow, Rows, Storage, StringRow, TokenRow
from toro_core.testing.making import TYPE, create, delete, put, walk, write

__all__ = ["PageConformance"]

_ALL = Token(param="tag", code="all")
_TAGS = (TokenRow("tag", "", "all"), TokenRow("tag", "", "again"))

# The same resources, as found by walking the type, one list, two lists that both hold them, and a range.
_WAYS: tuple[Criterion, ...] = (
    AllOf(()),
    _ALL,
    AnyOf((_ALL, Token(param="tag", code="again"))),
    Text(param="name", value="x"),
)


def _rows(sort: int | None = None, *orders: OrderRow) -> Rows:
    return Rows(
        sort=sort, tokens=_TAGS, strings=(StringRow("name", "x1", "X1"), StringRow("name", "x2", "X2")), orders=orders
    )


async def _sorted(storage: Storage, sort: SortKey, expected: list[str]) -> None:
    for criterion in _WAYS:
        for limit in (1, 2, 3, 50):
            plan = SearchPlan(type=TYPE, criterion=criterion, sort=(sort,), limit=limit)
            assert await walk(storage, plan) == expected, (criterion, limit)


class PageConformance:
    """Sorting, keyset paging, cutting."""

    async def test_the_default_order_is_the_resources_own_sort_value_with_missing_ones_last(
        self, storage: Storage
    ) -> None:
        values = {"late": 9, "never": MISSING, "early": -7, "middle": 4}
        await create(storage, {id: _rows(value) for id, value in values.items()})
        await _sorted(storage, SortKey(), ["early", "middle", "late", "never"])
        await _sorted(storage, SortKey(descending=True), ["late", "middle", "early", "never"])

    async def test_without_a_sort_value_the_order_is_that_of_the_commits(self, storage: Storage) -> None:
        for id in ("z", "a", "m"):
            (stored,) = await storage.commit([write(id, _rows(), note=id)])
            await _past(storage, stored.at)
        await _sorted(storage, SortKey(), ["z", "a", "m"])
        await _sorted(storage, SortKey(descending=True), ["m", "a", "z"])
        await storage.commit([write("z", _rows(), note="again")])
        await _sorted(storage, SortKey(), ["a", "m", "z"])
        await _sorted(storage, SortKey(param="_lastUpdated"), ["a", "m", "z"])
        await _sorted(storage, SortKey(param="_lastUpdated", descending=True), ["z", "m", "a"])

    async def test_resources_are_sorted_by_id(self, storage: Storage) -> None:
        await create(storage, {id: _rows(1) for id in ("b", "A", "a", "10", "9", "a-b", "a.b")})
        ascending = sorted(("b", "A", "a", "10", "9", "a-b", "a.b"))
        await _sorted(storage, SortKey(param="_id"), ascending)
        await _sorted(storage, SortKey(param="_id", descending=True), ascending[::-1])

    @pytest.mark.parametrize("texts", [False, True])
    async def test_a_parameter_sorts_by_its_lowest_ascending_and_its_highest_descending(
        self, storage: Storage, texts: bool
    ) -> None:
        def value(n: int) -> int | str:
            return f"é{n}" if texts else n - 4

        spans = {"wide": (1, 9), "low": (2, 2), "middle": (3, 5), "high": (4, 4), "six": (6, 6)}
        rows = {id: _rows(0, OrderRow("key", value(low), value(high))) for id, (low, high) in spans.items()}
        await create(storage, {**rows, "none": _rows(0), "other": _rows(0, OrderRow("else", value(1), value(1)))})
        for descending, expected in (
            (False, ["wide", "low", "middle", "high", "six"]),
            (True, ["wide", "six", "middle", "high", "low"]),
        ):
            for criterion in _WAYS:
                for limit in (1, 3, 50):
                    sort = SortKey(param="key", descending=descending)
                    ids = await walk(storage, SearchPlan(type=TYPE, criterion=criterion, sort=(sort,), limit=limit))
                    assert ids[:5] == expected, (criterion, limit)
                    assert set(ids[5:]) == {"none", "other"}
                    assert len(ids) == 7

    async def test_where_one_key_is_equal_the_next_decides(self, storage: Storage) -> None:
        keys = {
            "a1": (1, "a"), "a2": (2, "a"), "a-": (None, "a"), "b1": (1, "b"), "b2": (2, "b"), "b-": (None, "b"),
            "-1": (1, None), "-2": (2, None), "--": (None, None),
        }  # fmt: skip
        await create(
            storage,
            {
                id: _rows(
                    MISSING if sort is None else sort,
                    *([] if text is None else [OrderRow("key", text, text)]),
                    OrderRow("twice", text or "", (text or "") + "!"),
                )
                for id, (sort, text) in keys.items()
            },
        )
        key, own = SortKey(param="key"), SortKey()
        down, own_down = SortKey(param="key", descending=True), SortKey(descending=True)
        for sort, expected in (
            ((key, own), "a1 a2 a- b1 b2 b- -1 -2 --"),
            ((key, own_down), "a2 a1 a- b2 b1 b- -2 -1 --"),
            ((down, own), "b1 b2 b- a1 a2 a- -1 -2 --"),
            ((own, key), "a1 b1 -1 a2 b2 -2 a- b- --"),
            ((own_down, key), "a2 b2 -2 a1 b1 -1 a- b- --"),
            ((own_down, down), "b2 a2 -2 b1 a1 -1 b- a- --"),
            ((key, SortKey(param="_id", descending=True)), "a2 a1 a- b2 b1 b- -2 -1 --"),
            ((SortKey(param="unheard"), own, down), "b1 a1 -1 b2 a2 -2 b- a- --"),
            ((SortKey(param="_id"), own), "-- -1 -2 a- a1 a2 b- b1 b2"),
            ((SortKey(param="twice", descending=True), own), "b1 b2 b- a1 a2 a- -1 -2 --"),
        ):
            for criterion in _WAYS:
                for limit in (1, 2, 4, 50):
                    plan = SearchPlan(type=TYPE, criterion=criterion, sort=sort, limit=limit)
                    assert await walk(storage, plan) == expected.split(), (sort, criterion, limit)

    async def test_a_key_nobody_has_leaves_all_in_some_lasting_order(self, storage: Storage) -> None:
        await create(storage, {f"r{n}": _rows(n) for n in range(7)})
        for descending in (False, True):
            plan = SearchPlan(type=TYPE, sort=(SortKey(param="unheard", descending=descending),), limit=2)
            ids = await walk(storage, plan)
            assert sorted(ids) == [f"r{n}" for n in range(7)]
            assert await walk(storage, plan) == ids

    async def test_an_update_moves_a_resource_in_every_order(self, storage: Storage) -> None:
        await create(storage, {id: _rows(n, OrderRow("key", n, n)) for n, id in enumerate("abc")})
        await create(storage, {"a": _rows(7, OrderRow("key", 7, 8))})
        for sort in (SortKey(), SortKey(param="key")):
            await _sorted(storage, sort, ["b", "c", "a"])
        await _sorted(storage, SortKey(param="key", descending=True), ["a", "c", "b"])
        await create(storage, {"c": _rows(MISSING)})
        for sort in (SortKey(), SortKey(param="key")):
            await _sorted(storage, sort, ["b", "a", "c"])

    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("param", [None, "key", "_id", "key,"])
    async def test_a_resource_whose_key_stays_appears_once_whatever_is_written_meanwhile(
        self, storage: Storage, param: str | None, descending: bool
    ) -> None:
        def rows(n: int) -> Rows:
            # Equal keys, and some without one.
            return _rows(MISSING) if n % 5 == 0 else _rows(n // 4, OrderRow("key", n // 4, n // 4))

        # With a comma a second key decides among equal ones.
        keys = [SortKey(param=param and param.strip(","), descending=descending)]
        keys += [SortKey(descending=not descending)] if param and "," in param else []
        steady = {f"s{n:02}": rows(n) for n in range(30)}
        await create(storage, {**steady, **{f"d{n:02}": rows(n) for n in range(10)}})
        for criterion in _WAYS:
            ids: list[str] = []
            cursor: Cursor | None = None
            for turn in range(100):
                plan = SearchPlan(
                    type=TYPE,
                    criterion=criterion,
                    sort=tuple(keys),
                    limit=4,
                    cursor=cursor,
                )
                page = await storage.search(plan)
                ids += [each.key.id for each in page.resources]
                cursor = page.cursor
                if cursor is None:
                    break
                gone, new = f"d{turn % 10:02}", f"n{turn:02}"
                moved = write(f"m{turn % 3}", rows(turn))
                again = [write(id, steady[id], note=f"turn {turn}") for id in list(steady)[turn % 7 :: 7]]
                if (await storage.read_many([delete(gone).key]))[0] is not None and turn % 2:
                    await put(storage, [write(gone, rows(turn)), delete(gone)])
                await put(storage, [write(new, rows(turn)), moved, *again])
            assert cursor is None
            assert sorted(id for id in ids if id in steady) == sorted(steady), criterion

    async def test_a_cursor_comes_exactly_where_something_follows(self, storage: Storage) -> None:
        await create(storage, {f"r{n}": _rows(n) for n in range(6)})
        for criterion in _WAYS:
            for sort in (SortKey(), SortKey(descending=True), SortKey(param="_id"), SortKey(param="unheard")):
                plan = SearchPlan(type=TYPE, criterion=criterion, sort=(sort,))
                for limit, follows in ((5, True), (6, False), (7, False)):
                    page = await storage.search(dataclasses.replace(plan, limit=limit))
                    assert (page.cursor is not None) == follows, (criterion, sort, limit)
                first = await storage.search(dataclasses.replace(plan, limit=3))
                second = await storage.search(dataclasses.replace(plan, limit=3, cursor=first.cursor))
                assert (len(first.resources), len(second.resources), second.cursor) == (3, 3, None)
        page = await storage.search(SearchPlan(type=TYPE, criterion=Token(param="tag", code="none")))
        assert (list(page.resources), page.cursor) == ([], None)

    async def test_a_cursor_is_of_json_scalars(self, storage: Storage) -> None:
        await create(storage, {"a": _rows(1, OrderRow("key", "a", "b")), "b": _rows(MISSING), "c": _rows(MISSING)})
        for param in (None, "key", "_id", "_lastUpdated"):
            for descending in (False, True):
                page = await storage.search(
                    SearchPlan(type=TYPE, sort=(SortKey(param=param, descending=descending),), limit=2)
                )
                assert isinstance(page.cursor, tuple)
                assert all(each is None or isinstance(each, int | float | str) for each in page.cursor)

    async def test_a_page_is_cut_by_bytes_too_but_has_a_resource(self, storage: Storage) -> None:
        sizes = {"a": 10, "b": 10, "c": 9000, "d": 10, "e": 10}
        await put(storage, [write(id, _rows(n), note="x" * size) for n, (id, size) in enumerate(sizes.items())])
        for criterion in _WAYS:
            pages = []
            cursor: Cursor | None = None
            while True:
                plan = SearchPlan(type=TYPE, criterion=criterion, max_bytes=3000, cursor=cursor)
                page = await storage.search(plan)
                pages.append([each.key.id for each in page.resources])
                cursor = page.cursor
                if cursor is None:
                    break
            assert pages == [["a", "b"], ["c"], ["d", "e"]]

    async def test_a_count_is_of_all_that_match_and_stops_where_told(self, storage: Storage) -> None:
        await create(storage, {f"r{n}": _rows(n) for n in range(12)})
        await create(storage, {"other": Rows(sort=1)})
        await storage.commit([delete("r0")])
        page = await storage.search(SearchPlan(type=TYPE, limit=2))
        for criterion in _WAYS:
            total = 12 if criterion == AllOf(()) else 11
            plan = SearchPlan(type=TYPE, criterion=criterion, limit=2, cursor=page.cursor, max_bytes=1)
            assert await storage.count(plan) == total
            assert [await storage.count(plan, at_most) for at_most in (1, 5, total, 100)] == [1, 5, total, total]
        assert await storage.count(SearchPlan(type="Unheard")) == 0


async def _past(storage: Storage, at: int) -> None:
    """Write elsewhere until the storage's clock has moved on."""
    while True:
        (stored,) = await storage.commit([write("clock", type="Basic")])
        if stored.at > at:
            return
