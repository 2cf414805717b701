"""The rules that a Citus cluster sets, checked on the schema and on every statement that the storage sends."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from toro_core.commands.storage import storage as storage_command
from toro_core.errors import Unsupported
from toro_core.plugins import upkeep
from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import (
    Arranges,
    Condition,
    HistoryPlan,
    Indexed,
    Loading,
    Rows,
    ScanPlan,
    Storage,
    Stored,
    TokenRow,
)
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

    monkeypatch.setattr("toro_postgres.storage.is_distributed", yes)
    for name in ("execute", "executemany", "copy"):
        spy(name)
    return statements


async def test_every_statement_keeps_to_the_rules(
    sent: set[str], new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toro_core.testing.differential._PLANS", 60)
    monkeypatch.setattr("toro_postgres.receipts.EVERY", 10)
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


# What Toro asks of the extension, which notes what it was told instead of doing it.
_EXTENSION = """
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partkey text, colocated text);
CREATE FUNCTION pg_catalog.create_reference_table(regclass) RETURNS void
    LANGUAGE sql AS $$ INSERT INTO pg_dist_partition VALUES ($1, NULL, NULL) $$;
CREATE FUNCTION pg_catalog.create_distributed_table(regclass, text, colocate_with text) RETURNS void
    LANGUAGE sql AS $$ INSERT INTO pg_dist_partition VALUES ($1, $2, $3) $$;
"""


@pytest.fixture(scope="module")
def stand_in(new_servers: Callable[..., Any]) -> Any:
    """A server with an extension named citus that distributes nothing."""
    server = new_servers("allow_system_table_mods=on")
    server.initialize()
    extensions = server.folder / "share" / "extension"
    extensions.mkdir(parents=True)
    (extensions / "citus.control").write_text("default_version = '1'\n")
    (extensions / "citus--1.sql").write_text(_EXTENSION)
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        if connection.info.server_version < 180_000:
            pytest.skip("extensions are found elsewhere from PostgreSQL 18 on")
        connection.execute(f"ALTER SYSTEM SET extension_control_path = '$system:{server.folder}/share'")
        connection.execute("SELECT pg_reload_conf()")
    return server


@pytest.fixture
def database(stand_in: Any) -> Iterator[str]:
    with psycopg.connect(stand_in.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE spread")
        yield stand_in.url.replace("/postgres", "/spread", 1)
        connection.execute("DROP DATABASE spread WITH (FORCE)")


def _distributed(url: str) -> dict[str, str | None]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT logicalrelid::text, partkey FROM pg_dist_partition").fetchall()
    assert len(rows) == len(dict(rows)), "a table was distributed twice"
    return dict(rows)


async def test_a_new_database_of_a_cluster_is_distributed_when_it_is_opened(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION citus")
    for _ in range(2):
        async with open_postgres(database) as storage:
            assert storage.capabilities == {"transactions", "history", "state_ttl", "joins"}
        assert _distributed(database) == PLACED


async def test_a_cluster_promises_no_order_unless_it_is_quiet(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION citus")
    loading = Loading(Stored(key("a"), 1, 3, 1000, False, b"{}"), Rows())
    async with open_postgres(database) as storage:
        for refused in (
            storage.load([loading]),
            storage.watermark(),
            storage.history(HistoryPlan()),
            anext(aiter(storage.changes(0))),
            anext(aiter(storage.scan(ScanPlan(as_of=1)))),
        ):
            with pytest.raises(Unsupported, match=r"set toro\.quiet"):
                await refused
        await storage.commit([write("b")])
        assert (await storage.history(HistoryPlan(key=key("b")))).resources
    async with open_postgres(f"{database}&options=-ctoro.quiet%3Don") as storage:
        assert storage.capabilities >= {"ordered_changes", "snapshot_scan"}
        assert [stored.key async for batch in storage.changes(0) for stored in batch] == [key("b")]


async def test_a_table_that_a_newer_schema_adds_is_distributed_beside_the_others(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION citus")
        async with open_postgres(database):
            pass
        connection.execute("DELETE FROM pg_dist_partition WHERE logicalrelid = 'ordering'::regclass")
    care = upkeep(database)
    assert isinstance(care, Arranges)
    assert await care.pending(database)
    await care.arrange(database)
    assert _distributed(database) == PLACED


async def test_tables_that_were_there_before_the_cluster_serve_and_are_distributed_by_an_upgrade(database: str) -> None:
    async with open_postgres(database) as storage:
        await storage.commit([write("a")])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION citus")
    async with open_postgres(database) as storage:
        assert "ordered_changes" in storage.capabilities, "it is one database yet"
    care = upkeep(database)
    assert isinstance(care, Arranges)
    assert await care.pending(database) == "distribute the tables over the cluster"
    done = await asyncio.to_thread(CliRunner().invoke, storage_command, ["info", database])
    assert "to do         distribute the tables over the cluster: toro storage upgrade" in done.output
    refused = await asyncio.to_thread(CliRunner().invoke, storage_command, ["upgrade", database])
    assert "--no-backup" in str(refused.exception)
    assert _distributed(database) == {}
    done = await asyncio.to_thread(CliRunner().invoke, storage_command, ["upgrade", database, "--no-backup"])
    assert "Done: distribute the tables" in done.output
    assert _distributed(database) == PLACED
    assert await care.pending(database) == ""
    again = await asyncio.to_thread(CliRunner().invoke, storage_command, ["upgrade", database, "--no-backup"])
    assert "The schema is the newest" in again.output
    async with open_postgres(database) as storage:
        assert "ordered_changes" not in storage.capabilities
        assert (await storage.read(key("a"))).version == 1


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
