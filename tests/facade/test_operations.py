"""How operations are found by method, path and policy, and what the core is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from toro_core.settings import Settings
from toro_core.v1 import (
    BinaryContent,
    FetchBinaryResponse,
    GetCapabilitiesResponse,
    GetResourceResponse,
    InvokeOperationResponse,
    Resource,
    SearchResourcesResponse,
)
from toro_facade.policy import OPERATIONS, running_policy

Make = Callable[[Settings], httpx.AsyncClient]


def test_what_is_published_is_what_is_live_of_it(capabilities: GetCapabilitiesResponse) -> None:
    assert running_policy(Settings(), capabilities).operations == ("batch", "transaction", "$validate", "$everything")
    assert {"$document", "$docref"} <= set(OPERATIONS)
    full = running_policy(Settings(expose="full"), capabilities)
    assert full.operations[-1] == "$count-notes"
    named = running_policy(Settings(operations=("$count-notes", "$document")), capabilities)
    assert named.operations == ("$count-notes",)
    assert [known.code for known in named.invoked] == ["count-notes"]


@pytest.fixture
async def full(make_client: Make) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(Settings(expose="full", base_url="https://fhir.example.org", max_body=10_000)) as client:
        yield client


async def test_an_operation_of_a_plugin_is_there_where_it_is_exposed(
    client: httpx.AsyncClient, full: httpx.AsyncClient, transport: Any
) -> None:
    transport.answers["InvokeOperation"] = InvokeOperationResponse(json=b'{"resourceType":"Parameters"}')
    assert (await client.post("/fhir/$count-notes")).status_code == 404
    assert (await full.post("/fhir/$count-notes")).json() == {"resourceType": "Parameters"}
    assert (transport.last.operation, transport.last.name, transport.last.resource_type) == ("count-notes", "", "")
    assert (await full.post("/fhir/Basic/$count-notes?a=1&b=2%2C3")).status_code == 200
    assert transport.last.resource_type == "Basic"
    assert [(one.name, one.value) for one in transport.last.arguments] == [("a", "1"), ("b", "2,3")]
    assert (await full.post("/fhir/Basic/1/$count-notes")).status_code == 404
    statement = (await full.get("/fhir/metadata")).json()["rest"][0]
    definition = {"name": "count-notes", "definition": "http://example.org/OperationDefinition/count-notes"}
    assert definition in statement["operation"]
    assert all(definition in resource["operation"] for resource in statement["resource"])


async def test_what_changes_something_is_not_invoked_by_get(full: httpx.AsyncClient) -> None:
    for path in ("/fhir/$count-notes", "/fhir/Patient/$count-notes"):
        answer = await full.get(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_parameters_and_policy_go_to_the_core(client: httpx.AsyncClient, transport: Any) -> None:
    transport.answers["InvokeOperation"] = InvokeOperationResponse(page=SearchResourcesResponse(next_page_token="t"))
    body = b'{"resourceType":"Parameters"}'
    headers = {"prefer": "handling=lenient"}
    answer = await client.post("/fhir/Patient/1/$everything", content=body, headers=headers)
    assert answer.json()["link"][-1]["url"] == "https://fhir.example.org/fhir/Patient/1/$everything?_page=t"
    asked = transport.last
    assert (asked.name, asked.resource_type, asked.parameters) == ("Patient/1", "", body)
    assert asked.base_url == "https://fhir.example.org/fhir"
    assert "Patient" in {one.resource_type for one in asked.exposure.types}
    assert (await client.get("/fhir/Patient/1/$everything?_page=t")).status_code == 200
    assert (transport.last.page_token, len(transport.last.arguments)) == ("t", 0)
    assert (await client.get("/fhir/Patient/1/$everything?_page=t&start=2024")).status_code == 400


async def test_what_an_operation_stored_is_named(full: httpx.AsyncClient, transport: Any) -> None:
    stored = Resource(name="Basic/7", etag='W/"2"')
    transport.answers["InvokeOperation"] = InvokeOperationResponse(json=b"{}", stored=stored)
    answer = await full.post("/fhir/$count-notes")
    assert answer.headers["location"] == "https://fhir.example.org/fhir/Basic/7/_history/2"


async def test_a_content_type_that_is_none_is_not_sent_on(client: httpx.AsyncClient, transport: Any) -> None:
    resource = Resource(name="Binary/1", etag='W/"1"')
    for given, sent in (("a/b\r\nset-cookie: x", "application/octet-stream"), ("a/b; charset=x", "a/b; charset=x")):
        content = BinaryContent(resource=resource, content_type=given, size=6, security_context="Patient/1\r\nx: y")
        chunks = [FetchBinaryResponse(chunk=b"abc"), FetchBinaryResponse(chunk=b"def")]
        transport.answers["FetchBinary"] = [FetchBinaryResponse(content=content), *chunks]
        answer = await client.get("/fhir/Binary/1", headers={"accept": "*/*"})
        assert (answer.headers["content-type"], answer.content) == (sent, b"abcdef")
        assert "x-security-context" not in answer.headers
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "is_resource"),
    [
        ("", False),
        ("*/*", False),
        ("application/pdf", False),
        ("application/fhir+json", True),
        ("application/json", True),
        ("application/fhir+json, */*;q=0.1", True),
        ("text/html, application/json;q=0.9, */*;q=0.8", False),
        ("application/fhir+json;q=0", False),
    ],
)
async def test_what_is_accepted_decides_between_resource_and_content(
    client: httpx.AsyncClient, transport: Any, accept: str, is_resource: bool
) -> None:
    resource = Resource(name="Binary/1", etag='W/"1"', json=b'{"resourceType":"Binary"}')
    transport.answers["GetResource"] = GetResourceResponse(resource=resource)
    content = BinaryContent(resource=resource, content_type="application/pdf", size=1)
    transport.answers["FetchBinary"] = [FetchBinaryResponse(content=content), FetchBinaryResponse(chunk=b"x")]
    answer = await client.get("/fhir/Binary/1", headers={"accept": accept})
    assert answer.content == (resource.json if is_resource else b"x")
