"""How folders of NDJSON are searched: lists that stay in order, columns of values, and writes meanwhile."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from toro_core.search.evaluate import matches
from toro_core.search.plan import (
    AllOf,
    Has,
    Number,
    Period,
    Present,
    Quantity,
    SearchPlan,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import (
    DateRow,
    Key,
    NumberRow,
    OrderRow,
    QuantityRow,
    ReferenceRow,
    Rows,
    Storage,
    StringRow,
    TokenRow,
    UriRow,
)
from toro_core.testing.making import TYPE, delete, found, walk, write
from toro_ndjson import open_ndjson
from toro_ndjson.columns import Column, Valued, column_name
from toro_ndjson.ordered import Ordered
from toro_ndjson.rows import encoded, plain
from toro_ndjson.versions import Head, Version

_ENTRIES = some.lists(some.tuples(some.integers(0, 20), some.text("abc", max_size=2)), unique=True, max_size=40)
_BOUNDS = some.none() | some.tuples(some.integers(-1, 21)) | some.tuples(some.integers(-1, 21), some.text("abc"))


@given(_ENTRIES, _ENTRIES, some.randoms(use_true_random=False), _BOUNDS, _BOUNDS, some.integers(1, 4))
def test_entries_stay_in_order_whatever_is_added_and_taken(
    first: list[Any], later: list[Any], chance: Any, low: Any, high: Any, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toro_ndjson.ordered._BLOCK", block)
        patch.setattr("toro_ndjson.ordered._PIECE", block)
        ordered, every = Ordered(first), sorted(first)
        for entry in later:
            if entry not in every:
                ordered.add(entry)
                every = sorted([*every, entry])
            if every and chance.random() < 0.5:
                every.remove(gone := chance.choice(every))
                ordered.remove(gone)
    start = 0 if low is None else bisect_left(every, low)
    end = len(every) if high is None else bisect_left(every, high)
    assert len(ordered) == len(every)
    assert list(ordered.between(low, high)) == every[start:end]
    downwards = [entry for piece in ordered.downwards(low, high) for entry in piece]
    assert downwards == sorted(every[start:end], key=lambda entry: entry[0], reverse=True)
    if low is not None:
        assert ordered.rank(low) == start


_PREFIXES: Any = some.sampled_from(("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"))
_MOMENTS = some.integers(-5, 5) | some.integers(-(2**62), 2**62) | some.sampled_from((-(2**62), 2**62))
_FLOATS = some.sampled_from((-1.5, 0.0, 0.1, 0.3, 1e-300, 1e20, -1.7976931348623157e308, 1.7976931348623157e308)) | (
    some.floats(allow_nan=False, allow_infinity=False)
)
_WORDS = some.text("ab\U0010ffff", max_size=3)


def _interval(values: Any) -> Any:
    return some.tuples(values, values).map(lambda pair: tuple(sorted(pair)))


_ROWS = some.builds(
    Rows,
    dates=some.lists(_interval(_MOMENTS).map(lambda each: DateRow("p", *each)), max_size=3).map(tuple),
    numbers=some.lists(_interval(_FLOATS).map(lambda each: NumberRow("p", *each)), max_size=3).map(tuple),
    quantities=some.lists(
        some.tuples(some.sampled_from(("", "s")), some.sampled_from(("", "c")), _interval(_FLOATS)).map(
            lambda each: QuantityRow("p", each[0], each[1], *each[2])
        ),
        max_size=3,
    ).map(tuple),
    strings=some.lists(some.builds(StringRow, some.just("p"), _WORDS, _WORDS), max_size=3).map(tuple),
    uris=some.lists(some.builds(UriRow, some.just("p"), _WORDS), max_size=3).map(tuple),
    sort=some.none() | some.integers(-5, 5),
)
_CRITERIA: Any = some.one_of(
    some.tuples(_PREFIXES, _interval(_MOMENTS)).map(
        lambda each: Period(param="p", prefix=each[0], low=each[1][0], high=each[1][1])
    ),
    some.tuples(_PREFIXES, _interval(_FLOATS)).map(
        lambda each: Number(param="p", prefix=each[0], low=each[1][0], high=each[1][1])
    ),
    some.tuples(_PREFIXES, _interval(_FLOATS), some.sampled_from(("", "s")), some.sampled_from((None, "", "c"))).map(
        lambda each: Quantity(param="p", prefix=each[0], low=each[1][0], high=each[1][1], system=each[2], code=each[3])
    ),
    some.builds(Text, param=some.just("p"), value=_WORDS, match=some.sampled_from(("starts", "contains", "exact"))),
    some.builds(Uri, param=some.just("p"), value=_WORDS, match=some.sampled_from(("exact", "starts"))),
)


def _head(id: str, rows: Rows) -> Head:
    return Head(Version(Key(TYPE, id), 1, 1, 0, 0, None), encoded(rows), rows.sort)


@given(some.lists(_ROWS, max_size=6), some.lists(_ROWS, max_size=4), _CRITERIA)
def test_a_column_lists_and_judges_as_the_reference_does(
    first: list[Rows], later: list[Rows], criterion: Valued
) -> None:
    name = column_name(criterion)
    heads = {str(n): _head(str(n), rows) for n, rows in enumerate(first)}
    column = Column(name, [(head, plain(head.rows or b"").get(name.kind, ())) for head in heads.values()])
    for n, rows in enumerate(later):
        # Every other one is there already and is replaced.
        if str(n * 2) in heads:
            column.remove(heads.pop(str(n * 2)))
        head = heads[str(n * 2)] = _head(str(n * 2), rows)
        column.add(head, plain(head.rows or b""))
    rows_of = {n: first[int(n)] for n in heads if int(n) < len(first)}
    rows_of |= {str(n * 2): rows for n, rows in enumerate(later)}
    expected = {n for n, rows in rows_of.items() if matches(criterion, Key(TYPE, n), 0, rows)}
    holds = column.test(criterion)
    assert {n for n, head in heads.items() if holds(head)} == expected
    if column.size(criterion) is not None:
        listed = [head.version.key.id for head in column.heads(criterion)]
        assert expected <= set(listed)
        assert len(listed) == column.size(criterion)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_ndjson(f"ndjson:///{tmp_path}/data") as storage:
        yield storage


def _dated(day: int, *codes: str, patient: int = 0) -> Rows:
    low = day * 86_400_000_000
    return Rows(
        sort=low,
        tokens=tuple(TokenRow("code", "", code) for code in codes),
        dates=(DateRow("date", low, low + 86_400_000_000),),
        references=(ReferenceRow("subject", "Patient", f"p{patient}", ""),),
        orders=(OrderRow("date", low, low),),
    )


def _from(day: int) -> Period:
    return Period(param="date", prefix="ge", low=day * 86_400_000_000, high=(day + 1) * 86_400_000_000)


def _before(day: int) -> Period:
    return Period(param="date", prefix="lt", low=day * 86_400_000_000, high=(day + 1) * 86_400_000_000)


@pytest.mark.parametrize("descending", [False, True])
async def test_a_range_of_dates_is_read_from_where_it_begins(storage: Storage, descending: bool) -> None:
    await storage.commit([write(f"r{day:04}", _dated(day)) for day in range(1_500)])
    long = Rows(sort=0, dates=(DateRow("date", 0, 900 * 86_400_000_000),))
    several = Rows(sort=0, dates=(DateRow("date", 0, 1), _dated(705).dates[0]))
    await storage.commit([write("long", long), write("several", several), write("none")])
    plan = SearchPlan(
        type=TYPE,
        criterion=AllOf((_from(700), _before(720))),
        sort=(SortKey(descending=descending),),
        limit=7,
    )
    days = [f"r{day:04}" for day in range(700, 720)]
    ids = await walk(storage, plan)
    assert [each for each in ids if each.startswith("r")] == (days[::-1] if descending else days)
    assert sorted(each for each in ids if not each.startswith("r")) == ["long", "several"]


async def _meanwhile(storage: Storage, plan: SearchPlan, writes: Sequence[Any]) -> set[str]:
    """Search, and write as soon as a thread is at work."""
    search = asyncio.create_task(found(storage, plan))
    await asyncio.sleep(0)
    await storage.commit(writes)
    return await search


@pytest.mark.parametrize(
    "criterion",
    [
        Present(param="code"),
        AllOf((Token(param="code", system="", code="a"), Present(param="date"))),
        AllOf((_from(0), Present(param="date"))),
    ],
)
async def test_what_is_replaced_while_a_thread_searches_is_found_once(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, criterion: Any
) -> None:
    for module in ("finding", "walking"):
        monkeypatch.setattr(f"toro_ndjson.{module}.INLINE", 5)
    monkeypatch.setattr("toro_ndjson.finding._SMALL", 1)
    monkeypatch.setattr("toro_ndjson.finding._PIECE", 3)
    monkeypatch.setattr("toro_ndjson.shelf._INLINE", 5)
    writes = [write(f"r{n}", _dated(n, "a")) for n in range(40)]
    await storage.commit(writes)
    for _ in range(5):
        assert await _meanwhile(storage, SearchPlan(type=TYPE, criterion=criterion, limit=100), writes) == {
            f"r{n}" for n in range(40)
        }


async def test_orders_and_columns_that_are_being_made_follow_what_is_written(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toro_ndjson.shelf._INLINE", 0)
    monkeypatch.setattr("toro_ndjson.shelf._MOST", 1)
    await storage.commit([write(f"r{n}", _dated(n, "a")) for n in range(30)])
    for n in range(10):
        plan = SearchPlan(type=TYPE, criterion=_from(5), sort=(SortKey(param="date"),), limit=100)
        await _meanwhile(storage, plan, [write(f"r{n}", _dated(n + 20, "a")), delete(f"r{20 + n}")])
        ids = await walk(storage, plan)
        days = {each: each + 20 if each <= n else each for each in range(20)} | {n: n for n in range(21 + n, 30)}
        assert ids == [
            f"r{each}" for each in sorted(days, key=lambda each: (days[each], f"r{each}")) if days[each] >= 5
        ]


async def test_who_refers_to_a_resource_is_asked_in_threads_too(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("finding", "walking"):
        monkeypatch.setattr(f"toro_ndjson.{module}.INLINE", 5)
    await storage.commit([write(f"p{n}", type="Patient") for n in range(20)])
    writes = [write(f"r{n}", _dated(n, "a", patient=n % 7)) for n in range(40)]
    await storage.commit(writes)
    plan = SearchPlan(
        type="Patient",
        criterion=Has(type=TYPE, param="subject", criterion=Token(param="code", system="", code="a")),
        limit=100,
    )
    for _ in range(5):
        assert await _meanwhile(storage, plan, writes) == {f"p{n}" for n in range(7)}


async def test_a_cancelled_search_leaves_its_columns_to_the_next(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toro_ndjson.shelf._INLINE", 0)
    await storage.commit([write(f"r{n}", _dated(n)) for n in range(30)])
    plan = SearchPlan(type=TYPE, criterion=_from(20), limit=100)
    searches = [asyncio.create_task(storage.search(plan)) for _ in range(3)]
    await asyncio.sleep(0)
    searches[0].cancel()
    pages = await asyncio.gather(*searches, return_exceptions=True)
    assert isinstance(pages[0], asyncio.CancelledError)
    assert await found(storage, plan) == {f"r{n}" for n in range(20, 30)}
    for page in pages[1:]:
        assert not isinstance(page, BaseException)
        assert len(page.resources) == 10
