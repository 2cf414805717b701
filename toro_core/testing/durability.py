"""What closing and opening again keeps."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from toro_core.errors import PreconditionFailed
from toro_core.search.plan import SearchPlan
from toro_core.storage import Rows, Storage, TokenRow, Version
from toro_core.testing.making import TYPE, delete, found, key, write

__all__ = ["DurabilityConformance", "Reopen"]

Reopen = Callable[[], AbstractAsyncContextManager[Storage]]


class DurabilityConformance:
    """Needs the fixture `reopen`."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        pytest.skip("this storage gives no `reopen` fixture")

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
