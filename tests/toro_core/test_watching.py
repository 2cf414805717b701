"""WatchResources over both transports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from toro_core.assembly import service_on
from toro_core.local import LocalTransport
from toro_core.server import serve_core
from toro_core.service import Service
from toro_core.settings import Settings
from toro_core.storage import Storage
from toro_core.testing.memory import MemoryStorage
from toro_core.v1 import (
    CallError,
    Core,
    Metadata,
    UpdateResourceRequest,
    WatchResourcesRequest,
    WatchResourcesResponse,
    connect,
)

Make = Callable[..., dict[str, Any]]
LAB = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


def _watch(core: Core, metadata: Metadata, *types: str, **asked: Any) -> AsyncIterator[WatchResourcesResponse]:
    return core.WatchResources(WatchResourcesRequest(resource_types=types, **asked), metadata=metadata)


async def _take(watch: AsyncIterator[WatchResourcesResponse], count: int) -> list[WatchResourcesResponse]:
    """Take messages until they hold so many changes, then leave."""
    found: list[WatchResourcesResponse] = []
    async with asyncio.timeout(10):
        while sum(len(one.changes) for one in found) < count:
            found.append(await anext(watch))
    await watch.aclose()  # type: ignore[attr-defined]  # both transports give generators
    return found


def _names(messages: list[WatchResourcesResponse]) -> list[str]:
    return [f"{change.name} {change.etag[3:-1]}" for message in messages for change in message.changes]


async def _refused(watch: AsyncIterator[WatchResourcesResponse]) -> tuple[str, str]:
    with pytest.raises(CallError) as caught:
        await asyncio.wait_for(anext(watch), 10)
    return caught.value.code, caught.value.reason


async def test_what_was_committed_comes_in_order_and_then_what_is_committed(core: Core, partner: Any) -> None:
    everything = await partner.may("system/*.rs")
    a = await partner.create({"resourceType": "Patient"})
    b = await partner.create({"resourceType": "Basic", "code": {"text": "x"}})
    await partner.delete(a.name)
    watch = _watch(core, everything, after=0)
    early = await _take(watch, 3)
    assert _names(early) == [f"{a.name} 1", f"{b.name} 1", f"{a.name} 2"]
    first, _, last = (change for message in early for change in message.changes)
    assert (first.json, last.deleted, last.json) == (first.json or b"?", True, b"")
    watch = _watch(core, everything, after=early[-1].sequence)
    waiting = asyncio.create_task(_take(watch, 1))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    c = await partner.create({"resourceType": "Patient"})
    committed = time.monotonic()
    assert _names(await waiting) == [f"{c.name} 1"]
    assert time.monotonic() - committed < 1


async def test_without_a_place_to_begin_it_begins_now(core: Core, partner: Any) -> None:
    await partner.create({"resourceType": "Patient"})
    watch = _watch(core, await partner.may("system/*.rs"))
    start = await asyncio.wait_for(anext(watch), 10)
    assert not start.changes
    b = await partner.create({"resourceType": "Patient"})
    [message] = await _take(watch, 1)
    assert _names([message]) == [f"{b.name} 1"]
    assert message.sequence > start.sequence > 0


async def test_any_sequence_is_a_place_to_go_on_from(core: Core, partner: Any) -> None:
    everything = await partner.may("system/*.rs")
    for _ in range(5):
        await partner.create({"resourceType": "Patient"})
    watch = _watch(core, everything, after=0, max_bytes=1)
    whole = _names(await _take(watch, 5))
    sequences = [stored.seq async for batch in partner.storage.changes(0) for stored in batch]
    for place, after in enumerate(sequences[:-1], 1):
        assert _names(await _take(_watch(core, everything, after=after), 5 - place)) == whole[place:]


async def test_large_changes_come_in_messages_that_any_client_takes(core: Core, partner: Any) -> None:
    everything = await partner.may("system/*.rs")
    for notes in (1, 1, 4, 0):
        note = [{"text": "x" * 900_000}] * notes or [{"text": "x"}]
        await partner.create({"resourceType": "Observation", "status": "final", "code": {"text": "c"}, "note": note})
    messages = await _take(_watch(core, everything, after=0), 4)
    assert max(message.ByteSize() for message in messages) < 2_000_000
    changes = [change for message in messages for change in message.changes]
    assert [bool(change.json) for change in changes] == [True, True, False, True]
    assert changes[2].size > 3_500_000
    assert len(messages) > 1


async def test_types_can_be_chosen_and_need_their_scopes(core: Core, partner: Any) -> None:
    a = await partner.create({"resourceType": "Patient"})
    b = await partner.create({"resourceType": "Basic", "code": {"text": "x"}})
    c = await partner.create({"resourceType": "Patient"})
    everything, patients = await partner.may("system/*.rs"), await partner.may("system/Patient.s")
    assert _names(await _take(_watch(core, everything, "Patient", after=0), 2)) == [f"{a.name} 1", f"{c.name} 1"]
    assert _names(await _take(_watch(core, everything, "Basic", after=0), 1)) == [f"{b.name} 1"]
    assert _names(await _take(_watch(core, patients, after=0), 2)) == [f"{a.name} 1", f"{c.name} 1"]
    assert await _refused(_watch(core, patients, "Patient", "Basic")) == ("PERMISSION_DENIED", "INSUFFICIENT_SCOPE")
    assert await _refused(_watch(core, await partner.may("system/*.r"))) == ("PERMISSION_DENIED", "INSUFFICIENT_SCOPE")
    assert await _refused(_watch(core, everything, "Nothing")) == ("NOT_FOUND", "UNSUPPORTED_TYPE")
    assert await _refused(_watch(core, everything, after=-1)) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert (await _refused(_watch(core, ())))[0] == "UNAUTHENTICATED"


async def test_what_lies_outside_a_granular_grant_is_not_seen(core: Core, partner: Any, observation: Make) -> None:
    inside, outside = await partner.create(observation()), await partner.create(observation("vital-signs"))
    for name in (outside.name, inside.name):
        await partner.delete(name)
    end = await partner.create(observation())
    messages = await _take(_watch(core, await partner.may(f"system/Observation.s?{LAB}"), after=0), 3)
    assert _names(messages) == [f"{inside.name} 1", f"{inside.name} 2", f"{end.name} 1"]


async def test_a_stream_ends_with_its_token(storage: Storage, settings: Settings, partner: Any) -> None:
    short = service_on(
        storage, Settings(storage=settings.storage, base_url=settings.base_url, token_ttl=1, clock_skew=0)
    )
    partner.core = core = Core(LocalTransport(short))
    partner._tokens.clear()
    watch = _watch(core, await partner.may("system/Patient.rs"))
    await anext(watch)
    waiting = asyncio.create_task(_refused(watch))
    await asyncio.sleep(2.1)
    partner._tokens.clear()
    await partner.create({"resourceType": "Patient"})
    assert await waiting == ("UNAUTHENTICATED", "INVALID_TOKEN")


async def test_a_storage_without_ordered_changes_says_so(settings: Settings) -> None:
    storage = MemoryStorage(without=("ordered_changes",))
    from tests.toro_core.conftest import Partner

    core = Core(LocalTransport(service_on(storage, settings)))
    partner = Partner(storage, settings, core, "service")
    await partner.register()
    assert await _refused(_watch(core, await partner.may("system/*.rs"))) == ("UNIMPLEMENTED", "UNSUPPORTED")


async def test_the_end_of_a_core_ends_its_streams_at_once(service: Service, settings: Settings, partner: Any) -> None:
    everything = await partner.may("system/*.rs")
    async with serve_core(service, settings) as port, connect(f"127.0.0.1:{port}") as core:
        watch = _watch(core, everything)
        start = await anext(watch)
        waiting = asyncio.create_task(_rest(watch))
        await asyncio.sleep(0.05)
        stopping = time.monotonic()
        service.end_streams()
        assert await asyncio.wait_for(waiting, 5) == []
        assert start.sequence >= 0
    assert time.monotonic() - stopping < 5 < settings.shutdown_grace


async def _rest(watch: AsyncIterator[WatchResourcesResponse]) -> list[WatchResourcesResponse]:
    return [message async for message in watch]


async def test_changes_reach_every_watcher_while_many_write(core: Core, partner: Any, local: Core) -> None:
    everything = await partner.may("system/*.cruds")

    async def write(name: str) -> None:
        for n in range(10):
            body = b'{"resourceType":"Basic","id":"%s","code":{"text":"%d"}}' % (name.encode(), n)
            request = UpdateResourceRequest(name=f"Basic/{name}", json=body, allow_missing=True)
            await local.UpdateResource(request, metadata=everything)

    watchers = [asyncio.create_task(_take(_watch(core, everything, after=0), 40)) for _ in range(5)]
    await asyncio.gather(*(write(f"w{n}") for n in range(4)))
    for messages in await asyncio.gather(*watchers):
        names = _names(messages)
        assert len(set(names)) == len(names) == 40
        sequences = [message.sequence for message in messages]
        assert sequences == sorted(set(sequences))
        for n in range(4):
            assert [name for name in names if f"/w{n} " in name] == [f"Basic/w{n} {v}" for v in range(1, 11)]
