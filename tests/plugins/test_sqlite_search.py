"""How SQLite searches: what becomes a statement, what is read first, how it says so, what it keeps in memory."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from toro_core.errors import TooCostly
from toro_core.search.plan import (
    MISSING,
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Composite,
    Criterion,
    Ids,
    Not,
    Number,
    Period,
    Present,
    Quantity,
    Reference,
    SearchPlan,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import (
    DateRow,
    GroupRow,
    Indexed,
    NumberRow,
    OrderRow,
    ReferenceRow,
    Rows,
    Storage,
    StringRow,
    TokenRow,
    UriRow,
)
from toro_core.testing.making import TYPE, create, delete, found, key, walk, write
from toro_sqlite import open_sqlite, texts
from toro_sqlite.schema import SCHEMA_VERSION
from toro_sqlite.storage import SqliteStorage
from toro_sqlite.upkeep import SqliteUpkeep

_DAY = 86_400_000_000


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as opened:
        assert isinstance(opened, SqliteStorage)
        yield opened


class _Traced(sqlite3.Connection):
    """Notes the text of every statement."""

    texts: set[str]

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        self.texts.add(sql)
        return super().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
        self.texts.add(sql)
        return super().executemany(sql, *args)


async def test_nothing_from_outside_ever_becomes_text_of_a_statement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask_vilely: Callable[..., Awaitable[Sequence[str]]]
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(_Traced, "texts", set(), raising=False)
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, factory=_Traced, **options))
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        words = await ask_vilely(storage)
    # Each is a word of its own where it would be; those that SQL has itself are looked for with their surroundings.
    own = {"NULL": "= NULL", "?1": "'?1'", ":low": ":low", "@rid": "@rid", "@sort": "@sort", "%_": "%_"}
    assert len(_Traced.texts) > 100
    for text in _Traced.texts:
        for vile in words:
            assert own.get(vile, vile) not in text
        assert "'x" not in text


async def test_explaining_says_what_is_read_first_and_shows_no_values(storage: SqliteStorage) -> None:
    rare = {f"rare{n}": _tagged("rare-code", "common-code", n) for n in range(3)}
    await create(storage, {**rare, **{f"r{n}": _tagged("common-code", "common-code", n) for n in range(1100)}})
    plan = SearchPlan(
        type=TYPE,
        criterion=AllOf((Token(param="tag", code="common-code"), Token(param="code", code="rare-code"))),
        sort=(SortKey(descending=True),),
    )
    text = await storage.explain(plan)
    assert "reads one list in the order of the answer" in text
    assert "→ Token code: lists 3, read first" in text
    assert "Token tag: lists 1000 or more, tested" in text
    assert "FROM token t CROSS JOIN token f0" in text
    assert "rare-code" not in text
    assert "common-code" not in text
    text = await storage.explain(replace(plan, criterion=Not(Token(param="code", code="x"))))
    assert "goes through the type" in text
    text = await storage.explain(replace(plan, criterion=Token(param="unheard", code="x")))
    assert "finds nothing" in text
    many = AnyOf(tuple(Token(param="tag", code=code) for code in ("a", "b", "common-code")))
    text = await storage.explain(replace(plan, criterion=many, sort=(SortKey(param="key"), SortKey())))
    assert "sorted" in text


def _tagged(code: str, tag: str, n: int, *, sort: int | None = None) -> Rows:
    return Rows(
        sort=n if sort is None else sort,
        tokens=(TokenRow("code", "s", code), TokenRow("tag", "s", tag)),
        dates=(DateRow("date", n, n + 1),),
    )


async def _driver(storage: SqliteStorage, criterion: Criterion, *, descending: bool = True) -> str:
    plan = SearchPlan(type=TYPE, criterion=criterion, sort=(SortKey(descending=descending),))
    lines = (await storage.explain(plan)).splitlines()
    read = [line.strip(" →").partition(":")[0] for line in lines if line.endswith("read first")]
    return read[0] if read else lines[0]


async def test_of_two_long_lists_the_one_with_fewer_entries_for_the_time_is_read(storage: SqliteStorage) -> None:
    # Ten times as many of one code; both far longer than what is counted.
    await create(
        storage, {f"r{n}": _tagged("dense", "sparse" if n % 10 == 0 else "other", n * _DAY) for n in range(3000)}
    )
    dense, sparse = Token(param="code", code="dense"), Token(param="tag", code="sparse")
    for criterion in (AllOf((dense, sparse)), AllOf((sparse, dense))):
        for descending in (False, True):
            assert await _driver(storage, criterion, descending=descending) == "Token tag"
    early = Period(param="date", prefix="lt", low=20 * _DAY, high=21 * _DAY)
    assert await _driver(storage, AllOf((dense, sparse, early))) == "Token tag"


async def test_lists_are_read_from_where_all_of_them_have_begun(storage: SqliteStorage) -> None:
    # One list is dense where the other one is, and goes on for years after it.
    old = {f"o{n}": _tagged("long", "old", n * _DAY) for n in range(0, 2000, 10)}
    between = {f"b{n}": _tagged("long", "between", n * _DAY) for n in range(2000) if n % 10}
    new = {f"n{n}": _tagged("long", "new", 10**6 * _DAY + n * 10 * _DAY) for n in range(1000)}
    await create(storage, {**old, **between, **new})
    both = AllOf((Token(param="code", code="long"), Token(param="tag", code="old")))
    assert await _driver(storage, both) == "Token tag"
    plan = SearchPlan(type=TYPE, criterion=both, sort=(SortKey(descending=True),))
    assert await walk(storage, plan) == list(old)[::-1]
    await create(storage, {"never": _tagged("long", "old", 1, sort=MISSING)})
    assert await walk(storage, plan) == [*list(old)[::-1], "never"]
    assert await walk(storage, replace(plan, sort=(SortKey(),))) == [*old, "never"]


async def test_many_lists_are_merged_without_reading_them_all(storage: SqliteStorage) -> None:
    patients = [f"p{n}" for n in range(150)]
    await create(storage, {id: Rows(tokens=(TokenRow("name", "", "x"),)) for id in patients}, type="Patient")
    rows = {}
    for n in range(4000):
        reference = ReferenceRow("subject", "Patient", patients[n * 7 % 150], "")
        rows[f"r{n:04}"] = Rows(
            sort=MISSING if n % 50 == 0 else n * 3 // 2, references=(reference, reference._replace(id="p0"))
        )
    await create(storage, rows)
    chain = Chain(param="subject", type="Patient", criterion=Token(param="name", code="x"))
    for descending in (False, True):
        plan = SearchPlan(type=TYPE, criterion=chain, sort=(SortKey(descending=descending),), limit=300)
        assert "150 lists" in await storage.explain(plan)
        dated = sorted((id for id in rows if int(id[1:]) % 50), reverse=descending)
        missing = sorted((id for id in rows if int(id[1:]) % 50 == 0), reverse=descending)
        ids = await walk(storage, plan)
        assert ids[: len(dated)] == dated
        assert sorted(ids[len(dated) :], reverse=descending) == missing


async def test_equal_sort_values_in_many_lists_are_all_found_where_a_page_ends_among_them(
    storage: SqliteStorage,
) -> None:
    patients = [f"p{n}" for n in range(70)]
    await create(storage, {id: Rows(tokens=(TokenRow("name", "", "x"),)) for id in patients}, type="Patient")
    rows = {
        f"r{n:03}": Rows(sort=n // 45, references=(ReferenceRow("subject", "Patient", patients[n % 70], ""),))
        for n in range(280)
    }
    await create(storage, rows)
    chain = Chain(param="subject", type="Patient", criterion=Token(param="name", code="x"))
    for descending in (False, True):
        plan = SearchPlan(type=TYPE, criterion=chain, sort=(SortKey(descending=descending),), limit=10)
        assert "which lists have the next of it" in await storage.explain(plan)
        assert await walk(storage, plan) == sorted(rows, reverse=descending)


async def test_a_string_is_looked_up_by_the_resource_that_is_tested(tmp_path: Path, storage: SqliteStorage) -> None:
    with sqlite3.connect(tmp_path / "toro.db") as connection:
        for match in ("starts", "contains", "exact"):
            where = texts.text(1, Text(param="name", value="jo", match=match)).where.on("r")
            sql = f"EXPLAIN QUERY PLAN SELECT 1 FROM resource r WHERE {where.text}"  # noqa: S608 - the text is of literals
            plan = connection.execute(sql, where.args)
            # By its start it would be looked for among all that start so, once for each resource.
            assert "string USING PRIMARY KEY (rid=? AND param=?)" in str(plan.fetchall())


async def test_thousands_of_alternative_strings_are_one_value_of_a_statement(storage: SqliteStorage) -> None:
    exact = ["Ada", "ada", "Adam", "Bea", "A\U0010ffff\U0010ffffb", "ÁDA", "zz"]
    rows = {
        f"r{n}": Rows(
            strings=(StringRow("name", text.casefold().replace("á", "a"), text), StringRow("other", "a", "a"))
        )
        for n, text in enumerate(exact)
    }
    await create(storage, rows)
    for match in ("starts", "contains", "exact"):
        for value, known in (("Ada", "ada"), ("Da", "da"), ("A\U0010ffff", "a\U0010ffff")):
            one: Criterion = Text(param="name", value=known, match="starts" if match == "exact" else match)
            if match == "exact":
                one = AllOf((one, Text(param="name", value=value, match="exact")))
            many = tuple(
                replace(one, value=f"no{n}")
                if isinstance(one, Text)
                else AllOf((Text(param="name", value=f"no{n}"), Text(param="name", value=f"No{n}", match="exact")))
                for n in range(1000)
            )
            expected = await found(storage, SearchPlan(type=TYPE, criterion=one))
            together = AnyOf((many[0], AnyOf((one, *many)), Token(param="none", code="x")))
            plan = SearchPlan(type=TYPE, criterion=together)
            assert await found(storage, plan) == expected
            assert await storage.count(plan) == len(expected)
            assert await found(storage, replace(plan, criterion=Not(together))) == set(rows) - expected
            assert await found(storage, replace(plan, criterion=AllOf((together, Ids(ids=("r0", "r1")))))) == (
                expected & {"r0", "r1"}
            )


async def test_dates_that_lie_anywhere_from_the_order_are_found_by_themselves(storage: SqliteStorage) -> None:
    born = {f"r{n}": Rows(sort=10**6 * _DAY, dates=(DateRow("born", n * _DAY, (n + 1) * _DAY),)) for n in range(5000)}
    await create(storage, born)
    plan = SearchPlan(
        type=TYPE, criterion=Period(param="born", prefix="eq", low=7 * _DAY, high=9 * _DAY), sort=(SortKey(),)
    )
    assert "collects what one criterion lists" in await storage.explain(plan)
    assert await walk(storage, plan) == ["r7", "r8"]
    assert await storage.count(plan) == 2


async def test_dates_are_found_by_the_order_only_while_all_that_have_a_place_in_it_have_dates(
    storage: SqliteStorage,
) -> None:
    def dated(n: int) -> Rows:
        return Rows(sort=n, dates=(DateRow("date", n, n + 3), DateRow("issued", n + 1, n + 2)))

    def expected(prefix: str, low: int, high: int, start: int, end: int) -> bool:
        return {
            "eq": low <= start and end <= high,
            "gt": end > high,
            "lt": start < low,
            "ge": end > high or (low <= start and end <= high),
            "le": start < low or (low <= start and end <= high),
            "sa": start >= high,
            "eb": end <= low,
            "ap": start < high and end > low,
            "ne": not (low <= start and end <= high),
        }[prefix]

    async def check(*others: str) -> None:
        for prefix in ("eq", "gt", "lt", "ge", "le", "sa", "eb", "ap", "ne"):
            for low, high in ((10, 20), (14, 15), (0, 40), (19, 22)):
                criterion = Period(param="date", prefix=prefix, low=low, high=high)
                there = {f"r{n}" for n in range(30) if expected(prefix, low, high, n, n + 3)}
                plan = SearchPlan(type=TYPE, criterion=criterion)
                assert await found(storage, plan) == there, criterion
                rest = {f"r{n}" for n in range(30)} | set(others)
                assert await found(storage, replace(plan, criterion=Not(criterion))) == rest - there, criterion

    await create(storage, {f"r{n}": dated(n) for n in range(30)})
    await create(storage, {"never": Rows(sort=MISSING)})
    asked = SearchPlan(type=TYPE, criterion=Period(param="date", prefix="ge", low=1, high=2))
    assert "sort BETWEEN" in await storage.explain(asked)
    await check("never")
    await create(storage, {"placed": Rows(sort=15)})
    await check("never", "placed")
    assert "sort BETWEEN" not in await storage.explain(asked)
    await create(storage, {"placed": Rows(sort=15, dates=(DateRow("issued", 1, 2),)), "now": Rows()})
    await check("never", "placed", "now")


async def test_two_that_write_do_not_forget_each_others_dates(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/toro.db"

    async def check(storages: Iterable[Storage], late: set[str], issued: set[str]) -> None:
        for one in storages:
            plan = SearchPlan(type=TYPE, criterion=Period(param="date", prefix="gt", low=240, high=250))
            assert await found(one, plan) == late
            plan = SearchPlan(type=TYPE, criterion=Period(param="issued", prefix="le", low=200, high=201))
            assert await found(one, plan) == issued

    near, far = (DateRow("date", 100, 103),), (DateRow("date", 50, 300),)
    async with open_sqlite(url) as first, open_sqlite(url) as second:
        # The first of a type says which dates all of it have; both writers see such a first one.
        await create(first, {"gone": Rows(sort=100, dates=near)})
        await first.commit([delete("gone")])
        await create(second, {"issued": Rows(sort=100, dates=(*near, DateRow("issued", 100, 101)))})
        await create(first, {"near": Rows(sort=100, dates=near)})
        await check((first, second), set(), {"issued"})
        await create(second, {"far": Rows(sort=100, dates=far)})
        await create(first, {"nearer": Rows(sort=100, dates=(DateRow("date", 101, 104),))})
        await check((first, second), {"far"}, {"issued"})


async def test_too_many_to_sort_are_refused(storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toro_sqlite.keyed._MOST", 20)
    await create(storage, {f"r{n}": Rows(sort=1, orders=(OrderRow("key", n, n),)) for n in range(25)})
    plan = SearchPlan(type=TYPE, sort=(SortKey(), SortKey(param="key")))
    with pytest.raises(TooCostly, match="narrow the search"):
        await storage.search(plan)
    assert len(await walk(storage, replace(plan, sort=(SortKey(param="key"), SortKey()), limit=7))) == 25


async def test_a_database_of_schema_1_is_migrated_and_indexed_again(tmp_path: Path) -> None:
    path = tmp_path / "toro.db"
    number, group = NumberRow("value", 1, 1), GroupRow("group", Rows(numbers=(NumberRow("value", 1, 1),)))
    async with open_sqlite(f"sqlite:///{path}") as storage:
        await create(storage, {"a": Rows(tokens=(TokenRow("code", "", "x"),)), "b": Rows()})
    _to_schema_1(path)
    await SqliteUpkeep().upgrade(f"sqlite:///{path}")
    async with open_sqlite(f"sqlite:///{path}") as storage:
        value = SearchPlan(type=TYPE, criterion=Number(param="value", prefix="eq", low=1, high=2))
        code = SearchPlan(type=TYPE, criterion=Token(param="code", code="x"))
        assert await found(storage, code) == {"a"}
        assert await found(storage, value) == set()
        await storage.reindex([Indexed(key("a"), 1, Rows(numbers=(number,), groups=(group,)))])
        assert await found(storage, value) == {"a"}
        assert await found(storage, code) == set()
        assert await found(storage, SearchPlan(type=TYPE, criterion=Present(param="group"))) == {"a"}
        await storage.commit([delete("a"), write("b", Rows(numbers=(number,)))])
        assert await found(storage, value) == {"b"}


def _to_schema_1(path: Path) -> None:
    """Take away what the second migration added, down to the resources' own records."""
    import msgspec

    with sqlite3.connect(path) as connection:
        for rid, blob in connection.execute("SELECT rid, postings FROM resource WHERE postings IS NOT NULL").fetchall():
            old = msgspec.msgpack.encode(msgspec.msgpack.decode(blob)[:4])
            connection.execute("UPDATE resource SET postings = ? WHERE rid = ?", (old, rid))
        connection.execute("DROP TABLE amount")
        connection.execute("DROP TABLE unit")
        connection.execute("ALTER TABLE param DROP COLUMN grouped")
        connection.execute("ALTER TABLE param DROP COLUMN sparse")
        connection.execute("DELETE FROM schema WHERE version > 1")
    connection.close()


async def test_a_database_of_schema_2_is_migrated_and_answers_as_before(tmp_path: Path) -> None:
    path = tmp_path / "toro.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(Path(__file__).with_name("schema_2.sql").read_text())
    connection.close()
    await SqliteUpkeep().upgrade(f"sqlite:///{path}")
    async with open_sqlite(f"sqlite:///{path}") as storage:
        record = await storage.get_state("kept")
        assert record is not None
        assert record.value == b"value"
        await _answers_of_schema_2(storage, ["o0", "o2", "o1"])
        # A resource written now is indexed by the rules of now, and stands among the others.
        rows = Rows(
            sort=1,
            uris=(UriRow("url", "http://example.org/4"),),
            orders=(OrderRow("url", "http://example.org/4", "http://example.org/4"),),
        )
        await storage.commit([write("new", rows)])
        assert await walk(storage, _sorted_by("url")) == ["o0", "o2", "new", "o1"]
        await storage.commit([delete("new")])
        await _answers_of_schema_2(storage, ["o0", "o2", "o1"])
        await storage.commit([delete("o0"), delete("o2")])
        await _answers_of_schema_2(storage, ["o1"])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT max(version) FROM schema").fetchone() == (SCHEMA_VERSION,)
        tables = ("token", "reference", "uri", "date", "string", "ordering", "amount")
        of_other = " UNION ALL ".join(f"SELECT rid FROM {table}" for table in tables)  # noqa: S608 - own names
        left = connection.execute(f"SELECT DISTINCT id FROM ({of_other}) JOIN resource USING (rid)").fetchall()  # noqa: S608
        assert sorted(left) == [("o1",), ("p0",), ("p1",)]
    connection.close()


async def _answers_of_schema_2(storage: Storage, ids: list[str]) -> None:
    """Search for what the Observations of schema_2.sql hold; `ids` are those that are there, by date."""
    n_of = {"o0": 0, "o1": 5, "o2": 2}
    cases: tuple[tuple[Criterion, set[str]], ...] = (
        (Token(param="code", system="http://codes.example", code="c0"), {"o0", "o2"}),
        (Text(param="name", value="ann"), {"o0", "o1", "o2"}),
        (Reference(param="subject", type="Patient", id="p1"), {"o1"}),
        (Compartment(id="p1"), {"o1"}),
        (Chain(param="subject", type="Patient", criterion=Text(param="name", value="bea")), {"o0", "o2"}),
        (Uri(param="_profile", value="http://profiles.example/0"), {"o0", "o2"}),
        (Number(param="value", prefix="ge", low=2, high=2), {"o1", "o2"}),
        (
            Quantity(param="amount", prefix="lt", low=5, high=5, system="http://unitsofmeasure.org", code="mg"),
            {"o0", "o2"},
        ),
        (Present(param="pair"), {"o0", "o1", "o2"}),
        (Period(param="date", prefix="ge", low=2 * _DAY, high=3 * _DAY), {"o1", "o2"}),
        (Period(param="date", prefix="lt", low=5 * _DAY, high=6 * _DAY), {"o0", "o2"}),
        (Period(param="date", prefix="eq", low=5 * _DAY, high=6 * _DAY), {"o1"}),
    )
    for criterion, matches in cases:
        assert await found(storage, SearchPlan(type=TYPE, criterion=criterion)) == matches & {*ids}, criterion
    assert await walk(storage, SearchPlan(type=TYPE)) == ids
    for param in ("date", "url", "name"):
        assert await walk(storage, _sorted_by(param)) == sorted(ids, key=n_of.__getitem__)
    for param in ("code", "subject"):
        assert (await walk(storage, _sorted_by(param)))[-1:] == (["o1"] if "o1" in ids else ids[-1:])


def _sorted_by(param: str) -> SearchPlan:
    return SearchPlan(type=TYPE, sort=(SortKey(param=param), SortKey()), limit=2)


_SEARCH = """
import asyncio, resource, sys
from toro_core.search.plan import AllOf, AnyOf, Not, SearchPlan, SortKey, Text, Token
from toro_sqlite import open_sqlite, texts

async def main() -> None:
    async with open_sqlite(sys.argv[1]) as storage:
        plans = [
            SearchPlan(type="Observation", sort=sort, criterion=criterion)
            for sort in ((SortKey(descending=True),), (SortKey(param="key"), SortKey()), (SortKey(param="_lastUpdated"),))
            for criterion in (Token(param="code", code="x"), Not(Token(param="code", code="y")), Text(param="name", value="n"))
        ]
        await storage.search(SearchPlan(type="Observation", limit=1))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for plan in plans:
            assert len((await storage.search(plan)).resources) == 50
            assert await storage.count(plan) == 6000
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main())
"""


async def test_a_page_is_all_of_a_search_that_is_held_in_memory(tmp_path: Path) -> None:
    url, size = f"sqlite:///{tmp_path}/toro.db", 20_000
    async with open_sqlite(url) as storage:
        for start in range(0, 6000, 500):
            await storage.commit([_heavy(n, size) for n in range(start, start + 500)])
    python = shutil.which(sys.executable) or sys.executable
    grown = int(subprocess.run([python, "-c", _SEARCH, url], check=True, capture_output=True, text=True).stdout)
    # 120 MB lie there; SQLite may keep 32 MiB of pages on each of the connections that were used.
    assert grown < 90_000


def _heavy(n: int, size: int) -> Any:
    rows = Rows(
        sort=n,
        tokens=(TokenRow("code", "", "x"),),
        strings=(StringRow("name", f"n{n}", f"N{n}"),),
        orders=(OrderRow("key", n % 3, n % 3),),
    )
    return write(f"r{n}", rows, note="x" * size)


async def test_a_search_that_takes_long_moves_to_a_thread_wherever_it_is_stopped(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Groups are looked at in Python inside a statement, and the names in them are looked up by statements of their own.
    rows = {
        f"r{n}": Rows(groups=(GroupRow("group", Rows(tokens=(TokenRow("code", f"system-{n}", "x"),))),))
        for n in range(40)
    }
    await create(storage, rows)
    plan = SearchPlan(type=TYPE, criterion=Composite(param="group", criteria=(Token(param="code", code="x"),)))
    monkeypatch.setattr("toro_sqlite.readers._INLINE_STEPS", 7)
    for looks in range(60):
        ticks = iter((*(0.0,) * (looks + 1), 9.0))
        monkeypatch.setattr("toro_sqlite.readers.time", SimpleNamespace(monotonic=lambda ticks=ticks: next(ticks, 0.0)))
        assert await storage.count(plan) == 40


async def test_searches_side_by_side_ask_their_own_questions(storage: Storage) -> None:
    # Predicates belong to one search; those of searches side by side are not mixed up.
    await create(storage, {f"r{n}": Rows(numbers=(NumberRow("value", n, n),)) for n in range(50)})
    plans = [
        SearchPlan(type=TYPE, criterion=Not(Number(param="value", prefix="eq", low=n, high=n + 1))) for n in range(50)
    ]
    pages = await asyncio.gather(*(storage.search(plan) for plan in plans))
    for n, page in enumerate(pages):
        assert {each.key.id for each in page.resources} == {f"r{m}" for m in range(50) if m != n}
