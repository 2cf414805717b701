"""A watch in one process sees what another one writes, and ends well with either."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests.operations.conftest import BASE
from toro_core.v1 import WatchResourcesRequest, WatchResourcesResponse, connect


async def _until(watch: AsyncIterator[WatchResourcesResponse], name: str) -> WatchResourcesResponse:
    async for message in watch:
        if any(change.name == name for change in message.changes):
            return message
    raise AssertionError("the stream ended")


async def test_what_another_process_commits_comes_within_a_second_and_a_restart_misses_nothing(stocked: Any) -> None:
    with stocked.running("serve", "--port", "0", "--base-url", BASE) as writer:
        token = stocked.token(writer.http, token_url=f"{BASE}/auth/token")
        metadata = (("authorization", f"Bearer {token}"),)
        async with httpx.AsyncClient(
            base_url=f"{writer.http}/fhir", headers={"authorization": f"Bearer {token}"}
        ) as http:

            async def create() -> str:
                answer = await http.post("/Patient", json={"resourceType": "Patient"})
                assert answer.status_code == 201, answer.text
                return f"Patient/{answer.json()['id']}"

            with stocked.running("core", "--listen", "127.0.0.1:0", TORO_BASE_URL=BASE) as core:
                async with connect(core.grpc) as client:
                    watch = client.WatchResources(WatchResourcesRequest(), metadata=metadata)
                    after = (await asyncio.wait_for(anext(watch), 20)).sequence
                    for _ in range(3):
                        await asyncio.sleep(0.15)
                        name = await create()
                        committed = time.monotonic()
                        after = (await asyncio.wait_for(_until(watch, name), 20)).sequence
                        assert time.monotonic() - committed < 1
                    stopping = time.monotonic()
                    core.process.send_signal(signal.SIGTERM)
                    assert [message async for message in watch] == [], "the stream ends without an error"
                    assert await asyncio.to_thread(core.process.wait, 15) == 0
                    assert time.monotonic() - stopping < 5
            missed = [await create() for _ in range(3)]
            with stocked.running("core", "--listen", "127.0.0.1:0", TORO_BASE_URL=BASE) as core:
                async with connect(core.grpc) as client:
                    watch = client.WatchResources(WatchResourcesRequest(after=after), metadata=metadata)
                    seen: list[str] = []
                    while len(seen) < 3:
                        seen += [change.name for change in (await asyncio.wait_for(anext(watch), 20)).changes]
                    assert seen == missed
