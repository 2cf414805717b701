"""Reads."""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import pytest

from toro_core.errors import NotFound, Unsupported
from toro_core.storage import Body, Storage, Write, stamp
from toro_core.testing.making import create, delete, key, put, write

__all__ = ["ReadConformance"]


class ReadConformance:
    """Point reads."""

    async def test_a_read_returns_what_was_committed(self, storage: Storage) -> None:
        one = write("a", note="first")
        (stored,) = await storage.commit([one])
        assert stored.key == key("a")
        assert (stored.version, stored.deleted) == (1, False)
        assert one.body is not None
        assert stored.json == stamp(one.body, 1, stored.at)
        assert await storage.read(key("a")) == stored

    async def test_what_was_never_stored_is_not_found(self, storage: Storage) -> None:
        await create(storage, {"a": write("a").rows})
        for missing in (key("b"), key("a", "Patient"), key("A"), key("")):
            with pytest.raises(NotFound):
                await storage.read(missing)
        for version in (0, 2, -1, 2**63, 10**30):
            with pytest.raises((NotFound, Unsupported)):
                await storage.read(key("a"), version)

    async def test_a_past_version_is_read_by_its_number_where_history_is_kept(self, storage: Storage) -> None:
        (first,) = await storage.commit([write("a", note="first")])
        (second,) = await storage.commit([write("a", note="second")])
        (third,) = await storage.commit([delete("a")])
        if "history" not in storage.capabilities:
            with pytest.raises(Unsupported):
                await storage.read(key("a"), 1)
            return
        assert [await storage.read(key("a"), number) for number in (1, 2, 3)] == [first, second, third]

    async def test_a_tombstone_is_read_as_deleted(self, storage: Storage) -> None:
        await create(storage, {"a": write("a").rows})
        (tombstone,) = await storage.commit([delete("a")])
        assert (tombstone.version, tombstone.deleted, tombstone.json) == (2, True, b"")
        assert await storage.read(key("a")) == tombstone

    async def test_many_are_read_in_the_order_asked(self, storage: Storage) -> None:
        await put(storage, [write("a"), write("b"), write("c"), write("a", type="Patient")])
        await storage.commit([delete("b")])
        keys = [key("c"), key("nobody"), key("a", "Patient"), key("b"), key("a"), key("c")]
        read = await storage.read_many(keys)
        assert [None if each is None else (each.key, each.deleted) for each in read] == [
            (key("c"), False),
            None,
            (key("a", "Patient"), False),
            (key("b"), True),
            (key("a"), False),
            (key("c"), False),
        ]
        assert await storage.read_many([]) == []

    async def test_two_thousand_are_read_at_once(self, storage: Storage) -> None:
        stored = await put(storage, [write(f"r{n}", note=str(n)) for n in range(2000)])
        assert list(await storage.read_many([each.key for each in reversed(stored)])) == list(reversed(stored))

    async def test_one_id_in_two_types_is_two_resources(self, storage: Storage) -> None:
        await put(storage, [write("a", type="Patient"), write("a")])
        await storage.commit([delete("a")])
        assert not (await storage.read(key("a", "Patient"))).deleted
        assert (await storage.read(key("a"))).deleted

    async def test_ten_megabytes_come_back_byte_for_byte(self, storage: Storage) -> None:
        body = Body(before=b'{"meta":{', after=b'},"data":"%s"}' % (b"0123456789abcdef" * 655_360))
        (stored,) = await storage.commit([Write(key=key("large"), body=body)])
        assert (await storage.read(key("large"))).json == stamp(body, 1, stored.at)

    async def test_any_bytes_of_json_come_back_unchanged(self, storage: Storage) -> None:
        text = '},"t":"é e\u0301 \U0001f9ec \\u0000 \\ud834 \x7f","n":[1.00,1E+2,-0,123456789012345678901234567890]}\n'
        body = Body(before=b'{"meta" : {', after=text.encode())
        (stored,) = await storage.commit([Write(key=key("a"), body=body)])
        assert (await storage.read(key("a"))).json == stamp(body, 1, stored.at) == stored.json
