from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from lxml import etree

from toro_core.settings import Settings
from toro_core.v1 import (
    CreateResourceResponse,
    GetResourceResponse,
    InvokeOperationResponse,
    ListVersionsResponse,
    PatchFormat,
    PatchResourceResponse,
    Resource,
    SearchEntry,
    SearchMode,
    SearchResourcesResponse,
    ValidateResourceResponse,
)

FHIR = "application/fhir+xml; charset=utf-8"
PATIENT = b'<Patient xmlns="http://hl7.org/fhir"><multipleBirthInteger value="1.00"/></Patient>'
SENT = {"content-type": "application/fhir+xml"}


def root(answer: httpx.Response, name: str, content_type: str = FHIR) -> etree._Element:
    assert answer.headers["content-type"] == content_type
    assert int(answer.headers["content-length"]) == len(answer.content)
    element = etree.fromstring(answer.content)
    assert element.tag == f"{{http://hl7.org/fhir}}{name}"
    return element


def at(element: etree._Element, path: str) -> list[str]:
    found = element.xpath(path, namespaces={"f": "http://hl7.org/fhir"})
    assert isinstance(found, list)
    return [str(one) for one in found]


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("", "application/fhir+xml", FHIR),
        ("", "application/xml", "application/xml; charset=utf-8"),
        ("?_format=xml", "application/json", FHIR),
        ("?_format=text/xml", "", "text/xml; charset=utf-8"),
        ("?_format=application/fhir%2Bxml&_pretty=true", "", FHIR),
    ],
)
async def test_a_resource_is_read_in_xml(
    client: httpx.AsyncClient, transport: Any, patient: Resource, query: str, accept: str, content_type: str
) -> None:
    transport.answers["GetResource"] = GetResourceResponse(resource=patient)
    answer = await client.get(f"/fhir/Patient/1{query}", headers={"accept": accept})
    assert at(root(answer, "Patient", content_type), "f:multipleBirthInteger/@value") == ["1.00"]
    assert answer.headers["etag"] == 'W/"3"'
    assert (answer.content.count(b"\n") > 2) is ("_pretty" in query)
    head = await client.head(f"/fhir/Patient/1{query}", headers={"accept": accept})
    assert (head.content, head.headers["content-length"]) == (b"", answer.headers["content-length"])


async def test_what_a_client_has_is_not_sent_again(
    client: httpx.AsyncClient, transport: Any, patient: Resource
) -> None:
    transport.answers["GetResource"] = GetResourceResponse(resource=patient)
    headers = {"accept": "application/fhir+xml", "if-none-match": 'W/"3"'}
    answer = await client.get("/fhir/Patient/1", headers=headers)
    assert (answer.status_code, answer.content) == (304, b"")


async def test_a_search_answers_a_bundle_in_xml(client: httpx.AsyncClient, transport: Any, patient: Resource) -> None:
    entry = SearchEntry(resource=patient, mode=SearchMode.SEARCH_MODE_MATCH)
    transport.answers["SearchResources"] = SearchResourcesResponse(entries=[entry] * 400, total=400)
    bundle = root(await client.get("/fhir/Patient?_format=xml"), "Bundle")
    assert at(bundle, "f:total/@value") == ["400"]
    assert at(bundle, "f:entry/f:resource/f:Patient/f:multipleBirthInteger/@value") == ["1.00"] * 400
    assert at(bundle, "f:entry/f:search/f:mode/@value") == ["match"] * 400


@pytest.mark.parametrize(
    ("path", "call", "found"),
    [
        ("Patient", "SearchResources", SearchResourcesResponse(next_page_token="t")),
        ("Patient/1/_history", "ListVersions", ListVersionsResponse(next_page_token="t")),
        (
            "Patient/1/$everything",
            "InvokeOperation",
            InvokeOperationResponse(page=SearchResourcesResponse(next_page_token="t")),
        ),
    ],
)
async def test_links_ask_for_the_format_that_was_asked_for(
    client: httpx.AsyncClient, transport: Any, path: str, call: str, found: Any
) -> None:
    transport.answers[call] = found
    first = root(await client.get(f"/fhir/{path}?_format=xml&_pretty=true"), "Bundle")
    urls = at(first, "f:link/f:url/@value")
    assert urls[0] == f"https://fhir.example.org/fhir/{path}?_format=xml&_pretty=true"
    assert urls[-1] == f"https://fhir.example.org/fhir/{path}?_page=t&_format=xml&_pretty=true"
    second = root(await client.get(urls[-1]), "Bundle")
    assert at(second, "f:link/f:url/@value")[-1] == urls[-1]


async def test_a_resource_comes_in_xml(client: httpx.AsyncClient, transport: Any, patient: Resource) -> None:
    transport.answers["CreateResource"] = CreateResourceResponse(resource=patient, created=True)
    answer = await client.post("/fhir/Patient", content=PATIENT, headers=SENT)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/fhir+json; charset=utf-8")
    assert transport.last.json == b'{"resourceType":"Patient","multipleBirthInteger":1.00}'
    both = await client.post("/fhir/Patient", content=PATIENT, headers={**SENT, "accept": "application/fhir+xml"})
    assert at(root(both, "Patient"), "f:id/@value") == ["1"]


async def test_a_patch_in_xml_is_a_fhirpath_patch(client: httpx.AsyncClient, transport: Any, patient: Resource) -> None:
    transport.answers["PatchResource"] = PatchResourceResponse(resource=patient)
    body = b'<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/></parameter></Parameters>'
    assert (await client.patch("/fhir/Patient/1", content=body, headers=SENT)).status_code == 200
    assert transport.last.format == PatchFormat.PATCH_FORMAT_FHIRPATH
    assert transport.last.patch == b'{"resourceType":"Parameters","parameter":[{"name":"operation"}]}'


async def test_validating_takes_and_answers_xml(client: httpx.AsyncClient, transport: Any) -> None:
    transport.answers["ValidateResource"] = ValidateResourceResponse()
    answer = await client.post("/fhir/Patient/$validate?_format=xml", content=PATIENT, headers=SENT)
    assert at(root(answer, "OperationOutcome"), "f:issue/f:severity/@value") == ["information"]


async def test_errors_are_said_in_xml(
    client: httpx.AsyncClient, transport: Any, failure: Callable[..., Exception]
) -> None:
    transport.answers["GetResource"] = failure("RESOURCE_NOT_FOUND", "NOT_FOUND")
    answer = await client.get("/fhir/Patient/2?_format=xml")
    assert answer.status_code == 404
    assert at(root(answer, "OperationOutcome"), "f:issue/f:diagnostics/@value") == ["What is wrong."]
    refused = await client.get("/fhir/Patient?_format=xml&_pretty=maybe")
    assert refused.status_code == 400
    root(refused, "OperationOutcome")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/fhir/Nothing", 404), ("GET", "/fhir/Patient/1/$nothing", 404), ("DELETE", "/fhir/Patient/1", 405)],
)
async def test_what_is_not_there_or_off_is_said_in_xml(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path, headers={"accept": "application/fhir+xml"})
    assert answer.status_code == status
    root(answer, "OperationOutcome")
    plain = await client.request(method, path, headers={"accept": "image/png"})
    assert (plain.status_code, plain.json()["resourceType"]) == (status, "OperationOutcome")


async def test_every_issue_of_a_body_is_said(client: httpx.AsyncClient, transport: Any) -> None:
    body = PATIENT.replace(b"<multipleBirthInteger", b"<a/><b/><multipleBirthInteger")
    answer = await client.post("/fhir/Patient", content=body, headers=SENT)
    assert answer.status_code == 400
    assert [issue["diagnostics"][:20] for issue in answer.json()["issue"]] == [
        "Patient.a at line 1 ",
        "Patient.b at line 1 ",
    ]
    assert not transport.asked


async def test_a_large_body_is_translated_only_for_a_good_token(
    core: Any, make_client: Callable[[Settings], httpx.AsyncClient], transport: Any, failure: Callable[..., Exception]
) -> None:
    body = PATIENT.replace(b"</Patient>", b"<!--" + b" " * 100_000 + b"--></Patient>")
    async with make_client(Settings(base_url="https://fhir.example.org")) as client:
        transport.answers["GetResource"] = failure("INVALID_TOKEN", "UNAUTHENTICATED")
        assert (await client.post("/fhir/Patient", content=body, headers=SENT)).status_code == 401
        assert [name for name, *_ in transport.asked] == ["GetResource"]
        transport.answers["GetResource"] = failure("INVALID_ARGUMENT", "INVALID_ARGUMENT")
        transport.answers["CreateResource"] = CreateResourceResponse()
        await client.post("/fhir/Patient", content=body, headers=SENT)
        assert transport.last.json == b'{"resourceType":"Patient","multipleBirthInteger":1.00}'


async def test_what_has_no_xml_is_not_acceptable(client: httpx.AsyncClient, transport: Any, patient: Resource) -> None:
    patient.json = b'{"resourceType":"Patient","nickname":"Ann"}'
    transport.answers["GetResource"] = GetResourceResponse(resource=patient)
    answer = await client.get("/fhir/Patient/1?_format=xml")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (406, "not-supported")
    assert "ask for it in JSON" in answer.json()["issue"][0]["diagnostics"]
    assert "Ann" not in answer.text


async def test_the_capability_statement_comes_in_xml_and_says_so(client: httpx.AsyncClient) -> None:
    statement = root(await client.get("/fhir/metadata?_format=xml"), "CapabilityStatement")
    assert {"application/fhir+xml", "xml", "application/fhir+json", "json"} <= set(at(statement, "f:format/@value"))
    assert "application/fhir+xml" in at(statement, "f:patchFormat/@value")
    first = await client.get("/fhir/metadata?_format=xml")
    assert (await client.get("/fhir/metadata?_format=xml")).content == first.content
    pretty = await client.get("/fhir/metadata?_format=xml&_pretty=true")
    assert len(pretty.content) > len(first.content)
    assert (await client.get("/fhir/metadata")).json()["resourceType"] == "CapabilityStatement"


async def test_without_lxml_xml_is_refused_with_a_remedy(
    make_client: Callable[[Settings], httpx.AsyncClient], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lxml", None)
    async with make_client(settings) as client:
        for answer, status in (
            (await client.get("/fhir/Patient/1?_format=xml"), 406),
            (await client.get("/fhir/Patient/1", headers={"accept": "application/fhir+xml"}), 406),
            (await client.post("/fhir/Patient", content=PATIENT, headers=SENT), 415),
            (await client.patch("/fhir/Patient/1", content=PATIENT, headers=SENT), 415),
        ):
            assert answer.status_code == status
            assert answer.json()["resourceType"] == "OperationOutcome"
            if status == 406:
                assert "toro-fhir[xml]" in answer.text
        statement = (await client.get("/fhir/metadata")).json()
        assert not any("xml" in name for name in (*statement["format"], *statement["patchFormat"]))
