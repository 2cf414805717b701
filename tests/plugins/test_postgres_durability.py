"""What a 201 means: killed processes, lost connections, several cores on one database."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toro_core.errors import AlreadyExists, ConditionChanged, PreconditionFailed, StateConflict
from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import ABSENT, Condition, HistoryPlan, Rows, Storage, TokenRow, Version
from toro_core.testing.making import TYPE, found, key, walk, write
from toro_postgres import open_postgres

psycopg = pytest.importorskip("psycopg")

# Writes three resources a commit, from eight tasks, and says which commits were answered.
_WRITER = """
import asyncio, sys
from toro_core.storage import Rows, TokenRow
from toro_core.testing.making import write
from toro_postgres import open_postgres

async def client(storage, name):
    for n in range(100_000):
        commit = f"{name}-{n}"
        rows = Rows(tokens=(TokenRow("tag", "", commit), TokenRow("tag", "", "all")))
        await storage.commit([write(f"{commit}-{part}", rows) for part in range(3)] + [write("shared", rows)])
        print(commit, flush=True)

async def main(url, name):
    async with open_postgres(url) as storage:
        await asyncio.gather(*(client(storage, f"{name}{n}") for n in range(8)))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@asynccontextmanager
async def _two(url: str) -> AsyncIterator[tuple[Storage, Storage]]:
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(open_postgres(url)) for _ in range(2)]
        yield first, second


async def _check(storage: Storage, answered: set[str]) -> None:
    ids = await walk(storage, SearchPlan(type=TYPE, criterion=Token(param="tag", code="all"), limit=500))
    parts = Counter(id.rpartition("-")[0] for id in ids if id != "shared")
    assert answered <= parts.keys(), "an answered commit is lost"
    assert set(parts.values()) <= {3}, "a commit is half there"
    assert (await storage.read(key("shared"))).version == len(parts)
    versions = [stored async for batch in storage.changes(0) for stored in batch]
    assert len({stored.seq for stored in versions}) == len(parts)
    assert [stored.seq for stored in versions] == sorted(stored.seq for stored in versions)


async def test_a_killed_core_loses_nothing_it_answered_and_leaves_no_half(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()
    answered: set[str] = set()
    processes = [
        subprocess.Popen([sys.executable, "-c", _WRITER, url, name], stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            answered |= {process.stdout.readline().strip() for _ in range(25)}
    finally:
        for process in processes:
            process.kill()
            rest, _ = process.communicate()
            # The last line may be cut off.
            answered |= set(rest.split("\n")[:-1])
    async with open_postgres(url) as storage:
        await _check(storage, answered)


async def test_a_killed_server_process_loses_nothing_and_writes_nothing_twice(
    new_postgres: Callable[[], str], own_postgres: Any
) -> None:
    url = new_postgres()
    async with open_postgres(url) as storage:
        answered: set[str] = set()
        running = True

        async def client(name: str) -> None:
            n = 0
            while running:
                n += 1
                rows = Rows(tokens=(TokenRow("tag", "", "all"),))
                parts = [write(f"{name}-{n}-{part}", rows, expect=ABSENT) for part in range(3)]
                await storage.commit([*parts, write("shared", rows)])
                answered.add(f"{name}-{n}")

        clients = asyncio.gather(*(client(f"c{n}") for n in range(4)))
        for _ in range(2):
            count = len(answered)
            while len(answered) < count + 10:
                await asyncio.sleep(0.01)
            # The server takes all of its processes down with the one, and comes back.
            with psycopg.connect(own_postgres.url) as connection:
                sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'toro' LIMIT 1"
                (pid,) = connection.execute(sql).fetchone()
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.1)
        running = False
        await clients
        await _check(storage, answered)


@asynccontextmanager
async def _proxy(server: str, folder: Path, on_commit: str) -> AsyncIterator[list[int]]:
    """Stand before the server; lose the connection of the commit whose turn it is, before or after the server has it."""
    to_lose: list[int] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_client: bool) -> None:
        try:
            while data := await reader.read(65536):
                lost = is_client and b"COMMIT\x00" in data and to_lose
                if lost and on_commit == "before":
                    to_lose.pop()
                    break
                writer.write(data)
                await writer.drain()
                if lost:
                    await asyncio.sleep(0.2)  # it is committed, and the answer held back
                    to_lose.pop()
                    break
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_unix_connection(f"{server}/.s.PGSQL.5432")
        # What the server answers to a lost commit is lost as well.
        tasks = [
            asyncio.create_task(pump(reader, upstream[1], True)),
            asyncio.create_task(pump(upstream[0], _Held(writer, to_lose), False)),  # type: ignore[arg-type]
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()

    listening = await asyncio.start_unix_server(serve, f"{folder}/.s.PGSQL.5432")
    try:
        yield to_lose
    finally:
        listening.close()


class _Held:
    """Passes on what the server says, but while a connection is to be lost only what does not end a commit."""

    def __init__(self, writer: asyncio.StreamWriter, to_lose: list[int]) -> None:
        self._writer = writer
        self._to_lose = to_lose

    def write(self, data: bytes) -> None:
        if not (self._to_lose and b"COMMIT\x00" in data):
            self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


@pytest.mark.parametrize("on_commit", ["before", "after"])
async def test_a_commit_whose_answer_was_lost_is_applied_once(
    new_postgres: Callable[[], str], own_postgres: Any, on_commit: str
) -> None:
    url = new_postgres()
    folder = own_postgres.folder / f"proxy-{on_commit}"
    folder.mkdir()
    behind = url.replace(str(own_postgres.folder), str(folder))
    async with _proxy(str(own_postgres.folder), folder, on_commit) as to_lose, open_postgres(behind) as storage:
        await storage.commit([write("before")])
        to_lose.append(1)
        [stored] = await storage.commit([write("a", expect=ABSENT)])
        assert not to_lose, "no connection was lost"
        to_lose.append(1)
        assert await storage.put_state("lease", b"mine", if_revision=0) > 0
        assert not to_lose
        assert stored.version == 1
        assert len((await storage.history(HistoryPlan(key=key("a")))).resources) == 1
        with pytest.raises(AlreadyExists):
            await storage.commit([write("a", expect=ABSENT)])


async def test_receipts_that_nobody_asks_for_any_more_are_swept(
    new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_postgres()
    monkeypatch.setattr("toro_postgres.receipts.EVERY", 10)
    async with open_postgres(url) as storage:
        await storage.commit([write("a")])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE receipt SET at = at - 3600001")
            for n in range(15):
                await storage.commit([write(f"r{n}")])
            assert connection.execute("SELECT count(*) FROM receipt").fetchone() == (15,)


async def test_two_cores_lose_no_update(new_postgres: Callable[[], str]) -> None:
    async with _two(new_postgres()) as cores:
        await cores[0].commit([write("shared", note="0")])

        async def count_up(storage: Storage) -> None:
            done = 0
            while done < 10:
                stored = await storage.read(key("shared"))
                number = int(stored.json.split(b'"note":"')[1].split(b'"')[0])
                try:
                    expect = Version(stored.version)
                    await storage.commit([write("shared", note=str(number + 1), expect=expect)])
                    done += 1
                except PreconditionFailed:
                    pass

        await asyncio.gather(*(count_up(storage) for storage in (*cores, *cores)))
        assert b'"note":"40"' in (await cores[1].read(key("shared"))).json


async def test_two_cores_make_no_duplicate_under_a_condition(new_postgres: Callable[[], str]) -> None:
    async with _two(new_postgres()) as cores:
        creates = []
        for n in range(40):
            rows = Rows(tokens=(TokenRow("identifier", "urn:s", str(n // 4)),))
            criterion = Token(param="identifier", system="urn:s", code=str(n // 4))
            condition = Condition(type=TYPE, criterion=criterion)
            creates.append(cores[n % 2].commit([replace(write(f"r{n}", rows), conditions=(condition,))]))
        results = await asyncio.gather(*creates, return_exceptions=True)
        assert Counter(type(each) for each in results) == {list: 10, ConditionChanged: 30}
        for n in range(10):
            plan = SearchPlan(type=TYPE, criterion=Token(param="identifier", system="urn:s", code=str(n)))
            assert len(await found(cores[n % 2], plan)) == 1


async def test_a_token_is_taken_once_by_two_cores(new_postgres: Callable[[], str]) -> None:
    async with _two(new_postgres()) as cores:
        puts = [cores[n % 2].put_state(f"jti:{n // 2}", b"", if_revision=0, ttl=60) for n in range(20)]
        results = await asyncio.gather(*puts, return_exceptions=True)
        assert Counter(type(each) for each in results) == {int: 10, StateConflict: 10}


async def test_one_core_finds_what_another_wrote_under_names_new_to_it(new_postgres: Callable[[], str]) -> None:
    async with _two(new_postgres()) as (first, second):
        assert await found(second, SearchPlan(type="Basic", criterion=Token(param="tag", code="x"))) == set()
        await first.commit([write("a", Rows(tokens=(TokenRow("tag", "", "x"),)), type="Basic")])
        assert await found(second, SearchPlan(type="Basic", criterion=Token(param="tag", code="x"))) == {"a"}
        [change] = [stored async for batch in second.changes(0) for stored in batch]
        assert change.key == key("a", "Basic")


async def test_commit_order_is_the_order_in_which_others_see_commits(new_postgres: Callable[[], str]) -> None:
    async with _two(new_postgres()) as cores:
        done = time.monotonic() + 1
        seen: list[int] = []

        async def writer(storage: Storage, name: str) -> None:
            n = 0
            while time.monotonic() < done:
                n += 1
                await storage.commit([write(f"{name}{n}")])

        async def watcher() -> None:
            while time.monotonic() < done:
                seen.extend([s.seq async for batch in cores[0].changes(seen[-1] if seen else 0) for s in batch])

        await asyncio.gather(*(writer(core, f"{n}-{m}-") for n, core in enumerate(cores) for m in range(2)), watcher())
        seen += [stored.seq async for batch in cores[0].changes(seen[-1]) for stored in batch]
        assert seen == list(range(1, len(seen) + 1))
