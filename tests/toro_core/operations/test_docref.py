"""$docref: a patient's current documents. http://hl7.org/fhir/us/core/OperationDefinition/docref"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toro_core.v1 import CallError, InvokeOperationRequest

if TYPE_CHECKING:
    from tests.toro_core.conftest import Partner
    from tests.toro_core.operations.conftest import Records

LOINC = "http://loinc.org"
CCDA = "urn:hl7-org:sdwg:ccda-structuredBody:2.1"


def document(id: str, code: str, patient: str = "1", **members: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"attachment": {"url": "https://documents.example/1"}}
    if "format" in members:
        content["format"] = {"code": members.pop("format")}
    return {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "type": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "content": [content],
        **members,
    }


@pytest.fixture
async def documents(empty: Records) -> Records:
    care = {"period": {"start": "2023-05-01", "end": "2023-05-04"}}
    await empty.fill(
        [
            {"resourceType": "Patient", "id": "1"},
            {"resourceType": "Patient", "id": "2"},
            document("ccd", "34133-9", date="2024-01-01T00:00:00Z", format=CCDA),
            document("stay", "18842-5", date="2023-06-01T00:00:00Z", context=care),
            document("note", "11506-3", date="2022-01-01T00:00:00Z", meta={"profile": ["http://example.org/note"]}),
            document("undated", "11506-3"),
            document("old", "34133-9", status="superseded"),
            document("theirs", "34133-9", patient="2"),
        ]
    )
    return empty


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"patient": "1"}, ["ccd", "stay", "note", "undated"]),
        ({"patient": "Patient/1"}, ["ccd", "stay", "note", "undated"]),
        ({"patient": "2"}, ["theirs"]),
        ({"patient": "nobody"}, []),
        ({"patient": "1", "type": f"{LOINC}|34133-9"}, ["ccd"]),
        ({"patient": "1", "type": f"{LOINC}|34133-9,{LOINC}|18842-5"}, ["ccd", "stay"]),
        ({"patient": "1", "type": "34133-9"}, ["ccd"]),
        ({"patient": "1", "type": "http://other.example|34133-9"}, []),
        ({"patient": "1", "start": "2023-05-03T00:00:00Z"}, ["ccd", "stay"]),
        ({"patient": "1", "start": "2023-05-05", "end": "2023-12-31"}, []),
        ({"patient": "1", "end": "2023-05-01T12:00:00Z"}, ["stay", "note"]),
        ({"patient": "1", "start": "2024", "end": "2024"}, ["ccd"]),
        ({"patient": "1", "profile": CCDA}, ["ccd"]),
        ({"patient": "1", "profile": "http://example.org/note|1.0"}, ["note"]),
        ({"patient": "1", "on_demand": "false"}, ["ccd", "stay", "note", "undated"]),
    ],
)
async def test_it_finds_current_documents_newest_first(
    documents: Records, given: dict[str, Any], expected: list[str]
) -> None:
    page = await documents.invoke("docref", resource_type="DocumentReference", **given)
    assert [entry.resource.name.partition("/")[2] for entry in page.entries] == expected
    assert page.total == len(expected)
    assert {one.code: ",".join(one.values) for one in page.applied} == {
        name.replace("_", "-"): value for name, value in given.items() if name != "on_demand"
    }


async def test_none_is_made_on_demand_and_that_is_said(documents: Records) -> None:
    page = await documents.invoke("docref", resource_type="DocumentReference", patient="1", on_demand="true")
    assert len(page.entries) == 0
    assert "on demand" in page.issues[0].diagnostics


async def test_its_pages_hold_each_document_once(documents: Records, partner: Partner) -> None:
    await documents.fill([document(f"n{number}", "11506-3") for number in range(60)])
    page = await documents.invoke("docref", resource_type="DocumentReference", patient="1")
    names = [entry.resource.name for entry in page.entries]
    metadata = await partner.may("system/*.cruds")
    following = InvokeOperationRequest(
        operation="docref", resource_type="DocumentReference", page_token=page.next_page_token
    )
    page = (await documents.core.InvokeOperation(following, metadata=metadata)).page
    names += [entry.resource.name for entry in page.entries]
    assert len(names) == len(set(names)) == 64
    assert page.next_page_token == ""


async def test_what_a_grant_hides_is_not_found(documents: Records, partner: Partner) -> None:
    metadata = await partner.may(f"system/DocumentReference.rs?type={LOINC}|34133-9")
    page = await documents.invoke("docref", metadata, resource_type="DocumentReference", patient="1")
    assert [entry.resource.name for entry in page.entries] == ["DocumentReference/ccd"]
    with pytest.raises(CallError) as caught:
        await documents.invoke(
            "docref", await partner.may("system/Patient.rs"), resource_type="DocumentReference", patient="1"
        )
    assert caught.value.reason == "INSUFFICIENT_SCOPE"


@pytest.mark.parametrize(
    "given", [{}, {"patient": "Group/1"}, {"patient": "1", "start": "soon"}, {"patient": "1", "on_demand": "maybe"}]
)
async def test_what_cannot_be_understood_is_refused(documents: Records, given: dict[str, Any]) -> None:
    with pytest.raises(CallError) as caught:
        await documents.invoke("docref", resource_type="DocumentReference", **given)
    assert caught.value.reason == "INVALID_OPERATION"
