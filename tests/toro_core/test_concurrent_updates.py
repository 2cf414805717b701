"""Many who write at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from toro_core.v1 import (
    CallError,
    Core,
    CreateResourceRequest,
    GetResourceRequest,
    ListVersionsRequest,
    Metadata,
    Resource,
    UpdateResourceRequest,
)

WRITERS = 16
Make = Callable[..., dict[str, Any]]


@pytest.fixture
async def all_(partner: Any) -> Metadata:
    metadata: Metadata = await partner.may("system/*.cruds")
    return metadata


async def update(core: Core, metadata: Metadata, name: str, observation: Make, writer: int, etag: str = "") -> Resource:
    body = observation(id=name.partition("/")[2], valueInteger=writer)
    body.pop("valueQuantity")
    request = UpdateResourceRequest(name=name, json=json.dumps(body).encode(), etag=etag)
    return (await core.UpdateResource(request, metadata=metadata)).resource


async def test_of_those_who_update_one_version_exactly_one_wins(
    core: Core, all_: Metadata, partner: Any, observation: Make
) -> None:
    name, etag = (lambda made: (made.name, made.etag))(await partner.create(observation()))
    for _ in range(4):
        calls = (update(core, all_, name, observation, writer, etag) for writer in range(WRITERS))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        won = [(writer, answer) for writer, answer in enumerate(answers) if isinstance(answer, Resource)]
        assert len(won) == 1
        lost = [answer.reason for answer in answers if isinstance(answer, CallError)]
        assert lost == ["VERSION_CONFLICT"] * (WRITERS - 1)
        [(writer, stored)] = won
        current = (await core.GetResource(GetResourceRequest(name=name), metadata=all_)).resource
        assert current.etag == stored.etag != etag
        assert json.loads(current.json)["valueInteger"] == writer
        etag = stored.etag


async def test_updates_without_an_etag_all_land(core: Core, all_: Metadata, partner: Any, observation: Make) -> None:
    name = (await partner.create(observation())).name
    stored = await asyncio.gather(*(update(core, all_, name, observation, writer) for writer in range(WRITERS)))
    versions = sorted(int(one.etag[3:-1]) for one in stored)
    assert versions == list(range(2, WRITERS + 2))
    history = (await core.ListVersions(ListVersionsRequest(name=name), metadata=all_)).versions
    assert [one.etag for one in history] == [f'W/"{number}"' for number in range(WRITERS + 1, 0, -1)]
    assert {json.loads(one.json).get("valueInteger") for one in history} == {*range(WRITERS), None}
    times = [one.update_time.ToMilliseconds() for one in history]
    assert times == sorted(times, reverse=True)


async def test_of_those_who_create_one_id_one_creates_and_the_others_update(
    core: Core, all_: Metadata, observation: Make
) -> None:
    body = json.dumps(observation(id="one")).encode()
    request = UpdateResourceRequest(name="Observation/one", json=body, allow_missing=True)
    answers = await asyncio.gather(*(core.UpdateResource(request, metadata=all_) for _ in range(WRITERS)))
    assert sum(answer.created for answer in answers) == 1
    assert sorted(int(answer.resource.etag[3:-1]) for answer in answers) == list(range(1, WRITERS + 1))


async def test_a_caller_who_leaves_does_not_stop_a_commit(
    core: Core, all_: Metadata, storage: Any, observation: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued, go_on = asyncio.Event(), asyncio.Event()
    stored: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    commit = storage.commit

    async def slow(writes: Any) -> Any:
        queued.set()
        await go_on.wait()
        stored.set_result(await commit(writes))
        return stored.result()

    monkeypatch.setattr(type(storage), "commit", lambda _, writes: slow(writes))
    body = json.dumps(observation()).encode()
    request = CreateResourceRequest(resource_type="Observation", json=body)
    call = asyncio.ensure_future(core.CreateResource(request, metadata=all_))
    await queued.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    go_on.set()
    [written] = await stored
    read = await core.GetResource(GetResourceRequest(name=str(written.key)), metadata=all_)
    assert read.resource.etag == 'W/"1"'


async def test_a_deadline_that_passes_does_not_stop_a_commit(
    core: Core, all_: Metadata, storage: Any, observation: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    commit = storage.commit

    async def slow(writes: Any) -> Any:
        await asyncio.sleep(0.3)
        stored.set_result(await commit(writes))
        return stored.result()

    monkeypatch.setattr(type(storage), "commit", lambda _, writes: slow(writes))
    request = CreateResourceRequest(resource_type="Observation", json=json.dumps(observation()).encode())
    with pytest.raises(CallError) as caught:
        await core.CreateResource(request, metadata=all_, timeout=0.15)
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    [written] = await stored
    assert (await core.GetResource(GetResourceRequest(name=str(written.key)), metadata=all_)).resource.name
