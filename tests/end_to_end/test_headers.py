"""What the HTTP headers of requests and answers mean. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import httpx
import pytest

FHIR = "application/fhir+json; charset=utf-8"
JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
OBSERVATION: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


@pytest.fixture
def stored(partner: httpx.Client) -> httpx.Response:
    """The answer to a create of a patient with two versions more."""
    created = partner.post("Patient", json={"resourceType": "Patient", "name": [{"family": "Headers"}]})
    for _ in range(2):
        partner.put(f"Patient/{created.json()['id']}", json=created.json())
    return created


@pytest.fixture
def place(stored: httpx.Response) -> str:
    return f"Patient/{stored.json()['id']}"


def test_a_create_says_where_and_which_version(stored: httpx.Response, partner: httpx.Client, place: str) -> None:
    assert stored.status_code == 201
    assert stored.headers["location"] == f"{str(partner.base_url).rstrip('/')}/{place}/_history/1"
    assert stored.headers["etag"] == 'W/"1"'
    assert partner.get(stored.headers["location"]).json() == stored.json()
    at = datetime.fromisoformat(stored.json()["meta"]["lastUpdated"])
    assert parsedate_to_datetime(stored.headers["last-modified"]) == at.replace(microsecond=0)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)


def test_a_read_says_which_version_and_that_it_is_private(partner: httpx.Client, place: str) -> None:
    read = partner.get(place)
    assert read.headers["etag"] == 'W/"3"'
    assert read.json()["meta"]["versionId"] == "3"
    assert "private" in read.headers["cache-control"]
    assert read.headers["x-content-type-options"] == "nosniff"
    old = partner.get(f"{place}/_history/1")
    assert (old.headers["etag"], old.json()["meta"]["versionId"]) == ('W/"1"', "1")


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ('W/"3"', 304),
        ('"3"', 304),
        ('W/"1", W/"3"', 304),
        ("*", 304),
        ('W/"2"', 200),
        ('W/"33"', 200),
    ],
)
def test_if_none_match_spares_what_the_client_has(partner: httpx.Client, place: str, tags: str, status: int) -> None:
    answer = partner.get(place, headers={"if-none-match": tags})
    assert answer.status_code == status
    assert answer.headers["etag"] == 'W/"3"'
    assert bool(answer.content) == (status == 200)


def test_if_modified_since_spares_what_has_not_changed(partner: httpx.Client, place: str) -> None:
    at = parsedate_to_datetime(partner.get(place).headers["last-modified"])

    def since(moment: datetime) -> int:
        sent = {"if-modified-since": format_datetime(moment, usegmt=True)}
        return partner.get(place, headers=sent).status_code

    assert since(at) == since(at + timedelta(days=1)) == 304
    assert since(at - timedelta(seconds=1)) == 200
    assert partner.get(place, headers={"if-modified-since": "yesterday"}).status_code == 200
    both = {"if-none-match": 'W/"1"', "if-modified-since": format_datetime(at, usegmt=True)}
    assert partner.get(place, headers=both).status_code == 200  # RFC 9110: the tag counts, not the date


@pytest.mark.parametrize("tail", ["", "/_history", "/_history/1", "?_pretty=true"])
def test_head_is_get_without_the_body(partner: httpx.Client, place: str, tail: str) -> None:
    got, head = partner.get(place + tail), partner.head(place + tail)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "last-modified", "cache-control"):
        assert head.headers.get(name) == got.headers.get(name), name


def test_head_tells_failures_too(partner: httpx.Client) -> None:
    assert partner.head("Patient/nobody").status_code == 404
    assert partner.head("Patient?_count=1").status_code == 200
    assert partner.head("Patient?shoesize=44").status_code == 400


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", FHIR),
        ("*/*", FHIR),
        ("application/*", FHIR),
        ("application/fhir+json", FHIR),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/fhir+json;q=0.5, application/json", JSON),
        ("application/fhir+xml;q=0.1, application/json", JSON),
        ("text/turtle, application/json;q=0.1", JSON),
        ("application/fhir+json; fhirVersion=4.0", FHIR),
        ("application/fhir+json;charset=UTF-8", FHIR),
        ("application/fhir+json;q=0, application/json;q=0.2", JSON),
        ("text/turtle", None),
        ("text/plain", None),
        ("application/fhir+json;q=0", None),
        ("application/fhir+json; fhirVersion=3.0", None),
        ("application/fhir+json; charset=iso-8859-1", None),
        ("nonsense", None),
    ],
)
def test_accept_decides_about_the_answer(partner: httpx.Client, place: str, accept: str, expected: str | None) -> None:
    for answer in (
        partner.get(place, headers={"accept": accept}),
        partner.get("Patient?_count=1", headers={"accept": accept}),
        partner.post("Observation", json=OBSERVATION, headers={"accept": accept}),
    ):
        if expected is None:
            assert (answer.status_code, answer.json()["resourceType"]) == (406, "OperationOutcome")
        else:
            assert (answer.is_success, answer.headers["content-type"]) == (True, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("json", FHIR),
        ("application/json", JSON),
        ("application/fhir%2Bjson", FHIR),
        ("application/fhir+json", FHIR),
        ("application/fhir%2Bjson;%20fhirVersion=4.0", FHIR),
        ("ttl", None),
        ("text/turtle", None),
    ],
)
def test_format_overrules_accept(partner: httpx.Client, place: str, text: str, expected: str | None) -> None:
    answer = partner.get(f"{place}?_format={text}", headers={"accept": "application/fhir+xml"})
    if expected is None:
        assert answer.status_code == 406
    else:
        assert (answer.status_code, answer.headers["content-type"]) == (200, expected)


def test_format_and_pretty_work_everywhere(partner: httpx.Client, place: str) -> None:
    asked = "_format=application/json&_pretty=true"
    answers = [
        partner.get(f"{path}?{asked}") for path in (place, f"{place}/_history", f"{place}/_history/1", "Patient")
    ]
    answers.append(partner.post(f"Observation?{asked}", json=OBSERVATION))
    answers.append(partner.put(f"{place}?{asked}", json=partner.get(place).json()))
    answers.append(partner.post("Patient/_search", data={"_format": "application/json", "_pretty": "true"}))
    answers.append(partner.get(f"metadata?{asked}"))
    for answer in (*answers, partner.get(f"Patient/nobody?{asked}")):
        assert answer.headers["content-type"] == JSON
        assert answer.text.startswith('{\n  "resourceType": '), answer.request.url
    plain = partner.get(f"{place}?_pretty=false").text
    assert "\n" not in plain
    assert json.loads(answers[0].text)["name"] == json.loads(plain)["name"]
    assert partner.get(f"{place}?_pretty=maybe").status_code == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "application/fhir+json",
        "application/fhir+json; charset=utf-8",
        'application/fhir+json; charset="UTF-8"; fhirVersion=4.0',
        "application/json",
        "text/plain;charset=UTF-8",
        "",
        FORM,
    ],
)
def test_json_is_taken_however_clients_label_it(partner: httpx.Client, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = partner.post("Observation", content=json.dumps(OBSERVATION), headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "content_type",
    [
        "text/turtle",
        "text/html",
        "multipart/form-data",
        "application/fhir+json; charset=iso-8859-1",
        "application/fhir+json; fhirVersion=3.0",
        "application/json-patch+json",
        "nonsense",
    ],
)
def test_what_is_labelled_as_something_else_is_refused(partner: httpx.Client, content_type: str) -> None:
    answer = partner.post("Observation", content=json.dumps(OBSERVATION), headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["resourceType"]) == (415, "OperationOutcome")


def test_a_compressed_body_is_refused(partner: httpx.Client) -> None:
    answer = partner.post("Observation", content=b"x", headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["resourceType"]) == (415, "OperationOutcome")


@pytest.mark.parametrize(
    ("prefer", "kind"),
    [
        ("", "Patient"),
        ("return=representation", "Patient"),
        ("return=OperationOutcome", "OperationOutcome"),
        ("return=minimal", None),
        ("respond-async, return=minimal; foo=bar", None),
        ('return="minimal"', None),
        ("return=everything", "Patient"),
    ],
)
def test_prefer_says_what_a_write_gives_back(partner: httpx.Client, place: str, prefer: str, kind: str | None) -> None:
    current = partner.get(place)
    updated = partner.put(place, json=current.json(), headers={"prefer": prefer})
    created = partner.post("Patient", json=current.json(), headers={"prefer": prefer})
    assert (updated.status_code, created.status_code) == (200, 201)
    for answer in (updated, created):
        assert {"etag", "last-modified", "location"} <= set(answer.headers)
        if kind is None:
            assert answer.content == b""
        else:
            assert answer.json()["resourceType"] == kind


def test_every_answer_has_a_request_id_that_the_client_may_choose(partner: httpx.Client) -> None:
    given = partner.get("Patient/nobody", headers={"x-request-id": "partner-42"})
    assert given.headers["x-request-id"] == "partner-42"
    first, second = (partner.get("metadata").headers["x-request-id"] for _ in range(2))
    assert first != second


def test_nothing_says_which_software_serves(partner: httpx.Client) -> None:
    assert "server" not in partner.get("metadata").headers
