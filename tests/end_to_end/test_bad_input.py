"""What is wrong is answered with the right status and an outcome that says what to do about it; never with a 500."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

START = '{"resourceType":"Observation","status":"final","code":{"text":"x"}'
OBSERVATION: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


def outcome(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Check the form of a refusal and return its first issue."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    found = answer.json()
    assert found["resourceType"] == "OperationOutcome"
    assert all({"severity", "code", "diagnostics"} <= set(issue) for issue in found["issue"])
    first = found["issue"][0]
    assert isinstance(first, dict)
    return first


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", "structure"),
        (START, "structure"),
        (START + "}{}", "structure"),
        (START + ",}", "structure"),
        (START + "} // comment", "structure"),
        ("[]", "structure"),
        ("null", "structure"),
        ('"Observation"', "structure"),
        ("{}", "structure"),
        ("", "required"),
        ("   ", "structure"),
        ("<Observation/>", "structure"),
        (b"\xff\xfe\x00", "structure"),
        (START.encode() + b',"id":"\xff"}', "structure"),
        (START.encode("utf-16"), "structure"),
        (START + ',"note":[{"text":"\\ud800"}]}', "structure"),
        (START + ',"status":"final"}', "structure"),
        (START.replace('"text":"x"', '"text":"x","text":"y"') + "}", "structure"),
        (START + ',"valueQuantity":{"value":NaN}}', "structure"),
        (START + ',"valueQuantity":{"value":Infinity}}', "structure"),
        (START + ',"valueQuantity":{"value":01}}', "structure"),
        (START + ',"valueQuantity":{"value":1e99999999999}}', "structure"),
        (START + ',"valueInteger":' + "9" * 5000 + "}", "structure"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "too-long"),
        (START + ',"extension":' + "[" * 10_000 + "]" * 10_000 + "}", "too-long"),
        ("[" * 1_000_000, "too-long"),
    ],
    ids=lambda value: repr(value[:60]),
)
def test_json_that_cannot_be_read_is_refused(partner: httpx.Client, body: str | bytes, code: str) -> None:
    assert outcome(partner.post("Observation", content=body), 400)["code"] == code


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"shoeSize": 44}, "Observation.shoeSize"),
        ({"status": None}, "Observation.status"),
        ({"status": "unsure"}, "Observation.status"),
        ({"status": 1}, "Observation.status"),
        ({"code": []}, "Observation.code"),
        ({"code": {}}, "Observation.code"),
        ({"code": {"text": ""}}, "Observation.code.text"),
        ({"code": {"text": "a\u0000b"}}, "Observation.code.text"),
        ({"category": {"text": "x"}}, "Observation.category"),
        ({"category": []}, "Observation.category"),
        ({"category": [None]}, "Observation.category[0]"),
        ({"component": [{"code": {"text": "a"}}, {"valueInteger": 1}]}, "Observation.component[1].code"),
        ({"valueString": "a", "valueInteger": 1}, "Observation.value"),
        ({"valueQuantity": {"value": "72"}}, "Observation.value.value"),
        ({"valueInteger": 2**31}, "Observation.value"),
        ({"effectiveDateTime": "2024-02-30"}, "Observation.effective"),
        ({"effectiveDateTime": "yesterday"}, "Observation.effective"),
        ({"meta": []}, "Observation.meta"),
        ({"meta": {"lastUpdated": "now"}}, "Observation.meta.lastUpdated"),
        ({"id": "../etc/passwd"}, "Observation.id"),
        ({"contained": [{"resourceType": "Nothing"}]}, "Observation.contained[0]"),
        ({"resourceType": "Patient"}, "Observation.resourceType"),
        ({"resourceType": "Nothing"}, "Observation.resourceType"),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
)
def test_a_resource_that_is_none_is_refused_with_the_place(
    partner: httpx.Client, change: dict[str, Any], place: str
) -> None:
    answer = partner.post("Observation", json=OBSERVATION | change)
    outcome(answer, 400)
    assert [place] in [issue.get("expression") for issue in answer.json()["issue"]]


def test_malformed_json_is_refused_with_line_and_column(partner: httpx.Client) -> None:
    for body, place in (
        ('{\n "resourceType": "Patient",\n "active": tru\n}', "line 3, column 12"),
        ('{"resourceType": "Patient",\n "name": [{"family": "Secret"}', "line 2, column 31"),
    ):
        answer = partner.post("Patient", content=body, headers={"content-type": "application/fhir+json"})
        assert answer.status_code == 400
        assert place in answer.json()["issue"][0]["diagnostics"]
        assert "Secret" not in answer.text


def test_every_fault_is_said_at_once_and_no_value_is_quoted(partner: httpx.Client) -> None:
    sent = {"resourceType": "Patient", "gender": "SECRET-1", "birthDate": "SECRET-2", "SECRET": [], "name": "SECRET-3"}
    answer = partner.post("Patient", json=sent)
    outcome(answer, 400)
    places = {place for issue in answer.json()["issue"] for place in issue["expression"]}
    assert {"Patient.gender", "Patient.birthDate", "Patient.name"} <= places
    assert "SECRET-" not in answer.text


def huge() -> Iterator[bytes]:
    """Fifty megabytes of JSON, piece by piece."""
    yield b'{"resourceType":"Observation","note":[{"text":"'
    for _ in range(50):
        yield b"x" * 1_000_000
    yield b'"}]}'


def test_a_body_of_fifty_megabytes_is_refused(partner: httpx.Client) -> None:
    assert outcome(partner.post("Observation", content=b"".join(huge())), 413)["code"] == "too-long"


def test_a_chunked_body_is_refused_when_it_has_become_too_large(partner: httpx.Client) -> None:
    assert outcome(partner.post("Observation", content=huge()), 413)["code"] == "too-long"


def test_a_body_is_not_read_from_who_has_no_token(sandbox: Sandbox) -> None:
    with httpx.Client(base_url=sandbox.base_url) as stranger:
        outcome(stranger.post("Observation", content=b"".join(huge())), 401)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("shoesize=44", "not-supported"),
        ("birthdat=2024", "not-supported"),
        ("birthdate=2024-13", "value"),
        ("birthdate=2024-02-30", "value"),
        ("birthdate=31.12.2024", "value"),
        ("birthdate=ge", "value"),
        ("birthdate=", "value"),
        ("birthdate", "value"),
        ("birthdate=2024,", "value"),
        ("_lastUpdated=ge2024-01-01T25:00:00Z", "value"),
        ("gender=a|b|c", "value"),
        ("gender=|", "value"),
        ("active=perhaps", "value"),
        ("general-practitioner=Nothing/1", "value"),
        ("name:loud=x", "not-supported"),
        ("name:exact:exact=x", "not-supported"),
        ("=x", "invalid"),
        (":exact=x", "invalid"),
        ("_count=-1", "value"),
        ("_count=many", "value"),
        ("_count=1&_count=2", "invalid"),
        ("_sort=shoesize", "not-supported"),
        ("_sort=birthdate,shoesize", "not-supported"),
        ("_total=some", "value"),
        ("_page=forged", "value"),
        ("_page=", "invalid"),
        ("_page=x&name=y", "invalid"),
        ("_pretty=1", "value"),
        ("_filter=name eq x", "not-supported"),
        ("name=%zz", "invalid"),
        ("name=%ff", "invalid"),
        ("%00=1", "not-supported"),
        ("name=" + "x," * 10_001, "too-costly"),
    ],
    ids=lambda value: value[:40],
)
def test_a_search_that_makes_no_sense_is_refused(partner: httpx.Client, query: str, code: str) -> None:
    assert outcome(partner.get(f"Patient?{query}"), 400)["code"] == code
    if not query.startswith(("_page", "_pretty", "=", ":")):
        form = {"content-type": "application/x-www-form-urlencoded"}
        assert outcome(partner.post("Patient/_search", content=query, headers=form), 400)["code"] == code


@pytest.mark.parametrize("query", ["name=%00", "_id=%00", "_id=no_id", "name=%F0%9F%98%80", "name=%5C", "name=%5C%2C"])
def test_a_search_for_what_nothing_can_have_finds_nothing(partner: httpx.Client, query: str) -> None:
    answer = partner.get(f"Patient?{query}")
    assert (answer.status_code, answer.json()["total"]) == (200, 0)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Nothing", 404),
        ("Nothing/1", 404),
        ("patient/1", 404),
        ("Patient/nobody", 404),
        ("Patient/nobody/_history", 404),
        ("Patient/nobody/_history/1", 404),
        ("Patient/1/_history/0", 400),
        ("Patient/1/_history/first", 400),
        ("Patient/1/_history/" + "9" * 30, 400),
        ("Patient/1/_history/1/more", 404),
        ("Patient//1", 404),
        ("Patient/a%00b", 400),
        ("Patient/a%20b", 400),
        ("Patient/%C3%BC", 400),
        ("Patient/%ff", 400),
        ("Patient/%zz", 400),
        ("Patient/" + "a" * 65, 400),
        ("Patient/" + "a" * 20_000, 400),
        ("Patient/..%2f..%2fetc%2fpasswd", 404),
        ("Patient/..", 404),
        ("Patient/%2e%2e", 404),
        ("Patient/a_b", 400),
        ("Patient/1;x=1", 400),
        ("Patient/$everything", 404),
        ("Patient/1/$everything", 404),
        ("$nothing", 404),
        ("$reindex", 404),
        ("Patient/1?_summary=true", 400),
        ("Patient/1/Observation/2", 404),
        ("_search", 405),
        ("metadata/more", 404),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_path_that_leads_nowhere_is_said_to(sandbox: Sandbox, path: str, status: int) -> None:
    token = sandbox.token("system/*.cruds")
    # Sent by hand: a client library would straighten the path out.
    answer = raw(sandbox, f"GET /fhir/{path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b'{"resourceType":"OperationOutcome"' in answer


def raw(sandbox: Sandbox, head: bytes) -> bytes:
    """Send a request as it is and return all that comes."""
    url = urlsplit(sandbox.base_url)
    with socket.create_connection((url.hostname, url.port), timeout=20) as connection:
        received = b""
        # A server that has answered and closes while the client still sends may reset the connection.
        with contextlib.suppress(ConnectionError):
            connection.sendall(head + f"Host: {url.netloc}\r\nConnection: close\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                received += part
        return received


@pytest.mark.parametrize(
    "head",
    [
        b"GARBAGE\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n",
        b"GET /fhir/Patient/\x01 HTTP/1.1\r\n",
        b"GET /fhir/Patient?name=\xff HTTP/1.1\r\n",
        b"GET /fhir/metadata HTTP/7.1\r\n",
        b"FETCH /fhir/metadata HTTP/1.1\r\n",
        b"GET /fhir/metadata HTTP/1.1\r\nX-Odd: \x00\r\n",
        b"GET /fhir/metadata HTTP/1.1\r\nno colon\r\n",
        b"GET /fhir/metadata?" + b"x" * 100_000 + b" HTTP/1.1\r\n",
        b"POST /fhir/Observation HTTP/1.1\r\nContent-Length: -1\r\n",
        b"POST /fhir/Observation HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        b"POST /fhir/Observation HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    ],
    ids=lambda value: repr(value[:50]),
)
def test_what_is_hardly_http_is_answered_too(sandbox: Sandbox, head: bytes) -> None:
    answer = raw(sandbox, head)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert b'{"resourceType":"OperationOutcome"' in answer


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"OPTIONS * HTTP/1.1", 404),
        (b"GET * HTTP/1.1", 404),
        (b"GET http://elsewhere.example/fhir HTTP/1.1", 401),
        (b"GET http://elsewhere.example/fhir/metadata HTTP/1.1", 200),
        (b"GET //fhir HTTP/1.1", 404),
        (b"GET /fhir/// HTTP/1.1", 404),
        (b"TRACE /fhir/metadata HTTP/1.1", 405),
        (b"OPTIONS /fhir/Patient HTTP/1.1", 405),
        (b"PROPFIND /fhir/Patient HTTP/1.1", 405),
    ],
)
def test_request_lines_that_no_partner_sends_are_answered_too(sandbox: Sandbox, line: bytes, status: int) -> None:
    answer = raw(sandbox, line + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert (status == 200) == (b"OperationOutcome" not in answer)


def test_a_body_that_looks_like_a_request_is_none(sandbox: Sandbox) -> None:
    hidden = b"GET /fhir/metadata HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /fhir/Observation HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(hidden)
    last = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
    answers = re.findall(rb"HTTP/1\.1 (\d+)", raw(sandbox, head + hidden + last))
    assert answers == [b"401", b"200"]


def test_headers_without_an_end_are_refused(sandbox: Sandbox) -> None:
    answer = raw(sandbox, b"GET /fhir/metadata HTTP/1.1\r\n" + b"X-Large: " + b"x" * 2_000_000 + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b"", answer[:200]
    assert httpx.get(f"{sandbox.base_url}/metadata").status_code == 200


@pytest.mark.parametrize("path", ["/", "/fhir", "/admin", "/fhir/../etc/passwd", "/auth", "/auth/token/x", "/health"])
def test_the_rest_of_the_server_answers_in_its_own_way_or_not_at_all(sandbox: Sandbox, path: str) -> None:
    answer = raw(sandbox, f"GET {path} HTTP/1.1\r\n".encode())
    status = int(answer.split(b" ", 2)[1])
    assert status == {"/": 200, "/fhir": 401}.get(path, 404)


def test_the_server_is_well_after_all_that(sandbox: Sandbox, partner: httpx.Client) -> None:
    host = sandbox.base_url.removesuffix("/fhir")
    assert httpx.get(f"{host}/health/live").json() == {"status": "live"}
    assert httpx.get(f"{host}/health/ready").json() == {"status": "ready"}
    assert partner.post("Observation", json=OBSERVATION).status_code == 201
