from __future__ import annotations

from typing import Any

import httpx
import pytest

from toro_core.v1 import (
    FetchResourceResponse,
    Handling,
    Issue,
    IssueSeverity,
    Resource,
    SearchEntry,
    SearchMode,
    SearchParameter,
    SearchResourcesResponse,
)


@pytest.fixture(autouse=True)
def _found(transport: Any, patient: Resource) -> None:
    transport.answers["SearchResources"] = SearchResourcesResponse(
        entries=[
            SearchEntry(resource=patient, mode=SearchMode.SEARCH_MODE_MATCH),
            SearchEntry(
                resource=Resource(name="Patient/2", etag='W/"1"', json=b'{"id":"2"}'), mode=SearchMode.SEARCH_MODE_MATCH
            ),
        ],
        next_page_token="to/ken=",
        total=7,
        applied=[
            SearchParameter(code="name", modifier="exact", values=["Mühle", "a\\,b"]),
            SearchParameter(code="_count", values=["2"]),
        ],
    )


def _parameters(transport: Any) -> list[tuple[str, str, list[str]]]:
    return [(p.code, p.modifier, list(p.values)) for p in transport.last.parameters]


async def test_a_search_reaches_the_core_split_and_comes_back_as_a_bundle(
    client: httpx.AsyncClient, transport: Any, patient: Resource
) -> None:
    answer = await client.get(
        "/fhir/Patient?name:exact=M%C3%BChle,a%5C,b&birthdate=ge2020&birthdate=lt2021&_count=2&_format=json"
    )
    assert _parameters(transport) == [
        ("name", "exact", ["Mühle", "a\\,b"]),
        ("birthdate", "", ["ge2020"]),
        ("birthdate", "", ["lt2021"]),
        ("_count", "", ["2"]),
    ]
    assert transport.last.resource_type == "Patient"
    assert transport.last.handling == Handling.HANDLING_UNSPECIFIED
    bundle = answer.json()
    assert bundle == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 7,
        "link": [
            {
                "relation": "self",
                "url": "https://fhir.example.org/fhir/Patient?name:exact=M%C3%BChle,a%5C,b&_count=2&_format=json",
            },
            {
                "relation": "first",
                "url": "https://fhir.example.org/fhir/Patient?name:exact=M%C3%BChle,a%5C,b&_count=2&_format=json",
            },
            {"relation": "next", "url": "https://fhir.example.org/fhir/Patient?_page=to/ken%3D&_format=json"},
        ],
        "entry": [
            {
                "fullUrl": "https://fhir.example.org/fhir/Patient/1",
                "resource": {"resourceType": "Patient", "id": "1", "multipleBirthInteger": 1.0},
                "search": {"mode": "match"},
            },
            {
                "fullUrl": "https://fhir.example.org/fhir/Patient/2",
                "resource": {"id": "2"},
                "search": {"mode": "match"},
            },
        ],
    }
    assert patient.json in answer.content
    await client.get(bundle["link"][2]["url"])
    assert transport.last.page_token == "to/ken="
    assert _parameters(transport) == []


async def test_a_page_links_to_the_one_before_it(client: httpx.AsyncClient, transport: Any) -> None:
    transport.answers["SearchResources"] = SearchResourcesResponse(previous_page_token="ba/ck=", next_page_token="on")
    links = (await client.get("/fhir/Patient?_page=here")).json()["link"]
    assert [link["relation"] for link in links] == ["self", "first", "previous", "next"]
    assert links[2]["url"] == "https://fhir.example.org/fhir/Patient?_page=ba/ck%3D"


async def test_a_form_adds_its_parameters_to_those_of_the_url(client: httpx.AsyncClient, transport: Any) -> None:
    answer = await client.post(
        "/fhir/Patient/_search?active=true",
        data={"name": "van der Mühle", "_format": "application/json", "_pretty": "true"},
    )
    assert _parameters(transport) == [("active", "", ["true"]), ("name", "", ["van der Mühle"])]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.text.startswith("{\n")


async def test_a_search_by_form_needs_no_form(client: httpx.AsyncClient, transport: Any) -> None:
    assert (await client.post("/fhir/Patient/_search?active=true")).status_code == 200
    assert _parameters(transport) == [("active", "", ["true"])]


async def test_a_body_that_is_no_form_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/fhir/Patient/_search", json={"name": "x"})).status_code == 415


@pytest.mark.parametrize(
    ("prefer", "handling"),
    [
        ("handling=strict", Handling.HANDLING_STRICT),
        ("handling=lenient", Handling.HANDLING_LENIENT),
        ("handling=odd", Handling.HANDLING_UNSPECIFIED),
    ],
)
async def test_prefer_handling_reaches_the_core(
    client: httpx.AsyncClient, transport: Any, prefer: str, handling: Handling
) -> None:
    await client.get("/fhir/Patient", headers={"prefer": prefer})
    assert transport.last.handling == handling


async def test_issues_become_an_entry_of_their_own(client: httpx.AsyncClient, transport: Any) -> None:
    transport.answers["SearchResources"] = SearchResourcesResponse(
        issues=[
            Issue(severity=IssueSeverity.ISSUE_SEVERITY_WARNING, code="not-supported", diagnostics="foo was left out.")
        ]
    )
    assert (await client.get("/fhir/Patient?foo=1")).json() == {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [
            {"relation": relation, "url": "https://fhir.example.org/fhir/Patient"} for relation in ("self", "first")
        ],
        "entry": [
            {
                "resource": {
                    "resourceType": "OperationOutcome",
                    "issue": [{"severity": "warning", "code": "not-supported", "diagnostics": "foo was left out."}],
                },
                "search": {"mode": "outcome"},
            }
        ],
    }


async def test_an_empty_result_has_a_total_of_zero_and_no_entries(client: httpx.AsyncClient, transport: Any) -> None:
    transport.answers["SearchResources"] = SearchResourcesResponse(total=0)
    bundle = (await client.get("/fhir/Patient")).json()
    assert bundle["total"] == 0
    assert "entry" not in bundle


async def test_an_entry_too_large_for_its_page_is_fetched(client: httpx.AsyncClient, transport: Any) -> None:
    large = Resource(name="DocumentReference/1", etag='W/"1"', size=5)
    transport.answers["SearchResources"] = SearchResourcesResponse(
        entries=[SearchEntry(resource=large, mode=SearchMode.SEARCH_MODE_MATCH)]
    )
    transport.answers["FetchResource"] = [FetchResourceResponse(resource=large, chunk=b'{"id":"1"}')]
    [entry] = (await client.get("/fhir/DocumentReference")).json()["entry"]
    assert entry["resource"] == {"id": "1"}


@pytest.mark.parametrize("query", ["name=%FF", "=x", "_page=a&name=b", "_page=a&_page=b", "_pretty=perhaps"])
async def test_a_query_that_cannot_be_split_is_refused(client: httpx.AsyncClient, transport: Any, query: str) -> None:
    transport.asked.clear()
    answer = await client.get(f"/fhir/Patient?{query}")
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert transport.asked == []


async def test_what_is_included_is_marked_and_only_readable_types_are_asked_for(
    client: httpx.AsyncClient, transport: Any, patient: Resource
) -> None:
    answer = SearchResourcesResponse()
    answer.entries.add(resource=patient, mode=SearchMode.SEARCH_MODE_MATCH)
    answer.entries.add(resource=patient, mode=SearchMode.SEARCH_MODE_INCLUDE)
    transport.answers["SearchResources"] = answer
    bundle = (await client.get("/fhir/Patient?_include=Patient:link")).json()
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "include"]
    exposed = {one.resource_type for one in transport.last.exposure.types}
    assert {"Patient", "Provenance", "Binary"} <= exposed
    assert "Basic" not in exposed


@pytest.mark.parametrize(
    ("method", "path", "resource_type", "compartment", "link"),
    [
        ("GET", "/fhir/Patient/7/Observation?code=1", "Observation", "Patient/7", "/fhir/Patient/7/Observation?code=1"),
        ("GET", "/fhir/Patient/7/*?code=1", "", "Patient/7", "/fhir/Patient/7/*?code=1"),
        ("GET", "/fhir?code=1", "", "", "/fhir?code=1"),
        ("POST", "/fhir/_search?code=1", "", "", "/fhir?code=1"),
    ],
)
async def test_searches_beyond_a_type_reach_the_core_with_their_compartment(
    client: httpx.AsyncClient, transport: Any, method: str, path: str, resource_type: str, compartment: str, link: str
) -> None:
    applied = [SearchParameter(code="code", values=["1"])]
    transport.answers["SearchResources"] = SearchResourcesResponse(applied=applied)
    answer = await client.request(method, path)
    assert answer.json()["link"][0] == {"relation": "self", "url": f"https://fhir.example.org{link}"}
    assert (transport.last.resource_type, transport.last.compartment) == (resource_type, compartment)
    assert _parameters(transport) == [("code", "", ["1"])]
