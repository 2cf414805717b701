"""$document: a Composition with all it refers to, the same bytes for the same versions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from toro_core.definitions import load
from toro_core.json import loads
from toro_core.v1 import (
    CallError,
    Exposure,
    GenerateDocumentRequest,
    GenerateDocumentResponse,
    GetResourceRequest,
    InvokeOperationRequest,
    OperationArgument,
    UpdateResourceRequest,
)
from toro_core.validation import Validator

if TYPE_CHECKING:
    from tests.toro_core.conftest import Partner
    from tests.toro_core.operations.conftest import Records

BASE = "https://fhir.example.org/fhir"


def composition(*entries: str, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "type": {"text": "note"},
        "subject": {"reference": "Patient/1"},
        "date": "2024-05-06",
        "author": [{"reference": "PractitionerRole/r"}],
        "title": "Note",
        "section": [{"title": "Findings", "entry": [{"reference": name} for name in entries]}],
        **members,
    }


async def generate(records: Records, partner: Partner, *scopes: str, **asked: Any) -> GenerateDocumentResponse:
    request = GenerateDocumentRequest(name="Composition/c", **asked)
    return await records.core.GenerateDocument(request, metadata=await partner.may(*scopes or ("system/*.cruds",)))


def names(document: GenerateDocumentResponse) -> list[str]:
    return [entry["fullUrl"].removeprefix(f"{BASE}/") for entry in json.loads(document.json)["entry"]]


async def test_it_is_a_valid_document_of_all_that_is_referred_to(filled_everywhere: Records, partner: Partner) -> None:
    older = {"code": "replaces", "targetReference": {"reference": "Composition/older"}}
    written = composition("Observation/o1", "DocumentReference/d", relatesTo=[older])
    await filled_everywhere.fill([written])
    document = await generate(filled_everywhere, partner)
    bundle = json.loads(document.json)
    found = names(document)
    assert found[:3] == ["Composition/c", "Patient/1", "PractitionerRole/r"]
    assert set(found) == {
        *("Composition/c", "Patient/1", "PractitionerRole/r", "Practitioner/p", "Organization/o"),
        *("Organization/parent", "Observation/o1", "Device/theirs", "DocumentReference/d", "Binary/note"),
    }
    assert bundle["type"] == "document"
    assert bundle["identifier"] == {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{bundle['id']}"}
    assert bundle["timestamp"] == max(entry["resource"]["meta"]["lastUpdated"] for entry in bundle["entry"])
    report = Validator(load()).validate(loads(document.json))
    assert report.broken is None, report.issues
    assert not document.HasField("stored")


async def test_its_bytes_are_those_of_its_versions(filled: Records, partner: Partner) -> None:
    await filled.fill([composition("Observation/o1")])
    first = await generate(filled, partner)
    assert (await generate(filled, partner)).json == first.json
    await filled.fill([{"resourceType": "Practitioner", "id": "p", "name": [{"family": "Roe"}]}])
    second = await generate(filled, partner)
    assert second.json != first.json
    assert json.loads(second.json)["identifier"] != json.loads(first.json)["identifier"]
    elsewhere = json.loads((await generate(filled, partner, base_url="https://other.example/fhir")).json)
    assert elsewhere["entry"][0]["fullUrl"] == "https://other.example/fhir/Composition/c"


async def test_it_is_stored_once_for_the_same_versions(filled: Records, partner: Partner) -> None:
    await filled.fill([composition("Observation/o1")])
    first = await generate(filled, partner, persist=True)
    again = await generate(filled, partner, persist=True)
    assert first.stored.name == again.stored.name == f"Bundle/{json.loads(first.json)['id']}"
    assert (first.stored.etag, again.stored.etag) == ('W/"1"', 'W/"1"')
    metadata = await partner.may("system/*.cruds")
    read = await filled.core.GetResource(GetResourceRequest(name=first.stored.name), metadata=metadata)
    assert read.resource.json == first.json == again.json
    plain = json.loads((await generate(filled, partner)).json)
    assert {**json.loads(first.json), "meta": None} == {**plain, "meta": None}


async def test_what_others_wrote_in_its_place_is_not_taken_for_it(filled: Records, partner: Partner) -> None:
    await filled.fill([composition("Observation/o1")])
    name = f"Bundle/{json.loads((await generate(filled, partner)).json)['id']}"
    forged = {"resourceType": "Bundle", "id": name.partition("/")[2], "type": "collection"}
    request = UpdateResourceRequest(name=name, json=json.dumps(forged).encode(), allow_missing=True)
    await filled.core.UpdateResource(request, metadata=await partner.may("system/*.cruds"))
    stored = await generate(filled, partner, persist=True)
    assert json.loads(stored.json)["type"] == "document"
    assert stored.stored.etag == 'W/"2"'


@pytest.mark.parametrize("scopes", [("system/*.rs",), ("system/*.rs", "system/Bundle.c")])
async def test_storing_it_needs_the_scope_to_write_bundles(
    filled: Records, partner: Partner, scopes: tuple[str, ...]
) -> None:
    await filled.fill([composition("Observation/o1")])
    with pytest.raises(CallError) as caught:
        await generate(filled, partner, *scopes, persist=True)
    assert caught.value.reason == "INSUFFICIENT_SCOPE"


async def test_it_is_not_stored_where_bundles_are_not_exposed(filled: Records, partner: Partner) -> None:
    await filled.fill([composition("Observation/o1")])
    with pytest.raises(CallError) as caught:
        await generate(filled, partner, persist=True, exposure=Exposure())
    assert caught.value.reason == "NOT_EXPOSED"


async def test_a_document_that_would_lack_a_part_is_refused(filled: Records, partner: Partner) -> None:
    await filled.fill([composition("Observation/absent")])
    with pytest.raises(CallError) as caught:
        await generate(filled, partner)
    assert caught.value.reason == "INCOMPLETE_DOCUMENT"
    assert "Observation/absent" in caught.value.issues[0].diagnostics
    await filled.fill([composition("Observation/o1")])
    with pytest.raises(CallError) as caught:
        await generate(filled, partner, "system/Composition.r", "system/Patient.r", "system/PractitionerRole.r")
    assert caught.value.reason == "INSUFFICIENT_SCOPE"


async def test_what_is_hidden_by_a_grant_looks_absent(filled: Records, partner: Partner) -> None:
    seen = [f"system/{name}.r" for name in ("Composition", "Patient", "PractitionerRole")]
    await filled.fill([composition("Observation/o1")])
    with pytest.raises(CallError) as hidden:
        await generate(filled, partner, *seen, "system/Observation.r?_id=o2")
    await filled.fill([composition("Observation/absent")])
    with pytest.raises(CallError) as absent:
        await generate(filled, partner, *seen, "system/Observation.r?_id=o2")
    assert hidden.value.reason == absent.value.reason == "INCOMPLETE_DOCUMENT"
    assert hidden.value.issues[0].diagnostics.replace("o1", "absent") == absent.value.issues[0].diagnostics


async def test_what_is_referred_to_on_the_way_comes_as_far_as_it_can_be_seen(filled: Records, partner: Partner) -> None:
    await filled.fill([composition("Observation/o1")])
    seen = [f"system/{name}.r" for name in ("Composition", "Patient", "PractitionerRole", "Observation")]
    assert names(await generate(filled, partner, *seen)) == [
        *("Composition/c", "Patient/1", "PractitionerRole/r", "Observation/o1"),
    ]


async def test_another_patients_record_is_no_part_of_it(filled: Records, partner: Partner) -> None:
    await filled.fill([composition("Group/g")])
    found = names(await generate(filled, partner))
    assert "Patient/1" in found
    assert "Patient/2" not in found


@pytest.mark.parametrize("given", ["c", "Composition/c", f"{BASE}/Composition/c"])
async def test_it_is_found_by_an_id_parameter_too(filled: Records, partner: Partner, given: str) -> None:
    await filled.fill([composition("Observation/o1")])
    metadata = await partner.may("system/*.cruds")
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueUri": given}]}
    for request in (
        InvokeOperationRequest(arguments=[OperationArgument(name="id", value=given)]),
        InvokeOperationRequest(parameters=json.dumps(parameters).encode()),
    ):
        request.operation, request.resource_type = "document", "Composition"
        answer = await filled.core.InvokeOperation(request, metadata=metadata)
        assert answer.json == (await generate(filled, partner)).json


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"id": "Patient/1"},
        {"id": "https://elsewhere.example/Composition/c"},
        {"id": "c", "graph": "http://x.example/g"},
    ],
)
async def test_what_cannot_be_done_is_refused(filled: Records, given: dict[str, Any]) -> None:
    with pytest.raises(CallError) as caught:
        await filled.invoke("document", resource_type="Composition", **given)
    assert caught.value.reason == "INVALID_OPERATION"
