"""State records."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import asyncio
import time

import pytest

from toro_core.errors import StateConflict, Unsupported
from toro_core.storage import Storage

__all__ = ["StateConformance"]

_RACERS = 16


class StateConformance:
    """Compare and set, expiry, prefixes."""

    async def test_a_record_is_read_as_written(self, storage: Storage) -> None:
        assert await storage.get_state("k") is None
        for value in (b"", b"\x00\xff{}", b"x" * 100_000):
            revision = await storage.put_state("k", value)
            record = await storage.get_state("k")
            assert record is not None
            assert (record.key, record.value, record.revision, record.expires_at) == ("k", value, revision, None)

    async def test_a_revision_grows_with_every_change_of_the_key_and_never_comes_again(self, storage: Storage) -> None:
        revisions = [await storage.put_state("k", b"same") for _ in range(3)]
        await storage.delete_state("k")
        revisions.append(await storage.put_state("k", b"same"))
        assert revisions == sorted(set(revisions))
        assert revisions[0] >= 1

    async def test_a_record_is_replaced_only_at_the_revision_expected(self, storage: Storage) -> None:
        with pytest.raises(StateConflict):
            await storage.put_state("k", b"no", if_revision=1)
        first = await storage.put_state("k", b"one", if_revision=0)
        with pytest.raises(StateConflict):
            await storage.put_state("k", b"no", if_revision=0)
        second = await storage.put_state("k", b"two", if_revision=first)
        with pytest.raises(StateConflict):
            await storage.put_state("k", b"no", if_revision=first)
        record = await storage.get_state("k")
        assert record is not None
        assert (record.value, record.revision) == (b"two", second)

    async def test_exactly_one_of_many_racing_puts_wins(self, storage: Storage) -> None:
        for expected in (0, await storage.put_state("old", b"")):
            name = "old" if expected else "new"
            puts = [storage.put_state(name, str(n).encode(), if_revision=expected) for n in range(_RACERS)]
            results = await asyncio.gather(*puts, return_exceptions=True)
            assert sum(isinstance(each, StateConflict) for each in results) == _RACERS - 1
            record = await storage.get_state(name)
            assert record is not None
            assert results[int(record.value)] == record.revision

    async def test_a_record_is_deleted_only_at_the_revision_expected(self, storage: Storage) -> None:
        assert await storage.delete_state("k") is False
        revision = await storage.put_state("k", b"")
        with pytest.raises(StateConflict):
            await storage.delete_state("k", if_revision=revision + 1)
        assert await storage.delete_state("k", if_revision=revision) is True
        assert await storage.get_state("k") is None
        with pytest.raises(StateConflict):
            await storage.delete_state("k", if_revision=revision)

    async def test_an_expired_record_counts_as_absent(self, storage: Storage) -> None:
        if "state_ttl" not in storage.capabilities:
            with pytest.raises(Unsupported):
                await storage.put_state("k", b"", ttl=60)
            return
        before = time.time() * 1000
        await storage.put_state("long", b"", ttl=3600)
        revision = await storage.put_state("k", b"", ttl=0.05)
        record = await storage.get_state("long")
        assert record is not None
        assert record.expires_at is not None
        assert 3_590_000 < record.expires_at - before < 3_610_000
        await asyncio.sleep(0.06)
        assert await storage.get_state("k") is None
        assert [each.key for each in await storage.list_state("")] == ["long"]
        with pytest.raises(StateConflict):
            await storage.put_state("k", b"", if_revision=revision)
        assert await storage.delete_state("k") is False
        assert await storage.put_state("k", b"", if_revision=0) > revision

    async def test_a_put_without_ttl_takes_an_expiry_away(self, storage: Storage) -> None:
        if "state_ttl" not in storage.capabilities:
            return
        await storage.put_state("k", b"", ttl=3600)
        await storage.put_state("k", b"")
        record = await storage.get_state("k")
        assert record is not None
        assert record.expires_at is None

    async def test_records_are_listed_by_prefix_in_key_order(self, storage: Storage) -> None:
        keys = ["jti:b", "jti:a", "jtj", "jti", "JTI:c", "jti:%", "jti:_", "jti:\U0010ffff", "jti:é", "z'; --"]
        for name in keys:
            await storage.put_state(name, name.encode())
        expected = sorted(name for name in keys if name.startswith("jti:"))
        assert [each.key for each in await storage.list_state("jti:")] == expected
        assert [each.key for each in await storage.list_state("jti:%")] == ["jti:%"]
        assert [each.key for each in await storage.list_state("")] == sorted(keys)
        assert list(await storage.list_state("nothing")) == []
        assert all(each.value == each.key.encode() for each in await storage.list_state(""))
