from __future__ import annotations

import asyncio
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from toro_core.settings import Settings
from toro_core.v1 import (
    CallError,
    Core,
    CreateResourceResponse,
    ExchangeAssertionResponse,
    Resource,
    SearchResourcesResponse,
)
from toro_facade.server import serving

_TOKEN = "h." + urlsafe_b64encode(b'{"client_id":"partner-1"}').decode().rstrip("=") + ".s"


async def _lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    await asyncio.sleep(0.15)  # lines are written in batches
    records = [record for record in caplog.records if record.name == "toro.access"]
    return [json.loads(line) for record in records for line in record.getMessage().splitlines()]


async def test_a_request_is_one_line_with_the_template_and_no_url(
    client: httpx.AsyncClient, transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transport.answers["SearchResources"] = SearchResourcesResponse()
    headers = {"authorization": f"Bearer {_TOKEN}", "x-request-id": "r1"}
    answer = await client.get("/fhir/Patient?name=Jane", headers=headers)
    [line] = await _lines(caplog)
    assert line.pop("ms") >= 0
    assert line.pop("time").endswith("Z")
    assert line == {
        "request_id": "r1",
        "client_id": "partner-1",
        "method": "GET",
        "route": "/fhir/Patient",
        "status": 200,
        "bytes": len(answer.content),
    }


async def test_a_client_is_named_only_after_its_token_was_found_good(
    client: httpx.AsyncClient,
    transport: Any,
    failure: Callable[..., CallError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    client.headers["authorization"] = f"Bearer {_TOKEN}"
    for reason, code in [
        ("INVALID_TOKEN", "UNAUTHENTICATED"),
        ("STORAGE_UNAVAILABLE", "UNAVAILABLE"),
        ("INSUFFICIENT_SCOPE", "PERMISSION_DENIED"),
        ("RESOURCE_NOT_FOUND", "NOT_FOUND"),
    ]:
        transport.answers["GetResource"] = failure(reason, code)
        await client.get("/fhir/Patient/1")
    assert [line["client_id"] for line in await _lines(caplog)] == ["", "", "partner-1", "partner-1"]
    assert {line["route"] for line in await _lines(caplog)} == {"/fhir/Patient/{id}"}


async def test_a_canary_in_every_place_of_a_request_reaches_no_log(
    client: httpx.AsyncClient, transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transport.answers["SearchResources"] = RuntimeError("canary")
    transport.answers["GetResource"] = CallError("NOT_FOUND", "RESOURCE_NOT_FOUND", [])
    transport.answers["CreateResource"] = CreateResourceResponse(resource=Resource(name="Patient/1", etag='W/"1"'))
    transport.answers["ExchangeAssertion"] = ExchangeAssertionResponse(access_token="canary")
    form = {"client_assertion": "canary", "scope": "canary", "grant_type": "client_credentials"}
    headers = {"authorization": "Bearer canary", "x-canary": "canary"}
    for path in (
        "/canary",
        "/fhir/canary",
        "/fhir/Patient/canary",
        "/fhir/Patient?name=canary",
        "/fhir/Patient?%zzcanary",
    ):
        await client.get(path, headers=headers)
    await client.request("CANARY", "/fhir/Patient", headers=headers)
    await client.post("/fhir/Patient", content=b'{"canary":1}', headers=headers)
    await client.post("/fhir/Patient/_search", data={"name": "canary"}, headers=headers)
    await client.post("/auth/token", data=form)
    assert len(await _lines(caplog)) == 9
    own = [record for record in caplog.records if not record.name.startswith("httpx")]
    assert not [record for record in own if "canary" in record.getMessage().lower()]


async def test_the_last_lines_are_written_before_the_server_ends(core: Core, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(core, Settings(port=0)) as settings, httpx.AsyncClient(base_url=settings.base()) as client:
        await client.get("/health/live")
    assert '"/health/live"' in caplog.text
