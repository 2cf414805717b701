"""One resource's versions."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from toro_core.errors import NotFound, Unsupported
from toro_core.search.plan import Cursor
from toro_core.storage import HistoryPlan, Storage, Stored
from toro_core.testing.making import delete, key, write

__all__ = ["HistoryConformance"]


class HistoryConformance:
    """History, or the word that there is none."""

    async def test_history_is_newest_first_with_tombstones_or_said_to_be_unsupported(self, storage: Storage) -> None:
        stored = [
            (await storage.commit([each]))[0] for each in (write("a"), write("a", note="x"), delete("a"), write("a"))
        ]
        await storage.commit([write("b")])
        if "history" not in storage.capabilities:
            with pytest.raises(Unsupported):
                await storage.history(HistoryPlan(key=key("a")))
            return
        page = await storage.history(HistoryPlan(key=key("a")))
        assert list(page.resources) == list(reversed(stored))
        assert page.cursor is None

    async def test_history_comes_in_pages_whatever_is_written_meanwhile(self, storage: Storage) -> None:
        if "history" not in storage.capabilities:
            return
        versions = [(await storage.commit([write("a", note=str(n))]))[0] for n in range(6)]
        pages: list[list[Stored]] = []
        cursor: Cursor | None = None
        while True:
            page = await storage.history(HistoryPlan(key=key("a"), limit=2, cursor=cursor))
            pages.append(list(page.resources))
            cursor = page.cursor
            if cursor is None:
                break
            await storage.commit([write("a", note="later")])
        assert [len(each) for each in pages] == [2, 2, 2]
        assert [each for page in pages for each in page] == list(reversed(versions))

    async def test_a_page_of_history_is_cut_by_bytes_too(self, storage: Storage) -> None:
        if "history" not in storage.capabilities:
            return
        for _ in range(3):
            await storage.commit([write("a", note="x" * 1000)])
        page = await storage.history(HistoryPlan(key=key("a"), max_bytes=2500))
        assert [each.version for each in page.resources] == [3, 2]
        page = await storage.history(HistoryPlan(key=key("a"), max_bytes=1, cursor=page.cursor))
        assert ([each.version for each in page.resources], page.cursor) == ([1], None)

    async def test_the_history_of_one_resource_may_be_narrowed_to_a_time(self, storage: Storage) -> None:
        if "history" not in storage.capabilities:
            return
        versions: list[Stored] = []
        for each in (write("a"), write("a", note="x"), delete("a"), write("a")):
            versions += await storage.commit([each])
            await asyncio.sleep(0.003)
        newest = list(reversed(versions))
        ends = [after.at for after in versions[1:]]
        for at in (versions[0].at - 1, *(each.at for each in versions), versions[-1].at + 1):
            plan = HistoryPlan(key=key("a"))
            since = await storage.history(replace(plan, since=at))
            assert list(since.resources) == [each for each in newest if each.at >= at]
            until = await storage.history(replace(plan, until=at))
            assert list(until.resources) == [each for each in newest if each.at < at]
            current = await storage.history(replace(plan, current_after=at))
            ended = [each for each, end in zip(versions, ends, strict=False) if end <= at]
            assert list(current.resources) == [each for each in newest if each not in ended]

    async def test_what_never_existed_has_no_history(self, storage: Storage) -> None:
        with pytest.raises((NotFound, Unsupported)):
            await storage.history(HistoryPlan(key=key("nobody")))
