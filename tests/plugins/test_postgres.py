from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toro_core.errors import StorageBusy, StorageError, TooCostly, Unsupported
from toro_core.plugins import open_storage, upkeep
from toro_core.search.plan import (
    MISSING,
    AllOf,
    AnyOf,
    Compartment,
    LastUpdated,
    Number,
    Period,
    Quantity,
    SearchPlan,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import (
    DateRow,
    Explains,
    GivesScratch,
    HistoryPlan,
    Indexed,
    NumberRow,
    OrderRow,
    Rows,
    Schema,
    Storage,
    StringRow,
    TokenRow,
    Upgrades,
    UriRow,
)
from toro_core.testing import StorageConformance
from toro_core.testing.making import TYPE, create, delete, found, key, walk, write
from toro_postgres import open_postgres
from toro_postgres.schema import MIGRATIONS

psycopg = pytest.importorskip("psycopg")


class TestPostgres(StorageConformance):
    @pytest.fixture
    async def storage(self, new_postgres: Callable[[], str]) -> AsyncIterator[Storage]:
        async with open_postgres(new_postgres()) as storage:
            yield storage

    @pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
    async def test_any_plan_finds_and_orders_as_the_reference_says(self, storage: Storage, seed: int) -> None:
        await super().test_any_plan_finds_and_orders_as_the_reference_says(storage, seed)

    @pytest.fixture
    def url(self, new_postgres: Callable[[], str]) -> str:
        return new_postgres()


async def test_the_plugin_is_found_by_its_scheme(new_postgres: Callable[[], str]) -> None:
    async with open_storage(new_postgres()) as storage:
        await storage.commit([write("a")])
        assert (await storage.read(key("a"))).version == 1


async def test_without_its_driver_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("toro_postgres.") and name != "toro_postgres.plugin"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Unsupported, match=r"pip install toro-fhir\[postgres\]"):
        async with open_storage("postgresql://localhost/toro"):
            pass


async def test_a_url_that_leads_nowhere_is_said_without_what_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(StorageBusy, match="does not answer") as caught:
        async with open_postgres(f"postgresql://toro:secret@/toro?host={tmp_path}"):
            pass
    assert "secret" not in str(caught.value)
    with pytest.raises(Unsupported, match="postgresql://user@host") as refused:
        async with open_postgres("postgresql://toro:secret@host/toro?nonsense=1"):
            pass
    assert "secret" not in str(refused.value)


async def test_a_newer_schema_is_refused(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()
    async with open_postgres(url):
        pass
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO toro_schema VALUES (99, now(), '')")
    with pytest.raises(Unsupported, match=r"schema 99.*upgrade toro-fhir"):
        async with open_postgres(url):
            pass


async def test_many_that_open_an_empty_database_at_once_make_one_schema(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()

    async def commit(n: int) -> None:
        async with open_postgres(url) as storage:
            await storage.commit([write(f"r{n}")])

    await asyncio.gather(*(commit(n) for n in range(5)))
    async with open_postgres(url) as storage:
        assert await found(storage, SearchPlan(type=TYPE)) == {f"r{n}" for n in range(5)}


async def test_an_answer_is_durable_whatever_the_database_is_set_to(
    new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_postgres()
    seen: list[str] = []
    original = psycopg.AsyncCursor.execute

    async def spy(self: Any, query: bytes | str, *args: Any, **options: Any) -> Any:
        if b"INSERT INTO receipt" in (query if isinstance(query, bytes) else query.encode()):
            await original(self, b"SHOW synchronous_commit")
            seen.extend(await self.fetchone())
        return await original(self, query, *args, **options)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", spy)
    async with open_postgres(url.replace("options=", "options=-csynchronous_commit%3Doff%20")) as storage:
        await storage.commit([write("a")])
        await storage.put_state("k", b"")
    assert seen == ["on", "on"]


async def test_nothing_from_outside_ever_becomes_text_of_a_statement(
    new_postgres: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    ask_vilely: Callable[..., Awaitable[Sequence[str]]],
) -> None:
    texts: set[str] = set()

    def traced(original: Callable[..., Any]) -> Callable[..., Any]:
        def spy(self: Any, query: bytes | str, *args: Any, **options: Any) -> Any:
            texts.add(query.decode() if isinstance(query, bytes) else query)
            return original(self, query, *args, **options)

        return spy

    for name in ("execute", "executemany", "copy", "stream"):
        monkeypatch.setattr(psycopg.AsyncCursor, name, traced(getattr(psycopg.AsyncCursor, name)))
    async with open_postgres(new_postgres()) as storage:
        words = await ask_vilely(storage, ("x' OR 1=1; --", "NULL", "%s", "$1"))
    assert len(texts) > 100
    # Each is a word of its own where it would be; those that SQL or the driver has itself are looked for with their surroundings.
    own = {"NULL": "= NULL", "%s": "'%s'"}
    for text in texts:
        for vile in words:
            assert own.get(vile, vile) not in text


async def test_a_statement_that_takes_too_long_is_stopped(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()
    async with open_postgres(url) as storage:
        await create(storage, {f"r{n}": Rows(strings=(StringRow("name", "a" * 50, "a"),)) for n in range(300)})
    texts = tuple(Text(param="name", value=f"b{n}", match="contains") for n in range(400))
    async with open_postgres(url.replace("options=", "options=-cstatement_timeout%3D20%20")) as storage:
        with pytest.raises(TooCostly, match="statement_timeout"):
            await storage.count(SearchPlan(type=TYPE, criterion=AllOf((AnyOf(texts),))))
        assert (await storage.read(key("r1"))).version == 1


async def test_a_write_that_is_stopped_among_others_sent_at_once_is_told_and_leaves_nothing(
    new_postgres: Callable[[], str],
) -> None:
    url = new_postgres()
    async with open_postgres(url.replace("options=", "options=-cstatement_timeout%3D200%20")) as storage:
        await storage.commit([write("a")])
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE resource IN SHARE MODE")
            with pytest.raises(TooCostly, match="statement_timeout"):
                await storage.commit([write("a"), write("b")])
        assert [stored.version for stored in await storage.commit([write("a"), write("b")])] == [2, 1]
        assert [(stored.seq, stored.version) async for batch in storage.changes(0) for stored in batch] == [
            *((1, 1), (2, 2), (2, 1))
        ]


async def test_a_statement_too_large_for_postgresql_is_too_costly(new_postgres: Callable[[], str]) -> None:
    many = AnyOf(tuple(LastUpdated(prefix="eq", low=n, high=n + 1) for n in range(10_000)))
    async with open_postgres(new_postgres()) as storage:
        await storage.commit([write("a")])
        with pytest.raises(TooCostly, match="too large for one statement"):
            await storage.search(SearchPlan(type=TYPE, criterion=many))


async def test_more_values_than_a_statement_takes_are_too_costly(new_postgres: Callable[[], str]) -> None:
    async with open_postgres(new_postgres()) as storage:
        await create(storage, {"a": Rows(strings=(StringRow("name", "a", "a"),))})
        texts = tuple(Text(param="name", value=f"b{n}") for n in range(40_000))
        with pytest.raises(TooCostly, match="ask for fewer alternatives"):
            await storage.search(SearchPlan(type=TYPE, criterion=AnyOf(texts)))


async def test_texts_of_any_characters_and_length_are_found(new_postgres: Callable[[], str]) -> None:
    async with open_postgres(new_postgres()) as storage:
        values = ["a\x00b", "\ud800", "x" * 5000 + "1", "x" * 5000 + "2", "é" * 199, "%_\\'"]
        for n, value in enumerate(values):
            rows = Rows(
                tokens=(TokenRow("code", value, value),),
                strings=(StringRow("name", value, value),),
                uris=(UriRow("url", value),),
                orders=(OrderRow("name", value[:100], value[:100]),),
            )
            await create(storage, {str(n): rows})
        for n, value in enumerate(values):
            starts = {str(m) for m, other in enumerate(values) if other.startswith(value[:5000])}
            for criterion, expected in (
                (Token(param="code", system=value, code=value), {str(n)}),
                (Token(param="code", code=value), {str(n)}),
                (Text(param="name", value=value[:5000]), starts),
                (Text(param="name", value=value, match="exact"), {str(n)}),
                (Uri(param="url", value=value), {str(n)}),
                (Uri(param="url", value=value[:5000], match="starts"), starts),
            ):
                assert await found(storage, SearchPlan(type=TYPE, criterion=criterion)) == expected, (n, criterion)
        in_order = await walk(storage, SearchPlan(type=TYPE, sort=(SortKey(param="name"),), limit=2))
        assert [values[int(id)][:100] for id in in_order] == sorted(value[:100] for value in values)


async def test_a_resource_that_changes_compartments_is_found_in_its_new_one_alone(
    new_postgres: Callable[[], str],
) -> None:
    async with open_postgres(new_postgres()) as storage:
        for patient in ("1", "2", "3"):
            await create(storage, {"a": Rows(sort=1, compartments=(patient,), orders=(OrderRow("key", 1, 2),))})
        await storage.reindex(
            [Indexed(key("a"), 3, Rows(sort=1, compartments=("4",), orders=(OrderRow("key", 1, 2),)))]
        )
        for patient in "1234":
            plan = SearchPlan(type=TYPE, criterion=Compartment(id=patient), sort=(SortKey(param="key"),))
            assert await walk(storage, plan) == (["a"] if patient == "4" else [])
        assert [each.version for each in (await storage.history(HistoryPlan(key=key("a")))).resources] == [3, 2, 1]
        assert (await storage.read(key("a"))).version == 3
        assert [stored.version async for batch in storage.changes(0) for stored in batch] == [1, 2, 3]


async def test_many_versions_keep_one_set_of_index_rows(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()
    tables = ("posting", "date", "string", "amount", "ordering", "resource", "guard")
    counts = " UNION ALL ".join(f"SELECT count(*) FROM {table}" for table in tables)  # noqa: S608

    def count() -> list[int]:
        with psycopg.connect(url) as connection:
            return [row[0] for row in connection.execute(counts).fetchall()]

    async with open_postgres(url) as storage:
        for n in range(20):
            rows = Rows(
                sort=n,
                strings=(StringRow("name", "a", "a"), StringRow("name", "b", "b")),
                numbers=(NumberRow("n", n, n),),
                dates=(DateRow("date", n, n + 1),),
                orders=(OrderRow("key", n, n + 1),),
                compartments=("1",),
            )
            await create(storage, {"a": rows})
        assert count() == [1, 1, 2, 1, 2, 1, 0]
        await storage.commit([delete("a")])
        assert count() == [0] * 7


@pytest.mark.parametrize(("few", "merged"), [(2, 64), (0, 64), (0, 1), (10_000, 0)])
async def test_every_way_to_the_answer_is_the_same_answer(
    new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch, few: int, merged: int
) -> None:
    # The suite's sixty resources are few; with these bounds they are many.
    monkeypatch.setattr("toro_postgres.access.FEW", few)
    monkeypatch.setattr("toro_postgres.access.MERGED", merged)
    monkeypatch.setattr("toro_postgres.compiler._FEW", few)
    monkeypatch.setattr("toro_postgres.sheet._COPIED", 1)
    monkeypatch.setattr("toro_core.testing.differential._PLANS", 25)
    async with open_postgres(new_postgres()) as storage:
        await StorageConformance().test_any_plan_finds_and_orders_as_the_reference_says(storage, 100 + few)


async def test_a_search_by_tokens_references_and_dates_is_one_statement(
    new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toro_postgres.names._RECENT", 1e9)
    sent: list[bytes] = []
    original = psycopg.AsyncCursor.execute

    async def spy(self: Any, query: bytes, *args: Any, **options: Any) -> Any:
        sent.append(query)
        return await original(self, query, *args, **options)

    async with open_postgres(new_postgres()) as storage:
        rows = {}
        for n in range(150):
            tokens = tuple(TokenRow("tag", "", code) for code in ("all", f"{n % 3}", f"of {n % 50}"))
            rows[f"r{n}"] = Rows(sort=n, tokens=tokens, dates=(DateRow("date", n, n + 1),))
        await create(storage, rows)
        criteria = tuple(Token(param="tag", system="", code=code) for code in ("all", "0", "of 7"))
        plan = SearchPlan(type=TYPE, criterion=AllOf((*criteria, Period(param="date", prefix="ge", low=50, high=51))))
        assert await found(storage, plan) == {"r57"}
        monkeypatch.setattr(psycopg.AsyncCursor, "execute", spy)
        for descending in (False, True):
            page = await storage.search(replace(plan, sort=(SortKey(descending=descending),)))
            assert [stored.key.id for stored in page.resources] == ["r57"]
        assert len(sent) == 2
        assert await storage.count(plan) == 1
        assert len(sent) == 3


@pytest.mark.parametrize("descending", [False, True])
async def test_several_lists_are_one_answer_wherever_they_begin_and_end(
    new_postgres: Callable[[], str], descending: bool
) -> None:
    def rows(n: int) -> Rows:
        # Long and early, long and late, with and without a sort value.
        codes = [code for code, is_there in (("early", n < 170), ("late", n >= 90), ("odd", n % 2)) if is_there]
        return Rows(sort=MISSING if n % 5 == 0 else n // 3, tokens=tuple(TokenRow("tag", "", code) for code in codes))

    async with open_postgres(new_postgres()) as storage:
        await create(storage, {f"r{n:03}": rows(n) for n in range(260)})
        criterion = AllOf(tuple(Token(param="tag", system="", code=code) for code in ("early", "late", "odd")))
        plan = SearchPlan(type=TYPE, criterion=criterion, sort=(SortKey(descending=descending),), limit=7)
        walked = await walk(storage, plan)
        assert len(walked) == 40
        assert set(walked) == {f"r{n:03}" for n in range(90, 170) if n % 2}
        with_sort = [int(id[1:]) // 3 for id in walked if int(id[1:]) % 5]
        assert with_sort == sorted(with_sort, reverse=descending)
        assert all(int(id[1:]) % 5 == 0 for id in walked[len(with_sort) :])
        assert await storage.count(plan) == 40
        nothing = replace(plan, criterion=AllOf((criterion, Token(param="tag", system="", code="never"))))
        assert await walk(storage, nothing) == []


async def test_dates_that_another_process_writes_far_from_the_others_are_found_at_once(
    new_postgres: Callable[[], str],
) -> None:
    url = new_postgres()
    async with open_postgres(url) as storage, open_postgres(url) as other:
        await create(storage, {"a": Rows(sort=10, dates=(DateRow("date", 10, 11),))})
        dates = (
            Period(param="date", prefix="eq", low=900, high=1000),
            Period(param="date", prefix="ge", low=900, high=901),
            Period(param="date", prefix="sa", low=899, high=900),
            Period(param="date", prefix="ap", low=901, high=902),
        )
        plans = [SearchPlan(type=TYPE, criterion=date) for date in dates]
        for plan in plans:
            assert await found(storage, plan) == set()
        await create(other, {"b": Rows(sort=10, dates=(DateRow("date", 901, 902),))})
        for plan in plans:
            assert await found(storage, plan) == {"b"}
        # As far as can be: nothing overflows.
        await create(other, {"c": Rows(sort=2**62, dates=(DateRow("date", -(2**63) + 1, 2**63 - 1),))})
        for plan in plans:
            assert "b" in await found(storage, plan)


async def test_a_plan_is_explained_without_its_values(new_postgres: Callable[[], str]) -> None:
    async with open_postgres(new_postgres()) as storage:
        assert isinstance(storage, Explains)
        assert "finds nothing" in await storage.explain(SearchPlan(type=TYPE))
        await create(storage, {"a": Rows(tokens=(TokenRow("tag", "", "secret"),))})
        said = await storage.explain(SearchPlan(type=TYPE, criterion=Token(param="tag", code="secret")))
        assert "reads one list in the order of the answer" in said
        assert "FROM posting x" in said
        assert "secret" not in said
        both = AllOf((Token(param="tag", code="secret"), Token(param="tag", system="", code="secret")))
        assert "sparsest of 2 lists" in await storage.explain(SearchPlan(type=TYPE, criterion=both))


async def test_an_older_schema_is_refused_until_it_is_upgraded(
    new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_postgres()
    keeper = upkeep(url)
    assert isinstance(keeper, Upgrades)
    with pytest.raises(Unsupported, match="no tables"):
        await keeper.schema(url)
    async with open_postgres(url) as storage:
        await storage.commit([write("a")])
    now = len(MIGRATIONS)
    assert await keeper.schema(url) == Schema(found=now, known=now)
    monkeypatch.setattr("toro_postgres.schema.MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE later (n integer)",)))
    monkeypatch.setattr("toro_postgres.schema.SCHEMA_VERSION", now + 1)
    with pytest.raises(Unsupported, match=rf"schema {now} .*toro storage upgrade"):
        async with open_postgres(url):
            pass
    await keeper.upgrade(url)
    async with open_postgres(url) as storage:
        assert (await storage.read(key("a"))).version == 1


@pytest.mark.parametrize("schema", range(1, len(MIGRATIONS)))
async def test_a_database_of_a_former_schema_is_upgraded_with_all_it_holds(
    new_postgres: Callable[[], str], schema: int
) -> None:
    url = new_postgres()
    with psycopg.connect(url) as connection:
        connection.execute((Path(__file__).parent / f"postgres_schema_{schema}.sql").read_text())
    keeper = upkeep(url)
    assert isinstance(keeper, Upgrades)
    assert (await keeper.schema(url)).found == schema
    with pytest.raises(Unsupported, match="toro storage upgrade"):
        async with open_postgres(url):
            pass
    await keeper.upgrade(url)
    async with open_postgres(url) as storage:
        amounts: tuple[Quantity | Number, ...] = (
            Quantity(param="q", prefix="gt", low=2, high=2, system="http://unitsofmeasure.org", code="mg"),
            Quantity(param="q", prefix="ge", low=2.5, high=2.5, system="http://unitsofmeasure.org"),
            Number(param="n", prefix="gt", low=1.9, high=1.9),
        )
        for amount in amounts:
            assert await found(storage, SearchPlan(type=TYPE, criterion=amount)) == {"r2", "r3"}
        plan = SearchPlan(type=TYPE, criterion=AllOf((Compartment(id="1"), Token(param="tag", system="", code="odd"))))
        assert await walk(storage, plan) == ["r1", "r3"]
        versions = [stored.version async for batch in storage.changes(0) for stored in batch]
        assert versions == [1, 1, 1, 1, 1, 2]
        assert (await storage.commit([write("r0")]))[0].version == 2


async def test_scratch_areas_lie_beside_and_go_again(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()
    keeper = upkeep(url)
    assert isinstance(keeper, GivesScratch)
    async with open_postgres(url) as storage:
        async with keeper.scratch(url) as scratch, open_postgres(scratch) as other:
            await other.commit([write("a")])
        assert await storage.read_many([key("a")]) == [None]
    with pytest.raises(StorageError):
        async with open_postgres(scratch):
            pass


async def test_a_database_that_is_not_there_is_told_with_what_to_look_at(own_postgres: Any) -> None:
    url = own_postgres.url.replace("/postgres", "/nosuch", 1)
    care = upkeep(url)
    assert isinstance(care, Upgrades)
    with pytest.raises(StorageBusy, match="look at the storage URL"):
        await care.schema(url)
