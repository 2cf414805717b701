"""Taking over another storage's versions."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import pytest

from toro_core.errors import NotFound, Unsupported
from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import HistoryPlan, Key, Loading, Rows, ScanPlan, Storage, Stored, TokenRow
from toro_core.testing.feeds import collect
from toro_core.testing.making import found, key, write

__all__ = ["LoadConformance"]

_FINAL = Rows(tokens=(TokenRow("code", "s", "final"),))
_SEARCH = SearchPlan(type="Observation", criterion=Token(param="code", system="s", code="final"))


def _version(id: str, version: int, seq: int, *, deleted: bool = False, rows: Rows | None = None) -> Loading:
    json = b"" if deleted else b'{"resourceType":"Observation","id":"%s","n":%d}' % (id.encode(), version)
    return Loading(Stored(Key("Observation", id), version, seq, 1_000_000_000_000 + seq, deleted, json), rows)


_HISTORY = (
    [_version("a", 1, 3), _version("b", 1, 3, rows=_FINAL)],
    [_version("a", 2, 7), _version("a", 3, 7, deleted=True), _version("c", 1, 7)],
    [_version("c", 2, 11, rows=_FINAL)],
)


class LoadConformance:
    """What `load` promises."""

    async def test_what_is_loaded_is_as_it_was_elsewhere(self, storage: Storage) -> None:
        if "ordered_changes" not in storage.capabilities:
            with pytest.raises(Unsupported):
                await storage.load(_HISTORY[0])
            return
        for commit in _HISTORY:
            await storage.load(commit)
        stored = [loading.stored for commit in _HISTORY for loading in commit]
        assert await collect(storage.changes(0)) == stored
        assert (await storage.watermark()).seq == 11
        assert await storage.read(key("a"), 1) == stored[0]
        assert (await storage.read(key("a"))).deleted
        assert list((await storage.history(HistoryPlan(key=key("c")))).resources) == [stored[-1], stored[-2]]
        assert await found(storage, _SEARCH) == {"b", "c"}
        if "snapshot_scan" in storage.capabilities:
            assert [each.version for each in await collect(storage.scan(ScanPlan(as_of=7)))] == [1, 3, 1]

    async def test_loading_again_changes_nothing(self, storage: Storage) -> None:
        if "ordered_changes" not in storage.capabilities:
            return
        everything = [loading for commit in _HISTORY for loading in commit]
        await storage.load(everything[:2])
        await storage.load(everything)
        await storage.load(everything)
        assert await collect(storage.changes(0)) == [loading.stored for loading in everything]
        assert await found(storage, _SEARCH) == {"b", "c"}

    async def test_commits_go_on_after_what_was_loaded(self, storage: Storage) -> None:
        if "ordered_changes" not in storage.capabilities:
            return
        for commit in _HISTORY:
            await storage.load(commit)
        [c, a, d] = await storage.commit([write("c"), write("a"), write("d")])
        assert (c.version, a.version, d.version) == (3, 4, 1)
        assert c.seq > 11
        assert c.at > 1_000_000_000_011
        assert await found(storage, _SEARCH) == {"b"}

    async def test_what_is_not_empty_takes_nothing_over(self, storage: Storage) -> None:
        if "ordered_changes" not in storage.capabilities:
            return
        [own] = await storage.commit([write("own", note="x")])
        for loading in (_version("own", 1, own.seq), _version("a", 1, own.seq)):
            with pytest.raises(Unsupported):
                await storage.load([_version("first", 1, own.seq + 5), loading])
        with pytest.raises(NotFound):
            await storage.read(key("first"))
        assert await collect(storage.changes(0)) == [own]
