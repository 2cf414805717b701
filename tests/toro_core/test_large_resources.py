"""Large resources with default client options: in and out byte for byte, and never a page that a client cannot take."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from toro_core.server import serve_core
from toro_core.service import Service
from toro_core.settings import Settings
from toro_core.v1 import (
    CallError,
    Core,
    CreateResourceRequest,
    FetchResourceRequest,
    GetResourceRequest,
    ListVersionsRequest,
    Metadata,
    ResourceServiceStub,
    SearchParameter,
    SearchResourcesRequest,
    UpdateResourceRequest,
)

DEFAULT_LIMIT = 4 << 20
PDF = b"%PDF-1.7\n" + random.Random(1).randbytes(10 << 20)  # noqa: S311 - the same bytes every time


def document(data: bytes, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": "application/pdf", "data": base64.b64encode(data).decode()}}],
        **members,
    }


def create(resource: dict[str, Any]) -> CreateResourceRequest:
    return CreateResourceRequest(resource_type=resource["resourceType"], json=json.dumps(resource).encode())


@pytest.fixture
async def all_(partner: Any) -> Metadata:
    metadata: Metadata = await partner.may("system/*.cruds")
    return metadata


@pytest.fixture
async def stub(service: Service, settings: Settings) -> AsyncIterator[Any]:
    """Give the generated stub over a channel without options."""
    async with serve_core(service, settings) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield ResourceServiceStub(channel)


async def test_a_pdf_of_10_mb_goes_in_and_out_byte_for_byte(stub: Any, all_: Metadata) -> None:
    name = (await stub.CreateResource(create(document(PDF)), metadata=all_)).resource.name
    chunks = [part.chunk async for part in stub.FetchResource(FetchResourceRequest(name=name), metadata=all_)]
    assert max(map(len, chunks)) <= 1 << 20
    read = json.loads(b"".join(chunks))
    assert base64.b64decode(read["content"][0]["attachment"]["data"]) == PDF
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetResource(GetResourceRequest(name=name), metadata=all_)
    details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    assert ErrorInfo.FromString(Status.FromString(details).details[0].value).reason == "RESOURCE_TOO_LARGE"
    assert "FetchResource" in (caught.value.details() or "")


async def test_an_oversized_resource_comes_in_a_page_with_its_size_alone(stub: Any, all_: Metadata) -> None:
    name = (await stub.CreateResource(create(document(PDF)), metadata=all_)).resource.name
    page = await stub.SearchResources(SearchResourcesRequest(resource_type="DocumentReference"), metadata=all_)
    [found] = [entry.resource for entry in page.entries]
    assert (found.name, found.json) == (name, b"")
    assert found.size > len(PDF)
    history = await stub.ListVersions(ListVersionsRequest(name=name), metadata=all_)
    assert [(one.json, one.size) for one in history.versions] == [(b"", found.size)]


async def test_pages_of_large_resources_stay_within_what_every_client_takes(
    stub: Any, all_: Metadata, partner: Any
) -> None:
    names = [(await partner.create(document(bytes(size)))).name for size in (700_000,) * 7 + (2_900_000, 10, 10)]
    seen: list[str] = []
    request = SearchResourcesRequest(resource_type="DocumentReference")
    request.parameters.add(code="_count", values=["1000"])
    while True:
        page = await stub.SearchResources(request, metadata=all_)
        assert page.ByteSize() < DEFAULT_LIMIT
        seen += [entry.resource.name for entry in page.entries]
        if not page.next_page_token:
            break
        request = SearchResourcesRequest(resource_type="DocumentReference", page_token=page.next_page_token)
    assert sorted(seen) == sorted(names)


async def test_pages_of_many_versions_stay_within_it_too(stub: Any, all_: Metadata, partner: Any) -> None:
    name = (await partner.create(document(bytes(700_000)))).name
    body = json.dumps(document(bytes(700_000), id=name.partition("/")[2])).encode()
    for _ in range(5):
        await stub.UpdateResource(UpdateResourceRequest(name=name, json=body), metadata=all_)
    seen: list[str] = []
    request = ListVersionsRequest(name=name)
    while True:
        page = await stub.ListVersions(request, metadata=all_)
        assert page.ByteSize() < DEFAULT_LIMIT
        seen += [version.etag for version in page.versions]
        if not page.next_page_token:
            break
        request = ListVersionsRequest(name=name, page_token=page.next_page_token)
    assert seen == [f'W/"{number}"' for number in range(6, 0, -1)]


async def test_who_accepts_more_gets_it_in_one_message(core: Core, all_: Metadata, partner: Any) -> None:
    name = (await partner.create(document(PDF))).name
    read = await core.GetResource(GetResourceRequest(name=name, max_bytes=20 << 20), metadata=all_)
    assert base64.b64decode(json.loads(read.resource.json)["content"][0]["attachment"]["data"]) == PDF
    parameter = SearchParameter(code="_count", values=["1"])
    request = SearchResourcesRequest(resource_type="DocumentReference", parameters=[parameter], max_bytes=20 << 20)
    assert (await core.SearchResources(request, metadata=all_)).entries[0].resource == read.resource


@pytest.mark.parametrize("over", [1, 2 << 20], ids=["a little", "more than a message"])
async def test_a_resource_beyond_the_servers_limit_is_refused(
    core: Core, settings: Settings, all_: Metadata, over: int
) -> None:
    body = b'{"resourceType":"Binary","data":"' + bytes(48) * (settings.max_body // 48) + b"A" * over
    with pytest.raises(CallError) as caught:
        await core.CreateResource(CreateResourceRequest(resource_type="Binary", json=body), metadata=all_)
    assert caught.value.reason == "RESOURCE_TOO_LARGE"


async def test_a_large_body_does_not_hold_up_the_others(core: Core, all_: Metadata) -> None:
    large = asyncio.ensure_future(core.CreateResource(create(document(PDF)), metadata=all_))
    loop = asyncio.get_running_loop()
    worst = 0.0
    while not large.done():
        started = loop.time()
        await asyncio.sleep(0.001)
        worst = max(worst, loop.time() - started)
    await large
    assert worst < 1.0
