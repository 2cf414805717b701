"""The feed of changes: one poller for all who wait, none where nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from toro_core.errors import StorageBusy
from toro_core.feed import Feed
from toro_core.storage import Body, Key, Stored, Write
from toro_core.testing.memory import MemoryStorage


class Counted(MemoryStorage):
    """Counts how often it is asked for changes, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.broken = False

    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        self.asked += 1
        if self.broken:
            raise StorageBusy
        async for batch in super().changes(after):
            yield batch

    async def write(self, *ids: str) -> list[Stored]:
        body = Body(before=b'{"resourceType":"Basic","meta":{', after=b"}}")
        return list(await self.commit([Write(key=Key("Basic", id_), body=body) for id_ in ids]))


async def _follow(feed: Feed, after: int, seen: list[Stored]) -> None:
    async for batch in feed.changes(after):
        seen += batch


@pytest.fixture
def storage() -> Counted:
    return Counted()


async def test_every_follower_gets_every_change_from_where_it_began(storage: Counted) -> None:
    feed = Feed(storage, interval=0.001)
    early = [*await storage.write("a"), *await storage.write("b", "c")]
    seen: list[list[Stored]] = [[], [], [], []]
    starts = (0, 1, early[-1].seq, 5)
    followers = [asyncio.create_task(_follow(feed, after, into)) for after, into in zip(starts, seen, strict=True)]
    late = []
    for n in range(4):
        await asyncio.sleep(0.004)
        late += await storage.write(str(n), "a")
    await asyncio.sleep(0.05)
    feed.close()
    await asyncio.gather(*followers)
    for after, into in zip(starts, seen, strict=True):
        assert into == [one for one in (*early, *late) if one.seq > after]


async def test_followers_share_one_poller(storage: Counted) -> None:
    feed = Feed(storage, interval=0.02)
    followers = [asyncio.create_task(_follow(feed, 0, [])) for _ in range(50)]
    await asyncio.sleep(0)
    started = storage.asked
    await asyncio.sleep(0.2)
    assert started <= 50
    assert 1 <= storage.asked - started <= 12
    feed.close()
    await asyncio.gather(*followers)


async def test_a_change_that_followers_wait_for_is_read_once(storage: Counted) -> None:
    feed = Feed(storage, interval=0.02)
    seen: list[list[Stored]] = [[] for _ in range(20)]
    followers = [asyncio.create_task(_follow(feed, 0, into)) for into in seen]
    await asyncio.sleep(0.01)
    started = storage.asked
    stored = await storage.write("a", "b")
    await asyncio.sleep(0.05)
    assert all(into == stored for into in seen)
    assert storage.asked - started <= 4 + len(seen), "each looks once more whether there is anything after it"
    feed.close()
    await asyncio.gather(*followers)


async def test_nothing_is_done_where_nobody_follows(storage: Counted) -> None:
    feed = Feed(storage, interval=0.001)
    for _ in range(2):
        follower = asyncio.create_task(_follow(feed, 0, []))
        await asyncio.sleep(0.01)
        follower.cancel()
        with pytest.raises(asyncio.CancelledError):
            await follower
        await asyncio.sleep(0)
        asked = storage.asked
        await asyncio.sleep(0.02)
        assert storage.asked == asked
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_storage_that_fails_ends_the_streams_and_a_new_one_may_follow(storage: Counted) -> None:
    feed = Feed(storage, interval=0.001)
    followers = [asyncio.create_task(_follow(feed, 0, [])) for _ in range(3)]
    await asyncio.sleep(0.005)
    storage.broken = True
    for follower in followers:
        with pytest.raises(StorageBusy):
            await follower
    storage.broken = False
    seen: list[Stored] = []
    again = asyncio.create_task(_follow(feed, 0, seen))
    stored = await storage.write("a")
    await asyncio.sleep(0.02)
    assert seen == stored
    feed.close()
    await again


async def test_a_closed_feed_ends_at_once(storage: Counted) -> None:
    await storage.write("a")
    feed = Feed(storage, interval=60)
    follower = asyncio.create_task(_follow(feed, 1, []))
    await asyncio.sleep(0.01)
    feed.close()
    await asyncio.wait_for(follower, 1)
    await asyncio.wait_for(_follow(feed, 0, []), 1)
