"""$everything, $document, $docref and Binary as partners meet them, on the sandbox's data."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from toro_core.definitions import load
from toro_core.json import loads
from toro_core.validation import Validator

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox


def following(client: httpx.Client, url: str, params: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the pages of a Bundle."""
    pages = []
    answer = client.get(url, params=params)
    while True:
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        links = {link["relation"]: link["url"] for link in pages[-1]["link"]}
        if "next" not in links:
            return pages
        answer = client.get(links["next"])


def entries(pages: list[dict[str, Any]], mode: str = "match") -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for page in pages:
        for entry in page.get("entry", ()):
            if entry["search"]["mode"] == mode:
                name = f"{entry['resource']['resourceType']}/{entry['resource'].get('id')}"
                assert name not in found
                found[name] = entry["resource"]
    return found


def references(value: Any) -> set[str]:
    match value:
        case {"reference": str(name)}:
            return {name}
        case dict():
            return set().union(*(references(inner) for inner in value.values()))
        case list():
            return set().union(*(references(inner) for inner in value))
    return set()


@pytest.mark.parametrize("count", ["", "7"])
def test_everything_is_the_compartment_and_what_it_refers_to(partner: httpx.Client, patient: str, count: str) -> None:
    pages = following(partner, f"Patient/{patient}/$everything", {"_count": count} if count else None)
    matches, included = entries(pages), entries(pages, "include")
    expected = entries(following(partner, f"Patient/{patient}/*", {"_count": "1000"}))
    groups = {name for name in expected if name.startswith("Group/")}
    assert set(matches) == set(expected) - groups
    assert matches == {name: resource for name, resource in expected.items() if name not in groups}
    named = set().union(*(references(resource) for resource in (*matches.values(), *included.values())))
    assert {name for name in named if name.partition("/")[0] in {"Practitioner", "Organization", "Location"}} <= set(
        included
    )
    assert all(
        entry["fullUrl"].endswith(name) for page in pages for entry in page["entry"] if (name := entry.get("fullUrl"))
    )
    patients = {name for name in (*named, *matches, *included) if name.startswith("Patient/")}
    assert patients == {f"Patient/{patient}"}
    if count:
        assert all(sum(entry["search"]["mode"] != "outcome" for entry in page["entry"]) <= int(count) for page in pages)


def test_its_links_say_what_was_asked_for(partner: httpx.Client, sandbox: Sandbox, patient: str) -> None:
    asked = {"_type": "Patient,Encounter", "start": "2024-01-01", "_count": "2"}
    page = partner.get(f"Patient/{patient}/$everything", params=asked).json()
    links = {link["relation"]: link["url"] for link in page["link"]}
    url = f"{sandbox.base_url}/Patient/{patient}/$everything"
    assert dict(httpx.URL(links["self"]).params) == asked
    assert links["self"].partition("?")[0] == url
    assert links["next"].startswith(f"{url}?_page=")
    assert partner.get(f"{links['next']}&_count=3").status_code == 400
    again = partner.get(links["self"]).json()
    assert [entry["fullUrl"] for entry in again["entry"]] == [entry["fullUrl"] for entry in page["entry"]]


def test_it_is_invoked_by_post_with_parameters_too(partner: httpx.Client, patient: str) -> None:
    parts = [{"name": "_type", "valueCode": "Patient"}, {"name": "_type", "valueCode": "Encounter"}]
    body = {"resourceType": "Parameters", "parameter": parts}
    posted = partner.post(f"Patient/{patient}/$everything", json=body)
    got = partner.get(f"Patient/{patient}/$everything?_type=Patient,Encounter")
    assert posted.status_code == 200
    assert posted.json()["entry"] == got.json()["entry"]
    assert partner.post(f"Patient/{patient}/$everything").json()["resourceType"] == "Bundle"


@pytest.mark.parametrize(
    ("scope", "query", "status"),
    [
        ("system/Observation.rs", "", 403),
        ("system/*.rs", "?start=soon", 400),
        ("system/*.rs", "?colour=red", 400),
        ("system/*.rs", "?_type=Basic", 400),
    ],
)
def test_what_cannot_be_answered_is_an_outcome(
    sandbox: Sandbox, patient: str, scope: str, query: str, status: int
) -> None:
    answer = sandbox.partner(scope).get(f"Patient/{patient}/$everything{query}")
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")


def test_types_without_a_grant_are_named_in_the_bundle(sandbox: Sandbox, patient: str) -> None:
    some = sandbox.partner("system/Patient.rs system/Encounter.rs")
    page = some.get(f"Patient/{patient}/$everything").json()
    (outcome,) = entries([page], "outcome").values()
    texts = [issue["diagnostics"] for issue in outcome["issue"]]
    assert "Observation resources were left out: the access token lacks system/Observation.rs." in texts
    assert {name.partition("/")[0] for name in entries([page])} == {"Patient", "Encounter"}


def test_every_composition_makes_a_valid_document(partner: httpx.Client, records: dict[str, dict[str, Any]]) -> None:
    validator = Validator(load())
    names = [name for name in records if name.startswith("Composition/")]
    assert names
    for name in names:
        answer = partner.get(f"{name}/$document")
        assert answer.status_code == 200, answer.text
        document = answer.json()
        held = [f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in document["entry"]]
        assert held[0] == name
        assert references(document["entry"][0]["resource"]) <= set(held)
        assert validator.validate(loads(answer.content)).broken is None
        identified = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueUri": name.partition("/")[2]}]}
        assert partner.post("Composition/$document", json=identified).content == answer.content
        assert partner.get("Composition/$document", params={"id": name}).content == answer.content
    assert partner.get(f"{names[0]}/$document?persist=true").status_code == 405  # Bundles are not published


def test_docref_finds_the_patients_documents(partner: httpx.Client, records: dict[str, dict[str, Any]]) -> None:
    documents = [one for name, one in records.items() if name.startswith("DocumentReference/")]
    patient = str(documents[0]["subject"]["reference"])
    ours = {f"DocumentReference/{one['id']}" for one in documents if one["subject"]["reference"] == patient}
    pages = following(partner, "DocumentReference/$docref", {"patient": patient.partition("/")[2]})
    found = entries(pages)
    assert set(found) >= ours
    assert {one["subject"]["reference"] for one in found.values()} == {patient}  # other tests may have added to them
    coding = documents[0]["type"]["coding"][0]
    parameters = [
        {"name": "patient", "valueId": patient.partition("/")[2]},
        {"name": "type", "valueCoding": {"system": coding["system"], "code": coding["code"]}},
    ]
    posted = partner.post("DocumentReference/$docref", json={"resourceType": "Parameters", "parameter": parameters})
    assert posted.json()["type"] == "searchset"
    found = entries([posted.json()])
    assert f"DocumentReference/{documents[0]['id']}" in found
    assert all(coding in one["type"]["coding"] for one in found.values())
    assert partner.get("DocumentReference/$docref").status_code == 400


def test_a_binarys_content_comes_as_it_is(partner: httpx.Client, records: dict[str, dict[str, Any]]) -> None:
    name, binary = next((name, one) for name, one in records.items() if name.startswith("Binary/"))
    content = base64.b64decode(binary["data"])
    for path in (name, f"{name}/_history/1"):
        for accept in ("*/*", binary["contentType"], "text/html,application/json;q=0.9,*/*;q=0.8"):
            answer = partner.get(path, headers={"accept": accept})
            assert answer.content == content
            assert answer.headers["content-type"] == binary["contentType"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-disposition"] in ("inline", "attachment")
            assert "sandbox" in answer.headers["content-security-policy"]
            assert answer.headers["vary"] == "accept"
    for query, accept in (("", "application/fhir+json"), ("", "application/json"), ("?_format=json", "*/*")):
        assert partner.get(f"{name}{query}", headers={"accept": accept}).json()["data"] == binary["data"]
    head = partner.head(name, headers={"accept": "*/*"})
    assert (head.content, head.headers["content-length"]) == (b"", str(len(content)))
    etag = {"if-none-match": head.headers["etag"], "accept": "*/*"}
    assert partner.get(name, headers=etag).status_code == 304
    missing = partner.get("Binary/nobody", headers={"accept": "image/png"})
    assert (missing.status_code, missing.json()["resourceType"]) == (404, "OperationOutcome")
    in_xml = partner.get(name, headers={"accept": "application/fhir+xml"})
    assert (in_xml.status_code, in_xml.headers["content-type"].partition(";")[0]) == (200, "application/fhir+xml")


def test_the_statement_lists_what_can_be_invoked_and_nothing_else(partner: httpx.Client) -> None:
    statement = partner.get("metadata").json()["rest"][0]
    listed = {
        one["type"]: {known["name"]: known["definition"] for known in one["operation"]} for one in statement["resource"]
    }
    assert all("validate" in known for known in listed.values())
    assert {(name, code) for name, known in listed.items() for code in known if code != "validate"} == {
        ("Patient", "everything"),
        ("Composition", "document"),
        ("DocumentReference", "docref"),
        ("Patient", "export"),
        ("Group", "export"),
    }
    assert listed["DocumentReference"]["docref"] == "http://hl7.org/fhir/us/core/OperationDefinition/docref"
    for path in (
        "Observation/1/$everything",
        "Patient/$everything",
        "Patient/1/$nothing",
        "$docref",
        "Observation/$docref",
    ):
        answer = partner.get(path)
        assert (answer.status_code, answer.json()["resourceType"]) == (404, "OperationOutcome")


def test_an_operation_that_is_switched_off_is_not_there(sandbox: Sandbox, patient: str) -> None:
    with sandbox.another(TORO_OPERATIONS="$validate,$docref") as narrow:
        client = narrow.partner("system/*.rs")
        assert client.get(f"Patient/{patient}/$everything").status_code == 404
        assert client.get(f"DocumentReference/$docref?patient={patient}").status_code == 200
        assert "everything" not in json.dumps(client.get("metadata").json()["rest"][0]["resource"])
