"""What closing, killing and damaging leave to whoever opens again."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from toro_core.errors import Damaged, PreconditionFailed
from toro_core.plugins import open_storage
from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import Rows, Storage, TokenRow, Version
from toro_core.testing.making import TYPE, delete, found, key, put, walk, write

__all__ = ["DurabilityConformance", "Reopen"]

Reopen = Callable[[], AbstractAsyncContextManager[Storage]]


class DurabilityConformance:
    """Needs the fixture `url` or `reopen`; what is about other processes and about damage needs `url`."""

    @pytest.fixture
    def url(self) -> str:
        pytest.skip("this storage gives no `url` fixture")

    @pytest.fixture
    def reopen(self, url: str) -> Reopen:
        return partial(open_storage, url)

    @pytest.fixture
    def damage(self) -> Callable[[], None]:
        pytest.skip("this storage gives no `damage` fixture")

    async def test_closing_waits_for_commits_and_opening_again_shows_them(self, reopen: Reopen) -> None:
        rows = Rows(tokens=(TokenRow("tag", "", "x"),))
        async with reopen() as storage:
            commits = [asyncio.ensure_future(storage.commit([write(f"r{n}", rows)])) for n in range(20)]
            await asyncio.sleep(0)
        stored = [(await commit)[0] for commit in commits]
        async with reopen() as storage:
            assert list(await storage.read_many([each.key for each in stored])) == stored
            assert await found(storage, SearchPlan(type=TYPE)) == {each.key.id for each in stored}

    async def test_sequences_versions_and_revisions_continue_after_opening_again(self, reopen: Reopen) -> None:
        async with reopen() as storage:
            await storage.commit([write("a")])
            (last,) = await storage.commit([delete("a")])
            revision = await storage.put_state("k", b"v")
        async with reopen() as storage:
            assert (await storage.read(key("a"))) == last
            with pytest.raises(PreconditionFailed):
                await storage.commit([write("a", expect=Version(2))])
            (stored,) = await storage.commit([write("a")])
            assert stored.version == 3
            assert stored.seq > last.seq
            assert stored.at >= last.at
            record = await storage.get_state("k")
            assert record is not None
            assert (record.value, record.revision) == (b"v", revision)
            assert await storage.put_state("k", b"w", if_revision=revision) > revision

    async def test_after_kill_9_every_answered_commit_is_there_and_none_is_half_there(self, url: str) -> None:
        answered: set[str] = set()
        for name, lines in (("a", 1), ("b", 40), ("c", 200)):
            answered |= await asyncio.to_thread(_write_and_kill, url, name, lines)
            async with open_storage(url) as storage:
                await _check(storage, answered)

    async def test_damaged_data_is_refused_and_never_served(self, url: str, damage: Callable[[], None]) -> None:
        async with open_storage(url) as storage:
            stored = await put(storage, [write(f"r{n}", note="x" * 500) for n in range(500)])
        damage()
        refused = 0
        try:
            async with open_storage(url) as storage:
                for each in stored:
                    try:
                        assert await storage.read(each.key) == each, "something else is served"
                    except Damaged:
                        refused += 1
        except Damaged:
            refused += 1
        assert refused, "nobody was told"


def _write_and_kill(url: str, name: str, lines: int) -> set[str]:
    """Have another process write until it has answered so many commits, kill it, and return those it had answered."""
    command = (sys.executable, "-m", "toro_core.testing.writing", url, name)
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process:  # noqa: S603 - our own module
            assert process.stdout is not None
            answered = {process.stdout.readline().strip() for _ in range(lines)}
            process.kill()
            rest = process.stdout.read()
        # The last line may be cut off.
        answered |= set(rest[: rest.rfind("\n") + 1].split())
        said.seek(0)
        why = said.read().strip().rpartition("\n")[2]
    assert "" not in answered, f"the other process could not write: {why}"
    return answered


async def _check(storage: Storage, answered: set[str]) -> None:
    parts: dict[str, set[str]] = {}
    plan = SearchPlan(type=TYPE, criterion=Token(param="tag", code="all"), limit=500)
    for id in await walk(storage, plan):
        commit, _, part = id.rpartition("-")
        parts.setdefault(commit, set()).add(part)
    parts.pop("", None)
    assert answered <= parts.keys(), "an answered commit is lost"
    if "transactions" in storage.capabilities:
        assert all(each == {"0", "1", "2"} for each in parts.values()), "a commit is half there"
        assert (await storage.read(key("shared"))).version == len(parts)
    for commit in sorted(answered)[:20]:
        plan = SearchPlan(type=TYPE, criterion=Token(param="tag", code=commit))
        assert {f"{commit}-{part}" for part in parts[commit]} == await found(storage, plan) - {"shared"}
