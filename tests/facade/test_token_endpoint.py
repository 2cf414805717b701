from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from toro_core.v1 import CallError, ExchangeAssertionResponse, Issue

_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION = "h." + urlsafe_b64encode(b'{"sub":"me"}').decode().rstrip("=") + ".s"
_FORM = {
    "grant_type": "client_credentials",
    "client_assertion_type": _TYPE,
    "client_assertion": _ASSERTION,
    "scope": "system/Patient.read system/Encounter.read",
}


@pytest.fixture(autouse=True)
def _granted(transport: Any) -> None:
    transport.answers["ExchangeAssertion"] = ExchangeAssertionResponse(
        access_token="secret", expires_in=300, scopes=["system/Patient.read", "system/Encounter.read"]
    )


async def _post(client: httpx.AsyncClient, **changes: str | None) -> httpx.Response:
    form = {name: value for name, value in (_FORM | changes).items() if value is not None}
    return await client.post("/auth/token", data=form)


async def test_an_assertion_is_exchanged_for_a_token_nobody_may_store(
    client: httpx.AsyncClient, transport: Any
) -> None:
    answer = await _post(client)
    assert answer.status_code == 200
    assert answer.json() == {
        "access_token": "secret",
        "token_type": "bearer",
        "expires_in": 300,
        "scope": "system/Patient.read system/Encounter.read",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert answer.headers["content-type"] == "application/json"
    assert transport.last.assertion == _ASSERTION
    assert transport.last.token_url == "https://fhir.example.org/auth/token"
    assert list(transport.last.scopes) == ["system/Patient.read", "system/Encounter.read"]


async def test_raw_spaces_and_colons_as_curl_sends_them_are_taken(client: httpx.AsyncClient, transport: Any) -> None:
    body = "&".join(f"{name}={value}" for name, value in _FORM.items())
    answer = await client.post(
        "/auth/token", content=body, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 200
    assert list(transport.last.scopes) == ["system/Patient.read", "system/Encounter.read"]


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": "not_a_grant_type"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"client_assertion_type": "not_an_assertion_type"}, 400, "invalid_request"),
        ({"client_assertion": ""}, 400, "invalid_request"),
        ({"scope": None}, 400, "invalid_scope"),
        ({"scope": "system/Ä.read"}, 400, "invalid_scope"),
        ({"client_id": "somebody else"}, 401, "invalid_client"),
    ],
)
async def test_a_request_that_is_wrong_in_form_never_reaches_the_core(
    client: httpx.AsyncClient, transport: Any, changes: dict[str, str | None], status: int, error: str
) -> None:
    transport.asked.clear()
    answer = await _post(client, **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) is (status == 401)
    assert transport.asked == []


async def test_a_client_id_that_agrees_is_fine(client: httpx.AsyncClient) -> None:
    assert (await _post(client, client_id="me")).status_code == 200


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        ("grant_type=a&grant_type=b", "application/x-www-form-urlencoded", 400),
        ("grant_type=%zz", "application/x-www-form-urlencoded", 400),
        ('{"grant_type":"client_credentials"}', "application/json", 400),
        ("", "application/x-www-form-urlencoded", 400),
        ("a=" + "x" * 70_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_a_form_that_is_none_is_an_invalid_request(
    client: httpx.AsyncClient, content: str, content_type: str, status: int
) -> None:
    answer = await client.post("/auth/token", content=content, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")


@pytest.mark.parametrize(
    ("code", "reason", "status", "error"),
    [
        ("UNAUTHENTICATED", "INVALID_CLIENT", 401, "invalid_client"),
        ("INVALID_ARGUMENT", "INVALID_SCOPE", 400, "invalid_scope"),
        ("INVALID_ARGUMENT", "INVALID_REQUEST", 400, "invalid_request"),
        ("INVALID_ARGUMENT", "INVALID_GRANT", 400, "invalid_grant"),
        ("UNAVAILABLE", "STORAGE_UNAVAILABLE", 503, "temporarily_unavailable"),
        ("INTERNAL", "INTERNAL", 500, "server_error"),
    ],
)
async def test_the_cores_refusals_become_oauth_errors(
    client: httpx.AsyncClient, transport: Any, code: str, reason: str, status: int, error: str
) -> None:
    transport.answers["ExchangeAssertion"] = CallError(code, reason, [Issue(diagnostics='aud is "x"\n, é')])
    answer = await _post(client)
    assert answer.status_code == status
    assert answer.json() == {"error": error, "error_description": "aud is 'x'', '"}
    assert ("www-authenticate" in answer.headers) is (status == 401)


async def test_behind_no_base_url_the_token_url_is_the_one_that_was_called(
    make_client: Callable[..., httpx.AsyncClient], transport: Any
) -> None:
    from toro_core.settings import Settings

    async with make_client(Settings()) as client:
        assert (await _post(client)).status_code == 200
        assert transport.last.token_url == "http://localhost:8080/auth/token"
