from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from toro_core.v1 import Content, CreateResourceResponse, Issue, IssueSeverity, Resource, UpdateResourceResponse

_BODY = b'{"resourceType":"Patient","multipleBirthInteger":1.00}'


@pytest.fixture(autouse=True)
def _written(transport: Any, patient: Resource) -> None:
    transport.answers["CreateResource"] = CreateResourceResponse(resource=patient, created=True)
    transport.answers["UpdateResource"] = UpdateResourceResponse(resource=patient)


async def test_a_create_answers_201_with_where_the_version_is(
    client: httpx.AsyncClient, transport: Any, patient: Resource
) -> None:
    answer = await client.post("/fhir/Patient", content=_BODY, headers={"content-type": "application/fhir+json"})
    assert answer.status_code == 201
    assert answer.content == patient.json
    assert answer.headers["location"] == "https://fhir.example.org/fhir/Patient/1/_history/3"
    assert answer.headers["etag"] == 'W/"3"'
    assert answer.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert (transport.last.resource_type, transport.last.json) == ("Patient", _BODY)
    assert transport.last.content == Content.CONTENT_FULL


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain;charset=UTF-8",
        "application/json",
        "application/fhir+json; charset=utf-8; fhirVersion=4.0",
        "application/x-www-form-urlencoded",
    ],
)
async def test_json_is_taken_under_the_names_clients_give_it(
    client: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert (await client.post("/fhir/Patient", content=_BODY, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/turtle", _BODY),
        ("application/fhir+json; fhirVersion=5.0", _BODY),
        ("application/json; charset=latin1", _BODY),
        ("application/x-www-form-urlencoded", b"name=x"),
    ],
)
async def test_other_media_types_are_refused(
    client: httpx.AsyncClient, transport: Any, content_type: str, body: bytes
) -> None:
    transport.asked.clear()
    answer = await client.post("/fhir/Patient", content=body, headers={"content-type": content_type})
    assert answer.status_code == 415
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert transport.asked == []


async def test_compressed_and_missing_bodies_are_refused(client: httpx.AsyncClient) -> None:
    compressed = await client.post("/fhir/Patient", content=_BODY, headers={"content-encoding": "gzip"})
    assert compressed.status_code == 415
    assert (await client.post("/fhir/Patient")).status_code == 400


async def test_prefer_says_what_comes_back(client: httpx.AsyncClient, transport: Any) -> None:
    minimal = await client.post("/fhir/Patient", content=_BODY, headers={"prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert minimal.headers["location"].endswith("/Patient/1/_history/3")
    assert transport.last.content == Content.CONTENT_UNSPECIFIED
    outcome = await client.post("/fhir/Patient", content=_BODY, headers={"prefer": "return=OperationOutcome"})
    assert outcome.json()["issue"][0]["severity"] == "information"


@pytest.mark.parametrize(
    ("if_none_match", "status", "sent"),
    [("*", 200, "*"), (' W/"3", "4"', 200, 'W/"3", "4"'), ("3", 400, None), ('W/"3",', 400, None)],
)
async def test_if_none_match_reaches_the_core_or_is_refused_rather_than_dropped(
    client: httpx.AsyncClient, transport: Any, patient: Resource, if_none_match: str, status: int, sent: str | None
) -> None:
    transport.answers["UpdateResource"] = UpdateResourceResponse(resource=patient)
    transport.asked.clear()
    update = await client.put("/fhir/Patient/1", content=_BODY, headers={"if-none-match": if_none_match})
    assert update.status_code == status
    assert [request.none_match for _, request, _ in transport.asked] == ([] if sent is None else [sent])


@pytest.mark.parametrize(("if_match", "etag"), [('W/"3"', 'W/"3"'), ('"3"', 'W/"3"'), ("*", ""), (None, "")])
async def test_if_match_reaches_the_core_as_an_entity_tag(
    client: httpx.AsyncClient, transport: Any, if_match: str | None, etag: str
) -> None:
    headers = {"if-match": if_match} if if_match else {}
    answer = await client.put("/fhir/Patient/1", content=_BODY, headers=headers)
    assert answer.status_code == 200
    assert (transport.last.name, transport.last.etag, transport.last.allow_missing) == ("Patient/1", etag, False)
    assert answer.headers["location"].endswith("/Patient/1/_history/3")


async def test_a_malformed_if_match_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.put("/fhir/Patient/1", content=_BODY, headers={"if-match": "3"})).status_code == 400


async def test_a_body_is_refused_by_its_announced_length_before_a_byte_is_read(client: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("nobody should read this")
        yield b""

    answer = await client.post("/fhir/Patient", content=body(), headers={"content-length": "10001"})
    assert answer.status_code == 413
    assert answer.json()["issue"][0]["code"] == "too-long"


async def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_long(client: httpx.AsyncClient) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield b"x" * 1000

    answer = await client.post("/fhir/Patient", content=body())
    assert answer.status_code == 413
    assert sent <= 12_000


async def test_a_body_of_exactly_the_limit_is_taken(client: httpx.AsyncClient, transport: Any) -> None:
    assert (await client.post("/fhir/Patient", content=b"{" + b" " * 9_999)).status_code == 201
    assert len(transport.last.json) == 10_000


async def test_what_validation_left_is_told_where_an_outcome_is_wanted(
    client: httpx.AsyncClient, transport: Any, patient: Resource
) -> None:
    warning = Issue(severity=IssueSeverity.ISSUE_SEVERITY_WARNING, code="required", diagnostics="x")
    transport.answers["CreateResource"] = CreateResourceResponse(resource=patient, issues=[warning])
    transport.answers["UpdateResource"] = UpdateResourceResponse(resource=patient, issues=[warning])
    headers = {"content-type": "application/fhir+json", "prefer": "return=OperationOutcome"}
    for answer in (
        await client.post("/fhir/Patient", content=_BODY, headers=headers),
        await client.put("/fhir/Patient/1", content=_BODY, headers=headers),
    ):
        assert [issue["severity"] for issue in answer.json()["issue"]] == ["information", "warning"]
