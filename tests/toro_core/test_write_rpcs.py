"""PatchResource, DeleteResource, CommitBundle and conditions, as a service calls them over either transport."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from toro_core.v1 import (
    CallError,
    CommitBundleRequest,
    Content,
    Core,
    CreateResourceRequest,
    DeleteResourceRequest,
    EntryOutcome,
    ExposedType,
    Exposure,
    GetResourceRequest,
    Interaction,
    Metadata,
    PatchFormat,
    PatchResourceRequest,
    SearchParameter,
    UpdateResourceRequest,
)

Make = Callable[..., dict[str, Any]]
_IDENTIFIER = [SearchParameter(code="identifier", values=["urn:s|1"])]


@pytest.fixture
async def all_(partner: Any) -> Metadata:
    metadata: Metadata = await partner.may("system/*.cruds")
    return metadata


def _patient(**more: Any) -> bytes:
    return json.dumps(
        {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "1"}], "birthDate": "1970-01-01"} | more
    ).encode()


def _bundle(kind: str, *entries: dict[str, Any]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()


def _entry(method: str, url: str, resource: bytes = b"") -> dict[str, Any]:
    entry: dict[str, Any] = {"request": {"method": method, "url": url}}
    return entry | {"resource": json.loads(resource)} if resource else entry


async def test_conditions_travel_as_search_parameters(core: Core, all_: Metadata) -> None:
    create = CreateResourceRequest(resource_type="Patient", json=_patient(), conditions=_IDENTIFIER)
    first = await core.CreateResource(create, metadata=all_)
    again = await core.CreateResource(create, metadata=all_)
    assert (first.created, again.created) == (True, False)
    assert first.resource.name == again.resource.name
    update = UpdateResourceRequest(name="Patient", json=_patient(active=True), conditions=_IDENTIFIER)
    updated = await core.UpdateResource(update, metadata=all_)
    assert (updated.created, updated.resource.name, updated.resource.etag) == (False, first.resource.name, 'W/"2"')
    await core.CreateResource(CreateResourceRequest(resource_type="Patient", json=_patient()), metadata=all_)
    for call in (core.CreateResource(create, metadata=all_), core.UpdateResource(update, metadata=all_)):
        with pytest.raises(CallError) as caught:
            await call
        assert (caught.value.code, caught.value.reason) == ("FAILED_PRECONDITION", "MULTIPLE_MATCHES")


async def test_a_resource_is_patched_in_either_format(core: Core, all_: Metadata) -> None:
    create = CreateResourceRequest(resource_type="Patient", json=_patient())
    name = (await core.CreateResource(create, metadata=all_)).resource.name
    patch = b'[{"op":"test","path":"/birthDate","value":"1970-01-01"},{"op":"add","path":"/active","value":true}]'
    request = PatchResourceRequest(name=name, format=PatchFormat.PATCH_FORMAT_JSON, patch=patch, etag='W/"1"')
    patched = (await core.PatchResource(request, metadata=all_)).resource
    assert (patched.etag, patched.json) == ('W/"2"', b"")
    with pytest.raises(CallError) as caught:
        await core.PatchResource(request, metadata=all_)
    assert caught.value.reason == "VERSION_CONFLICT"
    parts = [
        {"name": "type", "valueCode": "delete"},
        {"name": "path", "valueString": "Patient.active"},
    ]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    request = PatchResourceRequest(
        name="Patient",
        conditions=_IDENTIFIER,
        format=PatchFormat.PATCH_FORMAT_FHIRPATH,
        patch=json.dumps(parameters).encode(),
        content=Content.CONTENT_FULL,
    )
    patched = (await core.PatchResource(request, metadata=all_)).resource
    assert (patched.name, patched.etag) == (name, 'W/"3"')
    assert b"active" not in patched.json
    for patch, reason in ((b'[{"op":"remove","path":"/gender"}]', "PATCH_FAILED"), (b"[1]", "INVALID_PATCH")):
        request = PatchResourceRequest(name=name, format=PatchFormat.PATCH_FORMAT_JSON, patch=patch)
        with pytest.raises(CallError) as caught:
            await core.PatchResource(request, metadata=all_)
        assert caught.value.reason == reason
    with pytest.raises(CallError) as caught:
        await core.PatchResource(PatchResourceRequest(name=name, patch=b"[]"), metadata=all_)
    assert caught.value.reason == "INVALID_ARGUMENT"


async def test_deletions_are_versions_and_nothing_to_delete_is_no_error(
    core: Core, all_: Metadata, observation: Make
) -> None:
    create = CreateResourceRequest(resource_type="Patient", json=_patient())
    names = [(await core.CreateResource(create, metadata=all_)).resource.name for _ in range(3)]
    referring = json.dumps(observation(subject={"reference": names[0]})).encode()
    await core.CreateResource(CreateResourceRequest(resource_type="Observation", json=referring), metadata=all_)
    with pytest.raises(CallError) as caught:
        await core.DeleteResource(DeleteResourceRequest(name=names[0]), metadata=all_)
    assert (caught.value.code, caught.value.reason) == ("FAILED_PRECONDITION", "STILL_REFERENCED")
    request = DeleteResourceRequest(name=names[1], etag='W/"1"')
    [deletion] = (await core.DeleteResource(request, metadata=all_)).deletions
    assert (deletion.name, deletion.etag, deletion.deleted) == (names[1], 'W/"2"', True)
    again = await core.DeleteResource(DeleteResourceRequest(name=names[1]), metadata=all_)
    assert list(again.deletions) == []
    with pytest.raises(CallError) as caught:
        await core.GetResource(GetResourceRequest(name=names[1]), metadata=all_)
    assert caught.value.reason == "RESOURCE_DELETED"
    both = DeleteResourceRequest(name="Patient", conditions=_IDENTIFIER)
    with pytest.raises(CallError) as caught:
        await core.DeleteResource(both, metadata=all_)
    assert caught.value.reason == "MULTIPLE_MATCHES"
    both.allow_multiple = True
    with pytest.raises(CallError) as caught:
        await core.DeleteResource(both, metadata=all_)
    assert caught.value.reason == "STILL_REFERENCED"
    assert (await core.GetResource(GetResourceRequest(name=names[2]), metadata=all_)).resource.etag == 'W/"1"'


async def test_a_bundle_answers_with_a_result_an_entry(core: Core, all_: Metadata) -> None:
    named = _patient(id="mine")
    entries = [
        _entry("POST", "Patient", _patient()),
        _entry("PUT", "Patient/mine", named),
        _entry("DELETE", "Patient/nobody"),
        _entry("GET", "Patient/mine"),
        _entry("GET", "Patient?_count=0"),
        _entry("GET", "Patient/mine/_history"),
        _entry("GET", "Patient/nobody"),
    ]
    request = CommitBundleRequest(json=_bundle("transaction", *entries), allow_missing=True)
    answer = await core.CommitBundle(request, metadata=all_)
    assert answer.interaction == Interaction.INTERACTION_TRANSACTION
    assert [result.WhichOneof("result") for result in answer.results] == [
        *("resource", "resource", None, "resource", "search", "versions", "failure")
    ]
    assert [result.outcome for result in answer.results] == [
        EntryOutcome.ENTRY_OUTCOME_CREATED,
        EntryOutcome.ENTRY_OUTCOME_CREATED,
        EntryOutcome.ENTRY_OUTCOME_DELETED,
        *[EntryOutcome.ENTRY_OUTCOME_READ] * 3,
        EntryOutcome.ENTRY_OUTCOME_FAILED,
    ]
    assert answer.results[0].resource.json == b""
    assert answer.results[3].resource.name == "Patient/mine"
    assert answer.results[4].search.total == 2
    assert answer.results[5].name == "Patient/mine"
    assert (answer.results[6].failure.code, answer.results[6].failure.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    refused = CommitBundleRequest(json=_bundle("transaction", _entry("PUT", "Patient/other", _patient(id="other"))))
    with pytest.raises(CallError) as caught:
        await core.CommitBundle(refused, metadata=all_)
    assert caught.value.reason == "UPDATE_CREATE_NOT_ALLOWED"
    assert caught.value.issues[0].expressions == ["Bundle.entry[0]"]


async def test_an_exposure_narrows_what_entries_may_do(core: Core, all_: Metadata) -> None:
    exposure = Exposure(
        types=[ExposedType(resource_type="Patient", interactions=[Interaction.INTERACTION_CREATE])],
        interactions=[Interaction.INTERACTION_BATCH],
    )
    entries = [
        _entry("POST", "Patient", _patient()),
        _entry("DELETE", "Patient/1"),
        _entry("GET", "Patient/1"),
        _entry("POST", "Basic", b'{"resourceType":"Basic","code":{"text":"c"}}'),
        _entry("POST", "Patient", _patient())
        | {"request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:s|1"}},
    ]
    request = CommitBundleRequest(json=_bundle("batch", *entries), exposure=exposure)
    answer = await core.CommitBundle(request, metadata=all_)
    assert answer.results[0].outcome == EntryOutcome.ENTRY_OUTCOME_CREATED
    assert {result.failure.reason for result in answer.results[1:]} == {"NOT_EXPOSED"}
    for exposed in (exposure, Exposure()):
        request = CommitBundleRequest(json=_bundle("transaction", entries[0]), exposure=exposed)
        with pytest.raises(CallError) as caught:
            await core.CommitBundle(request, metadata=all_)
        assert caught.value.reason == "NOT_EXPOSED"


async def test_an_answer_keeps_to_the_bytes_the_caller_takes(core: Core, all_: Metadata) -> None:
    large = _patient(name=[{"text": "x" * 3_000}])
    request = CommitBundleRequest(
        json=_bundle("batch", *[_entry("POST", "Patient", large)] * 3), content=Content.CONTENT_FULL, max_bytes=4_000
    )
    written = (await core.CommitBundle(request, metadata=all_)).results
    assert sorted(len(result.resource.json) > 0 for result in written) == [False, False, True]
    assert all(result.resource.size > 3_000 for result in written)
    reads = [_entry("GET", result.resource.name) for result in written]
    request = CommitBundleRequest(json=_bundle("batch", *reads), max_bytes=4_000)
    read = (await core.CommitBundle(request, metadata=all_)).results
    assert sorted(result.failure.reason for result in read) == ["", "RESOURCE_TOO_LARGE", "RESOURCE_TOO_LARGE"]
