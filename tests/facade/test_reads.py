from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from toro_core.settings import Settings
from toro_core.v1 import CallError, FetchResourceResponse, GetResourceResponse, ListVersionsResponse, Resource

_EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture(autouse=True)
def _stored(transport: Any, patient: Resource) -> None:
    transport.answers["GetResource"] = GetResourceResponse(resource=patient)


async def test_a_read_answers_with_the_stored_bytes_and_their_version(
    client: httpx.AsyncClient, transport: Any, patient: Resource
) -> None:
    answer = await client.get("/fhir/Patient/1", headers={"x-request-id": "abc"})
    assert answer.status_code == 200
    assert answer.content == patient.json
    assert answer.headers["etag"] == 'W/"3"'
    assert answer.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.headers["content-length"] == str(len(patient.json))
    assert answer.headers["x-request-id"] == "abc"
    name, request, metadata = transport.asked[-1]
    assert (name, request.name, request.version_id) == ("GetResource", "Patient/1", "")
    assert metadata == {"authorization": "Bearer token", "x-request-id": "abc"}


async def test_a_request_id_that_could_garble_a_log_is_replaced(client: httpx.AsyncClient, transport: Any) -> None:
    answer = await client.get("/fhir/Patient/1", headers={"x-request-id": 'a" b'})
    assert answer.headers["x-request-id"] == transport.asked[-1][2]["x-request-id"]
    assert answer.headers["x-request-id"].isalnum()


async def test_head_has_the_headers_of_get_and_no_body(client: httpx.AsyncClient) -> None:
    get, head = await client.get("/fhir/Patient/1"), await client.head("/fhir/Patient/1")
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-length", "etag", "last-modified", "content-type"):
        assert head.headers[name] == get.headers[name]


async def test_a_vread_asks_for_the_version(client: httpx.AsyncClient, transport: Any) -> None:
    assert (await client.get("/fhir/Patient/1/_history/3")).status_code == 200
    assert transport.last.version_id == "3"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": 'W/"3"'}, 304),
        ({"if-none-match": 'W/"2"'}, 200),
        ({"if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 304),
        ({"if-modified-since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 200),
        ({"if-none-match": 'W/"2"', "if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 200),
    ],
)
async def test_a_client_that_has_the_version_gets_304(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await client.get("/fhir/Patient/1", headers=headers)
    assert answer.status_code == status
    assert answer.headers["etag"] == 'W/"3"'
    assert bool(answer.content) is (status == 200)


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("", "application/json", "application/json; charset=utf-8"),
        ("?_format=json", "application/xml", "application/fhir+json; charset=utf-8"),
        ("?_format=application/json", "*/*", "application/json; charset=utf-8"),
        ("?_format=application/fhir%2Bjson", "*/*", "application/fhir+json; charset=utf-8"),
        ("?_format=application/fhir+json", "*/*", "application/fhir+json; charset=utf-8"),
    ],
)
async def test_the_media_type_is_the_one_asked_for(
    client: httpx.AsyncClient, query: str, accept: str, content_type: str
) -> None:
    answer = await client.get(f"/fhir/Patient/1{query}", headers={"accept": accept})
    assert answer.headers["content-type"] == content_type


@pytest.mark.parametrize(("query", "accept"), [("", "text/turtle"), ("?_format=ttl", "*/*"), ("", "text/html")])
async def test_what_is_neither_json_nor_xml_is_not_acceptable(
    client: httpx.AsyncClient, query: str, accept: str
) -> None:
    answer = await client.get(f"/fhir/Patient/1{query}", headers={"accept": accept})
    assert answer.status_code == 406
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_pretty_indents_without_touching_a_digit(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Patient/1?_pretty=true")
    assert '\n  "multipleBirthInteger": 1.00\n' in answer.text
    assert answer.headers["content-length"] == str(len(answer.content))


async def test_parameters_a_read_would_ignore_are_refused_unless_the_client_is_lenient(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/fhir/Patient/1?_summary=true")).status_code == 400
    lenient = await client.get("/fhir/Patient/1?_summary=true", headers={"prefer": "handling=lenient"})
    assert lenient.status_code == 200


async def test_a_deleted_version_answers_410(client: httpx.AsyncClient, transport: Any) -> None:
    transport.answers["GetResource"] = GetResourceResponse(
        resource=Resource(name="Patient/1", etag='W/"2"', deleted=True)
    )
    assert (await client.get("/fhir/Patient/1/_history/2")).status_code == 410


async def test_a_resource_too_large_for_one_message_comes_in_chunks(
    client: httpx.AsyncClient, transport: Any, failure: Callable[..., CallError], patient: Resource
) -> None:
    head = Resource(name=patient.name, etag=patient.etag)
    head.update_time.CopyFrom(patient.update_time)
    transport.answers["GetResource"] = failure("RESOURCE_TOO_LARGE", "OUT_OF_RANGE")
    transport.answers["FetchResource"] = [
        FetchResourceResponse(resource=head, chunk=patient.json[:7]),
        FetchResourceResponse(chunk=patient.json[7:]),
    ]
    answer = await client.get("/fhir/Patient/1")
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (200, patient.json, 'W/"3"')


async def test_a_history_lists_versions_as_the_requests_that_made_them(
    client: httpx.AsyncClient, transport: Any, patient: Resource
) -> None:
    deleted = Resource(name="Patient/1", etag='W/"2"', deleted=True)
    first = Resource(name="Patient/1", etag='W/"1"', json=b'{"a":1}')
    transport.answers["ListVersions"] = ListVersionsResponse(
        versions=[patient, deleted, first], next_page_token="t/+=", total=3
    )
    answer = await client.get("/fhir/Patient/1/_history?_count=3")
    assert answer.json() == {
        "resourceType": "Bundle",
        "type": "history",
        "total": 3,
        "link": [
            {"relation": "self", "url": "https://fhir.example.org/fhir/Patient/1/_history?_count=3"},
            {"relation": "next", "url": "https://fhir.example.org/fhir/Patient/1/_history?_count=3&_page=t/%2B%3D"},
        ],
        "entry": [
            {
                "fullUrl": "https://fhir.example.org/fhir/Patient/1",
                "resource": {"resourceType": "Patient", "id": "1", "multipleBirthInteger": 1.0},
                "request": {"method": "PUT", "url": "Patient/1"},
                "response": {"status": "200", "etag": 'W/"3"', "lastModified": "2023-11-14T22:13:20.250Z"},
            },
            {
                "fullUrl": "https://fhir.example.org/fhir/Patient/1",
                "request": {"method": "DELETE", "url": "Patient/1"},
                "response": {"status": "204", "etag": 'W/"2"', "lastModified": "1970-01-01T00:00:00.000Z"},
            },
            {
                "fullUrl": "https://fhir.example.org/fhir/Patient/1",
                "resource": {"a": 1},
                "request": {"method": "POST", "url": "Patient"},
                "response": {"status": "201", "etag": 'W/"1"', "lastModified": "1970-01-01T00:00:00.000Z"},
            },
        ],
    }
    assert b'"multipleBirthInteger":1.00}' in answer.content
    assert transport.last.page_size == 3
    await client.get(answer.json()["link"][1]["url"])
    assert (transport.last.page_size, transport.last.page_token) == (3, "t/+=")


@pytest.mark.parametrize(
    "query", ["_count=0", "_count=-1", "_count=x", "_count=1&_count=2", "_since=2020&_since=2021", "_sort=x"]
)
async def test_a_history_refuses_what_it_cannot_honour(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/fhir/Patient/1/_history?{query}")).status_code == 400


async def test_a_history_passes_on_what_it_is_asked_for(
    make_client: Any, transport: Any, patient: Resource, capabilities: Any
) -> None:
    transport.answers["ListVersions"] = ListVersionsResponse(versions=[patient], next_page_token="t")
    base = "https://fhir.example.org"
    query = "_since=2024-05-06T07:08:09%2B01:00&_at=2024"
    async with make_client(Settings(expose="full", base_url=base)) as client:
        for path, name, resource_type in (
            ("Patient/1/", "Patient/1", ""),
            ("Patient/", "", "Patient"),
            ("", "", ""),
        ):
            answer = await client.get(f"/fhir/{path}_history?{query}&_count=2")
            asked = transport.last
            assert (asked.name, asked.resource_type, asked.page_size) == (name, resource_type, 2)
            assert (asked.since, asked.at) == ("2024-05-06T07:08:09+01:00", "2024")
            assert asked.HasField("exposure") == (not path)
            own, following = (link["url"] for link in answer.json()["link"])
            assert own == f"{base}/fhir/{path}_history?_count=2&{query}"
            assert following == f"{base}/fhir/{path}_history?_count=2&_page=t"


@pytest.mark.parametrize(
    ("settings", "host", "base"),
    [
        (Settings(), "localhost:8080", "http://localhost:8080"),
        (Settings(), "127.0.0.1:1234", "http://127.0.0.1:1234"),
        (Settings(), "[::1]:80", "http://[::1]:80"),
        (Settings(), "evil.example.org", None),
        (Settings(), 'localhost"x', None),
        (Settings(host=_EVERYWHERE, insecure=True), "toro.lan:8080", "http://toro.lan:8080"),
        (Settings(host=_EVERYWHERE, insecure=True), "a/b", None),
        (Settings(base_url="https://x.org/toro/"), "evil.example.org", "https://x.org/toro"),
        (Settings(host="10.0.0.1", tls_certificate="c", tls_key="k"), "evil.example.org", "https://10.0.0.1:8080"),
    ],
)
async def test_links_believe_the_host_header_only_where_nothing_hangs_on_it(
    make_client: Callable[[Settings], httpx.AsyncClient],
    transport: Any,
    settings: Settings,
    host: str,
    base: str | None,
) -> None:
    transport.answers["ListVersions"] = ListVersionsResponse()
    async with make_client(settings) as client:
        answer = await client.get("/fhir/Patient/1/_history", headers={"host": host})
    if base is None:
        assert answer.status_code == 400
        return
    assert answer.json()["link"] == [{"relation": "self", "url": f"{base}/fhir/Patient/1/_history"}]
