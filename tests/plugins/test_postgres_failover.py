"""A primary that dies while Toro writes, and the standby that takes its place."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from toro_core.errors import OutcomeUnknown, StorageBusy, Unsupported
from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import ABSENT, Rows, Storage, TokenRow
from toro_core.testing.making import TYPE, found, key, walk, write
from toro_postgres import open_postgres

psycopg = pytest.importorskip("psycopg")

_ROWS = Rows(tokens=(TokenRow("tag", "", "all"),))


@dataclass
class Pair:
    """A primary and its standby; roles change at each failover."""

    primary: Any
    standby: Any

    @property
    def url(self) -> str:
        """The standby comes first: which is the primary has to be found out."""
        return f"postgresql://toro:s3cret@127.0.0.1:{self.standby.port},127.0.0.1:{self.primary.port}/postgres"

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def wait_for(self, n: int, sql: str) -> None:
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            deadline = time.monotonic() + 30
            while connection.execute(sql).fetchone() != (n,):
                assert time.monotonic() < deadline, sql
                time.sleep(0.02)

    def fail_over(self) -> None:
        self.primary.kill()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def replace_standby(self) -> None:
        """Make a new standby of the primary, asynchronous at first."""
        self.execute("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        self.standby.stop(signal.SIGQUIT)
        self.standby.clear()
        self.standby.copy(self.primary)
        self.standby.start()
        self.wait_for(1, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")


@pytest.fixture(scope="module")
def servers(new_servers: Callable[..., Any]) -> Pair:
    primary = new_servers()
    primary.initialize()
    primary.start()
    return Pair(primary, new_servers())


@pytest.fixture
def pair(servers: Pair) -> Pair:
    """A primary with nothing of Toro's, and a standby that streams from it."""
    if not servers.primary.is_running:
        servers.primary.start()
    servers.replace_standby()
    servers.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return servers


@dataclass
class Load:
    """Clients that write, each four resources a commit, and what they were told of every one."""

    answered: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    async def client(self, storage: Storage, name: str) -> None:
        n = 0
        while True:
            n += 1
            commit = f"{name}-{n}"
            parts = [write(f"{commit}-{part}", _ROWS, expect=ABSENT) for part in range(3)]
            try:
                await storage.commit([*parts, write("shared", _ROWS)])
            except OutcomeUnknown:
                self.unknown.add(commit)
            except StorageBusy:
                self.refused.add(commit)
            else:
                self.answered.add(commit)

    @asynccontextmanager
    async def running(self, storage: Storage, clients: int = 4) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.client(storage, f"c{n}")) for n in range(clients)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    async def more(self, commits: int) -> None:
        count = len(self.answered)
        while len(self.answered) < count + commits:
            await asyncio.sleep(0.01)

    async def check(self, storage: Storage) -> None:
        await storage.commit([write("last")])  # after those whose callers have gone away
        ids = await walk(storage, SearchPlan(type=TYPE, criterion=Token(param="tag", code="all"), limit=500))
        parts = Counter(id.rpartition("-")[0] for id in ids if id != "shared")
        assert self.answered <= parts.keys(), "an answered commit is lost"
        assert not self.refused & parts.keys(), "a commit was refused and yet written"
        assert set(parts.values()) <= {3}, "a commit is half there"
        assert (await storage.read(key("shared"))).version == len(parts), "a commit was written twice"


async def test_a_standby_takes_over_without_loss_or_repetition(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    pair.primary.confirm_by_standby()
    load = Load()
    with caplog.at_level(logging.DEBUG):
        async with open_postgres(pair.url) as storage:
            async with load.running(storage):
                await load.more(10)
                await asyncio.to_thread(pair.fail_over)
                await load.more(10)
            await load.check(storage)
    said = caplog.text
    assert "s3cret" not in said
    assert str(pair.primary.port) not in said
    assert "127.0.0.1" not in said


@pytest.mark.slow
async def test_failovers_back_and_forth_lose_nothing(pair: Pair) -> None:
    load = Load()
    pair.primary.confirm_by_standby()
    async with open_postgres(pair.url) as storage:
        async with load.running(storage, clients=8):
            for _ in range(3):
                await load.more(50)
                await asyncio.to_thread(pair.fail_over)
                await load.more(5)
                await asyncio.to_thread(pair.replace_standby)
                pair.primary.confirm_by_standby()
        await load.check(storage)


async def test_names_that_an_asynchronous_standby_did_not_get_are_made_again(pair: Pair) -> None:
    async with open_postgres(pair.url) as storage, open_postgres(pair.url) as other:
        await storage.commit([write("a", _ROWS)])
        pair.wait_for(0, "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn < pg_current_wal_lsn()")
        pair.standby.stop()  # it gets nothing of what follows
        await storage.commit([write("b", Rows(tokens=(TokenRow("lost", "", "x"),)), type="Basic")])
        await asyncio.to_thread(pair.primary.kill)
        await asyncio.to_thread(pair.standby.start)
        await asyncio.to_thread(pair.standby.promote)
        # The other core gives out the numbers that the first has in memory for names that are lost.
        await other.commit([write("c", Rows(tokens=(TokenRow("new", "", "x"),)), type="Patient")])
        await storage.commit([write("d", Rows(tokens=(TokenRow("lost", "", "x"),)), type="Basic")])
        for each in (storage, other):
            for type, param, ids in (("Basic", "lost", {"d"}), ("Patient", "new", {"c"}), ("Patient", "lost", set())):
                plan = SearchPlan(type=type, criterion=Token(param=param, code="x"))
                assert await found(each, plan) == ids


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_an_answer_waits_for_the_standby_though_its_first_wait_is_cut_off(pair: Pair, how: str) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    async with open_postgres(pair.url) as storage:
        await storage.commit([write("a")])
        pair.standby.stop()
        pair.primary.confirm_by_standby()
        commit = asyncio.create_task(storage.commit([write("b", expect=ABSENT)]))
        await asyncio.to_thread(pair.wait_for, 1, waiting)
        pair.execute(f"SELECT {how}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")  # noqa: S608
        await asyncio.to_thread(pair.wait_for, 1, waiting)
        assert not commit.done(), "it was answered, and no standby has it"
        pair.standby.start()
        [stored] = await commit
        assert stored.version == 1


async def test_a_commit_of_which_nothing_can_be_learned_is_told_as_unknown(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toro_postgres.sessions._WAIT", 1)
    async with open_postgres(pair.url) as storage:
        await storage.commit([write("a")])
        pair.standby.stop()
        pair.primary.confirm_by_standby()
        commit = asyncio.create_task(storage.commit([write("b", expect=ABSENT)]))
        await asyncio.to_thread(pair.wait_for, 1, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        await asyncio.to_thread(pair.primary.kill)
        with pytest.raises(OutcomeUnknown, match="read before you repeat") as caught:
            await commit
        assert caught.value.reason == "OUTCOME_UNKNOWN"
        # What had not come to its commit is known not to be there.
        with pytest.raises(StorageBusy) as refused:
            await storage.commit([write("c")])
        assert refused.value.reason == "STORAGE_UNAVAILABLE"
        pair.primary.start()
        pair.standby.start()
        # However long it was away. The commit that was told as unknown was on its disk.
        [stored] = await storage.commit([write("b")])
        assert stored.version == 2


async def test_a_standby_alone_is_refused(pair: Pair) -> None:
    with pytest.raises(StorageBusy, match="takes no writes") as caught:
        async with open_postgres(f"postgresql://toro:s3cret@127.0.0.1:{pair.standby.port}/postgres"):
            pass
    assert "s3cret" not in str(caught.value)
    with pytest.raises(Unsupported, match="target_session_attrs"):
        async with open_postgres(f"{pair.url}?target_session_attrs=any"):
            pass
