"""The rules that a Citus cluster sets, checked on the schema and on every statement that the storage sends."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import Condition, HistoryPlan, Indexed, Loading, Rows, ScanPlan, Storage, Stored, TokenRow
from toro_core.testing import StorageConformance
from toro_core.testing.making import TYPE, delete, key, walk, write
from toro_postgres import open_postgres
from toro_postgres.schema import MIGRATIONS, PLACED, distribute

psycopg = pytest.importorskip("psycopg")

_STATEMENTS = [statement for statements in MIGRATIONS for statement in statements]
_VOLATILE = re.compile(r"\b(now|clock_timestamp|random|nextval|gen_random_uuid|timeofday)\(")


def _tables() -> Iterator[tuple[str, str]]:
    for statement in _STATEMENTS:
        if found := re.match(r"CREATE TABLE (\w+) \((.*)\)$", statement):
            yield found[1], found[2]


def test_every_table_is_placed() -> None:
    assert {table for table, _ in _tables()} == PLACED.keys()
    assert len(distribute()) == len(PLACED)


def test_every_key_has_the_column_that_its_table_is_distributed_by() -> None:
    for table, columns in _tables():
        column = PLACED[table]
        if column is None:
            continue
        keys = re.findall(r"(?:PRIMARY KEY|UNIQUE) \(([^)]+)\)", columns)
        keys += re.findall(r"(\w+) \w+ PRIMARY KEY", columns)
        assert keys, table
        assert all(column in key.split(", ") for key in keys), table
        assert re.search(rf"\b{column} \w+( NOT NULL| PRIMARY KEY)", columns), table
    unique = [statement for statement in _STATEMENTS if statement.startswith("CREATE UNIQUE INDEX")]
    assert all(re.search(r"\bplace\b", statement) for statement in unique)


def test_there_are_no_foreign_keys_and_no_triggers() -> None:
    assert not [each for each in _STATEMENTS if re.search(r"REFERENCES|FOREIGN KEY|TRIGGER|nextval", each)]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The statements that a storage sends which takes its database for a cluster."""
    statements: set[str] = set()

    async def yes(connection: object) -> bool:
        return True

    def spy(name: str) -> None:
        original = getattr(psycopg.AsyncCursor, name)

        def spying(self: Any, query: bytes, *args: Any, **options: Any) -> Any:
            statements.add(query.decode() if isinstance(query, bytes) else str(query))
            return original(self, query, *args, **options)

        monkeypatch.setattr(psycopg.AsyncCursor, name, spying)

    monkeypatch.setattr("toro_postgres.storage.is_cluster", yes)
    for name in ("execute", "executemany", "copy"):
        spy(name)
    return statements


async def test_every_statement_keeps_to_the_rules(
    sent: set[str], new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toro_core.testing.differential._PLANS", 60)
    async with open_postgres(new_postgres()) as storage:
        # Plans of every kind, whose answers are those of the reference though each statement is a cluster's.
        await StorageConformance().test_any_plan_finds_and_orders_as_the_reference_says(storage, 3)
        await _everything_else(storage)
    async with open_postgres(new_postgres()) as storage:
        rows = Rows(tokens=(TokenRow("tag", "", "x"),), compartments=("1",))
        stored = Stored(key("a"), 1, 3, 1000, False, b"{}")
        await storage.load([Loading(stored, rows), Loading(stored._replace(key=key("b")), rows)])
    ours = {each for each in sent if not each.startswith(("CREATE", "SELECT set_config"))}
    kinds = {re.split(r"\W", each, maxsplit=1)[0] for each in ours}
    assert kinds >= {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}
    for statement in ours:
        _check_rows(statement)
        _check_joins(statement)


async def _everything_else(storage: Storage) -> None:
    rows = Rows(tokens=(TokenRow("tag", "", "x"),), compartments=("1",))
    condition = Condition(type=TYPE, criterion=Token(param="tag", code="never"))
    await storage.commit([replace(write("z", rows), conditions=(condition,), targets=(key("z"),))])
    await storage.commit([write(f"many{n}", rows) for n in range(400)])
    await storage.reindex([Indexed(key("z"), 1, msgspec.structs.replace(rows, compartments=("2",)))])
    await storage.commit([replace(delete("z"), unreferenced=True)])
    await storage.read_many([key("z"), key("many1")])
    await storage.read(key("z"), 1)
    for plan in (HistoryPlan(), HistoryPlan(key=key("z")), HistoryPlan(types=(TYPE,), since=1, until=2**50)):
        await storage.history(replace(plan, current_after=1))
    watermark = await storage.watermark()
    async for _ in storage.scan(ScanPlan(as_of=watermark.seq, types=(TYPE,), since=1, max_bytes=100)):
        pass
    for n in range(40):
        await storage.put_state(f"k{n}", b"", ttl=0.001)
    await storage.list_state("k")
    await storage.delete_state("k1")


def _check_rows(statement: str) -> None:
    if found := re.match(r"UPDATE (\w+) SET (.*?) WHERE (.*)", statement):
        table, changed, where = found.groups()
        column = PLACED[table]
        assert not _VOLATILE.search(statement), statement
        if column is not None:
            assert not re.search(rf"\b{column} =", changed), statement
            assert re.search(rf"\b{column} = %s", where), statement
    if found := re.match(r"DELETE FROM (\w+).* WHERE (.*)", statement):
        column = PLACED[found[1]]
        assert found[1] == "receipt" or re.search(rf"\b{column} = %s", found[2]), statement
    if found := re.search(r"FROM (\w+) WHERE (.*) FOR (?:UPDATE|SHARE)", statement):
        column = PLACED[found[1]] or "one"
        assert re.search(rf"\b{column} = (%s|1)", found[2]), statement
    else:
        assert not re.search(r"FOR (UPDATE|SHARE)", statement), statement
    if " DO UPDATE" in statement:
        assert not _VOLATILE.search(statement.split(" DO UPDATE")[1]), statement


def _check_joins(statement: str) -> None:
    placed = "|".join(table for table, column in PLACED.items() if column == "place")
    # `h` is what a first step has found, and goes to every shard.
    for _, alias in re.findall(rf"(?<!FROM h )JOIN ({placed})\b (\w+)", statement):
        assert re.search(rf"\b{alias}\.place = \w+\.place", statement), statement
    # A subquery that speaks of the row around it looks at the same place; others stand by themselves.
    for inner in re.findall(rf"EXISTS \(SELECT 1 FROM (?:{placed})\b[^()]*(?:\([^()]*\)[^()]*)*\)", statement):  # noqa: S608
        assert re.search(r"\bplace = \w+\.place", inner), (inner, statement)


async def test_a_value_never_becomes_part_of_a_statement(sent: set[str], new_postgres: Callable[[], str]) -> None:
    async with open_postgres(new_postgres()) as storage:
        await storage.commit([write("a", Rows(tokens=(TokenRow("tag", "urn:marker", "marker'"),)))])
        plan = SearchPlan(type=TYPE, criterion=Token(param="tag", system="urn:marker", code="marker'"))
        assert await walk(storage, plan) == ["a"]
        await storage.put_state("marker'", b"marker'")
    assert not [each for each in sent if "marker" in each]


@pytest.mark.skipif(not os.environ.get("TORO_TEST_CITUS"), reason="TORO_TEST_CITUS names no cluster")
class TestCluster(StorageConformance):
    @pytest.fixture
    def postgres(self) -> str:
        return os.environ["TORO_TEST_CITUS"]

    @pytest.fixture
    async def storage(self, new_postgres: Callable[[], str]) -> AsyncIterator[Storage]:
        async with open_postgres(new_postgres()) as storage:
            yield storage

    @pytest.fixture
    def url(self, new_postgres: Callable[[], str]) -> str:
        return new_postgres()
