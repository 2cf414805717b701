from __future__ import annotations

from typing import Any

import httpx
import pytest

from toro_core.settings import Settings
from toro_core.v1 import (
    Issue,
    IssueSeverity,
    ValidateResourceResponse,
    ValidationMode,
)

_PATIENT = b'{"resourceType":"Patient","multipleBirthInteger":1.00}'
_JSON = {"content-type": "application/fhir+json"}


@pytest.fixture(autouse=True)
def _judged(transport: Any) -> None:
    transport.answers["ValidateResource"] = ValidateResourceResponse(acceptable=True)


async def test_a_bare_resource_is_judged(client: httpx.AsyncClient, transport: Any) -> None:
    answer = await client.post(
        "/fhir/Patient/$validate?mode=create&profile=http://a&profile=http://b", content=_PATIENT
    )
    assert answer.status_code == 200
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.json()["issue"][0]["severity"] == "information"
    asked = transport.last
    assert (asked.resource_type, asked.name, asked.json) == ("Patient", "", _PATIENT)
    assert (asked.mode, list(asked.profiles)) == (ValidationMode.VALIDATION_MODE_CREATE, ["http://a", "http://b"])


async def test_parameters_are_taken_apart_and_the_resource_kept_digit_for_digit(
    client: httpx.AsyncClient, transport: Any
) -> None:
    body = (
        b'{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"update"},'
        b'{"name":"profile","valueCanonical":"http://c"},{"name":"resource","resource":' + _PATIENT + b"}]}"
    )
    assert (await client.post("/fhir/Patient/1/$validate", content=body, headers=_JSON)).status_code == 200
    asked = transport.last
    assert (asked.name, asked.json) == ("Patient/1", _PATIENT)
    assert (asked.mode, list(asked.profiles)) == (ValidationMode.VALIDATION_MODE_UPDATE, ["http://c"])


async def test_a_stored_resource_is_judged_without_a_body(client: httpx.AsyncClient, transport: Any) -> None:
    for answer in (
        await client.get("/fhir/Patient/1/$validate"),
        await client.post("/fhir/Patient/1/$validate?mode=delete"),
    ):
        assert answer.status_code == 200
    assert (transport.last.name, transport.last.json) == ("Patient/1", b"")
    assert transport.last.mode == ValidationMode.VALIDATION_MODE_DELETE


async def test_what_was_found_is_answered_with_200(client: httpx.AsyncClient, transport: Any) -> None:
    issue = Issue(
        severity=IssueSeverity.ISSUE_SEVERITY_ERROR, code="required", diagnostics="x", expressions=["Patient.name"]
    )
    transport.answers["ValidateResource"] = ValidateResourceResponse(issues=[issue])
    answer = await client.post("/fhir/Patient/$validate", content=_PATIENT, headers=_JSON)
    assert answer.status_code == 200
    assert answer.json()["issue"] == [
        {"severity": "error", "code": "required", "diagnostics": "x", "expression": ["Patient.name"]}
    ]


@pytest.mark.parametrize("query", ["mode=other", "resource=x"])
async def test_other_parameters_are_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.post(f"/fhir/Patient/$validate?{query}", content=_PATIENT, headers=_JSON)
    assert answer.status_code == 400


async def test_a_type_has_no_stored_resource_to_judge(client: httpx.AsyncClient) -> None:
    assert (await client.get("/fhir/Patient/$validate")).status_code == 405
    assert (await client.post("/fhir/Patient/$everything")).status_code == 404


async def test_the_operation_can_be_switched_off(make_client: Any) -> None:
    async with make_client(Settings(base_url="https://fhir.example.org", operations=())) as client:
        assert (await client.post("/fhir/Patient/$validate", content=_PATIENT, headers=_JSON)).status_code == 404
        statement = (await client.get("/fhir/metadata")).json()
        assert "operation" not in statement["rest"][0]["resource"][0]


@pytest.mark.parametrize("body", [b'{"a":' + b"[" * 1500 + b"]" * 1500 + b"}", b'{"resourceType":"\xff"}', b"{"])
async def test_the_core_says_what_is_wrong_with_a_body_that_cannot_be_read(
    client: httpx.AsyncClient, transport: Any, body: bytes
) -> None:
    answer = await client.post("/fhir/Patient/$validate", content=body, headers=_JSON)
    assert answer.status_code == 200
    assert transport.last.json == body
