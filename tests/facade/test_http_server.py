from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from toro_core.settings import Settings, SettingsError
from toro_core.v1 import Core, GetResourceResponse, Resource
from toro_facade.server import serving

_EVERYWHERE = "0.0.0.0"  # noqa: S104
_QUICK = Settings(port=0, header_timeout=0.3, body_timeout=0.3, shutdown_grace=2)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", settings.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _status(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_a_free_port_is_taken_and_told_and_answers_over_real_http(
    core: Core, transport: Any, patient: Resource
) -> None:
    transport.answers["GetResource"] = GetResourceResponse(resource=patient)
    async with serving(core, _QUICK) as settings, httpx.AsyncClient(base_url=settings.base()) as client:
        assert settings.port
        answer = await client.get("/fhir/Patient/1", headers={"authorization": "Bearer x"})
        assert answer.content == patient.json
        head = await client.head("/fhir/Patient/1", headers={"authorization": "Bearer x"})
        assert head.headers["content-length"] == answer.headers["content-length"]
        assert "server" not in answer.headers
        metadata = (await client.get("/fhir/metadata")).json()
        assert metadata["implementation"]["url"] == f"http://127.0.0.1:{settings.port}/fhir"


async def test_a_taken_port_is_told_in_words(core: Core) -> None:
    async with serving(core, _QUICK) as settings:
        with pytest.raises(SettingsError, match=f"{settings.port}.*another --port"):
            async with serving(core, settings):
                pass


async def test_plain_text_beyond_loopback_is_refused_before_anything_listens(core: Core) -> None:
    with pytest.raises(SettingsError, match="insecure"):
        async with serving(core, Settings(host=_EVERYWHERE, port=0)):
            pass
    with pytest.raises(SettingsError, match="base_url"):
        async with serving(core, Settings(host=_EVERYWHERE, port=0, tls_certificate="c", tls_key="k")):
            pass


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\n", b"\r\n"])
async def test_slow_headers_are_cut_off(core: Core, sent: bytes) -> None:
    async with serving(core, _QUICK) as settings, _connected(settings) as (reader, writer):
        started = time.monotonic()
        writer.write(sent)
        status, outcome = await _status(reader)
        assert (status, outcome["resourceType"]) == (408, "OperationOutcome")
        assert time.monotonic() - started < 2


async def test_headers_that_trickle_in_are_cut_off_too(core: Core) -> None:
    async with serving(core, _QUICK) as settings, _connected(settings) as (reader, writer):
        answer = asyncio.create_task(_status(reader))
        for byte in b"GET / HTTP/1.1\r\nhost: localhost\r\n":
            if answer.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.03)
        assert (await answer)[0] == 408


async def test_a_slow_body_is_cut_off_and_never_reaches_the_core(core: Core, transport: Any) -> None:
    async with serving(core, _QUICK) as settings, _connected(settings) as (reader, writer):
        writer.write(
            b"POST /fhir/Patient HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\ncontent-length: 100\r\n\r\n{"
        )
        assert (await _status(reader))[0] == 408
    assert [name for name, _, _ in transport.asked] == ["GetCapabilities"]


async def test_a_body_that_trickles_in_is_cut_off_too(core: Core) -> None:
    async with serving(core, _QUICK) as settings, _connected(settings) as (reader, writer):
        writer.write(
            b"POST /fhir/Patient HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\ncontent-length: 100\r\n\r\n"
        )
        answer = asyncio.create_task(_status(reader))
        for _ in range(99):
            if answer.done():
                break
            writer.write(b"{")
            await asyncio.sleep(0.05)
        # What is still sent while the server closes may cost the client the answer, not the server the connection.
        with contextlib.suppress(ConnectionError):
            assert (await answer)[0] == 408


async def test_a_kept_connection_starts_its_clock_with_the_next_request(
    core: Core, transport: Any, patient: Resource
) -> None:
    transport.answers["GetResource"] = GetResourceResponse(resource=patient)
    request = b"GET /fhir/Patient/1 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\n\r\n"
    async with serving(core, _QUICK) as settings, _connected(settings) as (reader, writer):
        for pause in (0.7, 0):
            writer.write(request)
            answer = await asyncio.wait_for(reader.readuntil(patient.json), 5)
            assert answer.startswith(b"HTTP/1.1 200")
            await asyncio.sleep(pause)
        writer.write(b"GET /")
        assert (await _status(reader))[0] == 408


async def test_endless_headers_and_broken_requests_are_refused_with_an_outcome(core: Core) -> None:
    async with serving(core, Settings(port=0)) as settings:
        async with _connected(settings) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000)
            status, outcome = await _status(reader)
            assert (status, outcome["resourceType"]) == (431, "OperationOutcome")
        async with _connected(settings) as (reader, writer):
            writer.write(b"nonsense\r\n\r\n")
            status, outcome = await _status(reader)
            assert (status, outcome["resourceType"]) == (400, "OperationOutcome")


async def test_a_body_far_beyond_the_limit_is_answered_413_while_it_is_still_being_sent(core: Core) -> None:
    async with (
        serving(core, Settings(port=0, max_body=1000)) as settings,
        httpx.AsyncClient(base_url=settings.base()) as client,
    ):
        headers = {"authorization": "Bearer x"}
        answer = await client.post("/fhir/Patient", content=b"{" + b" " * 5_000_000, headers=headers)
        assert answer.status_code == 413

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield b" " * 100_000

        answer = await client.post("/fhir/Patient", content=chunks(), headers=headers)
        assert answer.status_code == 413


async def test_the_end_waits_for_the_requests_under_way(core: Core, transport: Any, patient: Resource) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    class Slow:
        async def unary(self, method: Any, request: Any, metadata: Any, timeout: float | None) -> Any:  # noqa: ASYNC109
            if method.name == "GetResource":
                asked.set()
                await release.wait()
                return GetResourceResponse(resource=patient)
            return await transport.unary(method, request, metadata, timeout)

        stream = transport.stream

    async with httpx.AsyncClient() as client:
        async with serving(Core(Slow()), _QUICK) as settings:
            url = f"{settings.fhir_base()}/Patient/1"
            answer = asyncio.create_task(client.get(url, headers={"authorization": "Bearer x"}))
            await asked.wait()
            asyncio.get_running_loop().call_later(0.3, release.set)
        assert (await answer).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
