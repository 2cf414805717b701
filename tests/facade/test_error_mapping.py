from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from toro_core.status import CODES
from toro_core.v1 import CallError, Issue, IssueSeverity
from toro_facade.outcome import STATUSES, status_of

_TABLE = {
    400: "INVALID_JSON INVALID_RESOURCE INVALID_SEARCH INVALID_PAGE_TOKEN INVALID_ARGUMENT TOO_COSTLY INVALID_SCOPE "
    "INVALID_REQUEST INVALID_GRANT INVALID_BUNDLE INVALID_PATCH INVALID_OPERATION INVALID_EXPORT",
    401: "UNAUTHENTICATED INVALID_TOKEN INVALID_CLIENT",
    403: "INSUFFICIENT_SCOPE",
    404: "RESOURCE_NOT_FOUND UNSUPPORTED_TYPE UNKNOWN_OPERATION",
    405: "NOT_EXPOSED UPDATE_CREATE_NOT_ALLOWED",
    409: "ALREADY_EXISTS CONDITION_CHANGED STATE_CONFLICT STILL_REFERENCED",
    410: "RESOURCE_DELETED",
    412: "MULTIPLE_MATCHES REFERENCE_UNRESOLVED VERSION_CONFLICT",
    413: "RESOURCE_TOO_LARGE",
    422: "INCOMPLETE_DOCUMENT PATCH_FAILED TARGET_MISSING UNPROCESSABLE_RESOURCE",
    429: "TOO_MANY_EXPORTS",
    500: "INTERNAL STORAGE_DAMAGED",
    501: "UNSUPPORTED",
    503: "STORAGE_UNAVAILABLE CANCELLED",
    504: "DEADLINE_EXCEEDED OUTCOME_UNKNOWN",
    507: "STORAGE_FULL",
}
_REASONS = [(reason, status) for status, reasons in _TABLE.items() for reason in reasons.split()]


def test_every_reason_the_core_gives_has_a_status() -> None:
    assert set(CODES) <= set(STATUSES)
    assert dict(_REASONS) == dict(STATUSES)


@pytest.mark.parametrize(("reason", "status"), _REASONS)
async def test_a_reason_becomes_its_status_with_the_cores_issues(
    client: httpx.AsyncClient, transport: Any, reason: str, status: int
) -> None:
    issues = [
        Issue(
            severity=IssueSeverity.ISSUE_SEVERITY_ERROR,
            code="value",
            diagnostics="One thing.",
            expressions=["Patient.birthDate"],
        ),
        Issue(severity=IssueSeverity.ISSUE_SEVERITY_WARNING, code="informational", diagnostics="Another."),
    ]
    transport.answers["UpdateResource"] = CallError("UNKNOWN", reason, issues)
    answer = await client.put("/fhir/Patient/1", json={})
    assert answer.status_code == status
    assert answer.json() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": "error", "code": "value", "diagnostics": "One thing.", "expression": ["Patient.birthDate"]},
            {"severity": "warning", "code": "informational", "diagnostics": "Another."},
        ],
    }


@pytest.mark.parametrize(
    ("code", "status"), [("UNAVAILABLE", 503), ("DEADLINE_EXCEEDED", 504), ("UNIMPLEMENTED", 501), ("DATA_LOSS", 500)]
)
def test_a_failure_of_the_connection_is_told_by_its_grpc_code(code: str, status: int) -> None:
    assert status_of(CallError(code, "", [])) == status


async def test_a_failure_without_issues_still_says_something(client: httpx.AsyncClient, transport: Any) -> None:
    transport.answers["GetResource"] = CallError("UNKNOWN", "", [])
    answer = await client.get("/fhir/Patient/1", headers={"x-request-id": "r-1"})
    assert answer.status_code == 500
    assert "r-1" in answer.json()["issue"][0]["diagnostics"]


async def test_a_503_says_when_to_come_back(
    client: httpx.AsyncClient, transport: Any, failure: Callable[..., CallError]
) -> None:
    transport.answers["GetResource"] = failure("STORAGE_UNAVAILABLE", "UNAVAILABLE")
    assert (await client.get("/fhir/Patient/1")).headers["retry-after"].isdigit()


async def test_a_request_without_a_token_is_challenged_before_its_body_is_read(
    client: httpx.AsyncClient, transport: Any
) -> None:
    del client.headers["authorization"]
    transport.asked.clear()

    async def body() -> Any:
        raise AssertionError("nobody should read this")
        yield b""

    answer = await client.post("/fhir/Patient", content=body())
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="toro"'
    assert answer.json()["issue"][0]["code"] == "login"
    assert transport.asked == []


async def test_a_bad_token_is_called_invalid_and_something_else_is_not(
    client: httpx.AsyncClient, transport: Any, failure: Callable[..., CallError]
) -> None:
    transport.answers["GetResource"] = failure("INVALID_TOKEN", "UNAUTHENTICATED")
    answer = await client.get("/fhir/Patient/1")
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="toro", error="invalid_token", error_description="What is wrong."'
    )
    answer = await client.get("/fhir/Patient/1", headers={"authorization": "Basic eDp5"})
    assert answer.headers["www-authenticate"] == 'Bearer realm="toro"'


async def test_a_403_names_the_missing_scope(
    client: httpx.AsyncClient, transport: Any, failure: Callable[..., CallError]
) -> None:
    transport.answers["GetResource"] = failure("INSUFFICIENT_SCOPE", "PERMISSION_DENIED", scope='system/Patient.r"\r\n')
    answer = await client.get("/fhir/Patient/1")
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="toro", error="insufficient_scope", scope="system/Patient.r\'\'\'"'
    )


async def test_what_nobody_foresaw_is_a_500_that_tells_only_the_request_id(
    client: httpx.AsyncClient, transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    transport.answers["GetResource"] = ValueError("Jane Doe, born 1970")
    answer = await client.get("/fhir/Patient/1?_pretty=true", headers={"x-request-id": "r-2"})
    assert answer.status_code == 500
    assert "r-2" in answer.text
    assert "Jane" not in answer.text
    assert "Jane" not in caplog.text
    assert "ValueError" in caplog.text
    assert "r-2" in caplog.text
