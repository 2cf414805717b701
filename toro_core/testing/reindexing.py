"""New index rows without a new version."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

from toro_core.search.plan import AllOf, Composite, Criterion, Number, Period, Present, SearchPlan, SortKey, Text, Token
from toro_core.storage import DateRow, GroupRow, Indexed, NumberRow, OrderRow, Rows, Storage, StringRow, TokenRow
from toro_core.testing.making import TYPE, create, delete, found, key, walk, write

__all__ = ["ReindexConformance"]


def _rows(n: int) -> Rows:
    token = TokenRow("code", "s", f"c{n}")
    return Rows(
        sort=n,
        tokens=(token, TokenRow("kept", "", "kept")),
        strings=(StringRow("name", f"n{n}", f"N{n}"),),
        dates=(DateRow("date", n, n + 1),),
        numbers=(NumberRow("value", n, n),),
        groups=(GroupRow("group", Rows(tokens=(token,))),),
        orders=(OrderRow("key", -n, -n),),
    )


def _criteria(n: int) -> tuple[Criterion, ...]:
    code = Token(param="code", code=f"c{n}")
    return (
        code,
        Text(param="name", value=f"n{n}"),
        Period(param="date", prefix="eq", low=n, high=n + 1),
        Number(param="value", prefix="eq", low=n, high=n + 0.5),
        Composite(param="group", criteria=(code,)),
        AllOf((code, Token(param="kept", code="kept"))),
    )


class ReindexConformance:
    """What `toro reindex` needs."""

    async def test_new_rows_take_the_place_of_the_old_ones(self, storage: Storage) -> None:
        await create(storage, {"a": _rows(1), "b": _rows(2)})
        await storage.reindex([Indexed(key("a"), 1, _rows(3))])
        for n, expected in ((1, set()), (2, {"b"}), (3, {"a"})):
            for criterion in _criteria(n):
                assert await found(storage, SearchPlan(type=TYPE, criterion=criterion)) == expected, criterion
        assert await walk(storage, SearchPlan(type=TYPE)) == ["b", "a"]
        assert await walk(storage, SearchPlan(type=TYPE, sort=(SortKey(param="key"),))) == ["a", "b"]
        await storage.reindex([Indexed(key("a"), 1, Rows(sort=0))])
        everything = Present(param="kept")
        assert await found(storage, SearchPlan(type=TYPE, criterion=everything)) == {"b"}
        assert await walk(storage, SearchPlan(type=TYPE)) == ["a", "b"]

    async def test_reindexing_makes_no_version_and_moves_no_time(self, storage: Storage) -> None:
        (before,) = await storage.commit([write("a", _rows(1))])
        await storage.reindex([])
        await storage.reindex([Indexed(key("a"), 1, _rows(2))])
        assert await storage.read(key("a")) == before
        (after,) = await storage.commit([write("a", _rows(3))])
        assert after.version == 2
        for n, expected in ((1, set()), (2, set()), (3, {"a"})):
            for criterion in _criteria(n):
                assert await found(storage, SearchPlan(type=TYPE, criterion=criterion)) == expected

    async def test_without_a_sort_value_the_time_of_the_commit_stays_the_order(self, storage: Storage) -> None:
        (stored,) = await storage.commit([write("a", Rows())])
        await create(storage, {"early": Rows(sort=1), "late": Rows(sort=stored.at * 1000 + 10**12)})
        await storage.reindex([Indexed(key("a"), 1, Rows(tokens=(TokenRow("code", "", "x"),)))])
        assert await walk(storage, SearchPlan(type=TYPE)) == ["early", "a", "late"]

    async def test_what_has_changed_since_it_was_read_is_left_as_it_is(self, storage: Storage) -> None:
        await create(storage, {"a": _rows(1), "gone": _rows(1)})
        await create(storage, {"a": _rows(2)})
        await storage.commit([delete("gone")])
        stale = [Indexed(key("a"), 1, _rows(9)), Indexed(key("gone"), 1, _rows(9)), Indexed(key("gone"), 2, _rows(9))]
        await storage.reindex([*stale, Indexed(key("nobody"), 1, _rows(9))])
        for n, expected in ((1, set()), (2, {"a"}), (9, set())):
            for criterion in _criteria(n):
                assert await found(storage, SearchPlan(type=TYPE, criterion=criterion)) == expected
        assert await storage.read_many([key("nobody")]) == [None]
