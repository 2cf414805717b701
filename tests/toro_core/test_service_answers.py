"""What calls answer, in process and over gRPC alike."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from toro_core.json import loads
from toro_core.v1 import (
    CallError,
    Content,
    Core,
    CreateResourceRequest,
    ExposedType,
    Exposure,
    FetchResourceRequest,
    FetchResourceResponse,
    GetCapabilitiesRequest,
    GetKeysRequest,
    GetResourceRequest,
    Handling,
    Interaction,
    ListVersionsRequest,
    Metadata,
    SearchMode,
    SearchParameter,
    SearchResourcesRequest,
    SearchResourcesResponse,
    UpdateResourceRequest,
)

DIGITS = (
    """{"resourceType":"Observation","status":"final","code":{"text":"é🐂"},"valueQuantity":{"value":1.00}}""".encode()
)


@pytest.fixture
async def all_(partner: Any) -> Metadata:
    """Return metadata of a caller who may do everything."""
    metadata: Metadata = await partner.may("system/*.cruds")
    return metadata


async def searched(core: Core, metadata: Metadata, token: str = "", **parameters: str) -> SearchResourcesResponse:
    asked = [SearchParameter(code=code, values=[value]) for code, value in parameters.items()]
    request = SearchResourcesRequest(resource_type="Observation", parameters=asked, page_token=token)
    return await core.SearchResources(request, metadata=metadata)


async def test_what_is_created_is_read_digit_for_digit(core: Core, all_: Metadata) -> None:
    created = (
        await core.CreateResource(CreateResourceRequest(resource_type="Observation", json=DIGITS), metadata=all_)
    ).resource
    assert created.etag == 'W/"1"'
    assert created.json == b""
    read = (await core.GetResource(GetResourceRequest(name=created.name), metadata=all_)).resource
    assert b'"value":1.00' in read.json
    assert "é🐂".encode() in read.json
    stored = loads(read.json)
    assert f"Observation/{stored['id']}" == created.name == read.name
    assert stored["meta"] == {
        "versionId": "1",
        "lastUpdated": read.update_time.ToDatetime().isoformat(timespec="milliseconds") + "Z",
    }
    assert stored["valueQuantity"] == {"value": Decimal("1.00")}
    assert read.size == len(read.json)


async def test_a_write_answers_with_the_resource_where_that_is_asked_for(core: Core, all_: Metadata) -> None:
    full = Content.CONTENT_FULL
    create = CreateResourceRequest(resource_type="Observation", json=DIGITS, content=full)
    created = (await core.CreateResource(create, metadata=all_)).resource
    again = loads(created.json)
    update = UpdateResourceRequest(name=created.name, json=created.json, content=full)
    updated = await core.UpdateResource(update, metadata=all_)
    assert not updated.created
    assert loads(updated.resource.json)["id"] == again["id"]
    assert updated.resource.etag == 'W/"2"'


async def test_an_update_may_create_where_that_is_allowed(core: Core, all_: Metadata) -> None:
    body = json.dumps({**json.loads(DIGITS), "id": "mine"}).encode()
    request = UpdateResourceRequest(name="Observation/mine", json=body, allow_missing=True)
    assert (await core.UpdateResource(request, metadata=all_)).created
    assert not (await core.UpdateResource(request, metadata=all_)).created


async def test_an_update_creates_again_what_was_deleted(core: Core, all_: Metadata, partner: Any) -> None:
    body = json.dumps({**json.loads(DIGITS), "id": "mine"}).encode()
    request = UpdateResourceRequest(name="Observation/mine", json=body, allow_missing=True)
    await core.UpdateResource(request, metadata=all_)
    await partner.delete("Observation/mine")
    answer = await core.UpdateResource(request, metadata=all_)
    assert answer.created
    assert answer.resource.etag == 'W/"3"'


async def test_versions_come_newest_first_and_page_by_page(
    core: Core, all_: Metadata, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    name = (await partner.create(observation())).name
    for _ in range(3):
        body = json.dumps(observation(id=name.partition("/")[2])).encode()
        await core.UpdateResource(UpdateResourceRequest(name=name, json=body), metadata=all_)
    await partner.delete(name)
    whole = await core.ListVersions(ListVersionsRequest(name=name), metadata=all_)
    assert [one.etag for one in whole.versions] == [f'W/"{number}"' for number in (5, 4, 3, 2, 1)]
    assert [one.deleted for one in whole.versions] == [True, False, False, False, False]
    assert whole.total == 5
    assert not whole.next_page_token
    seen, token = [], ""
    while True:
        page = await core.ListVersions(ListVersionsRequest(name=name, page_size=2, page_token=token), metadata=all_)
        assert len(page.versions) <= 2
        assert not page.HasField("total")
        seen += [one.etag for one in page.versions]
        if not (token := page.next_page_token):
            break
    assert seen == [one.etag for one in whole.versions]
    past = await core.GetResource(GetResourceRequest(name=name, version_id="2"), metadata=all_)
    assert past.resource == whole.versions[3]


async def test_a_search_pages_through_every_match_once(
    core: Core, all_: Metadata, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    names = {(await partner.create(observation())).name for _ in range(5)}
    await partner.create(observation("vital-signs"))
    seen: list[str] = []
    page = await searched(core, all_, category="laboratory", _count="2")
    assert page.total == 5
    while True:
        assert [entry.mode for entry in page.entries] == [SearchMode.SEARCH_MODE_MATCH] * len(page.entries)
        assert [(one.code, list(one.values)) for one in page.applied] == [
            ("category", ["laboratory"]),
            ("_count", ["2"]),
        ]
        seen += [entry.resource.name for entry in page.entries]
        if not page.next_page_token:
            break
        page = await searched(core, all_, page.next_page_token)
    assert sorted(seen) == sorted(names)


async def test_a_search_explains_itself_to_who_may_see_everything(
    core: Core, all_: Metadata, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    await partner.create(observation())
    asked = [
        SearchParameter(code="patient.name", values=["x"]),
        SearchParameter(code="category", values=["laboratory"]),
    ]
    request = SearchResourcesRequest(resource_type="Observation", parameters=asked, explain=True)
    answer = await core.SearchResources(request, metadata=all_)
    assert "category is any system | laboratory" in answer.explanation
    assert "SQLite" in answer.explanation
    assert not answer.entries
    for scopes in (("system/Observation.rs", "system/Patient.rs"), ("system/*.rs?_id=1",), ("system/*.s",)):
        metadata = await partner.may(*scopes)
        with pytest.raises(CallError) as caught:
            await core.SearchResources(request, metadata=metadata)
        assert caught.value.reason == "INSUFFICIENT_SCOPE"


async def test_what_is_included_is_marked_and_kept_within_the_exposure(
    core: Core, all_: Metadata, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    patient = await partner.create({"resourceType": "Patient"})
    made = await partner.create(observation(subject={"reference": patient.name}))
    asked = [SearchParameter(code="_include", values=["Observation:patient"])]
    exposed = [ExposedType(resource_type="Patient", interactions=[Interaction.INTERACTION_READ])]
    for types, included in ((exposed, [patient.name]), ([], [])):
        request = SearchResourcesRequest(resource_type="Observation", parameters=asked, exposure=Exposure(types=types))
        answer = await core.SearchResources(request, metadata=all_)
        by_mode = {entry.mode: entry.resource.name for entry in answer.entries}
        assert by_mode.pop(SearchMode.SEARCH_MODE_MATCH) == made.name
        assert list(by_mode.values()) == included
        assert [issue.code for issue in answer.issues] == ([] if included else ["suppressed"])


async def test_a_count_of_none_counts_alone(
    core: Core, all_: Metadata, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    for _ in range(3):
        await partner.create(observation())
    page = await searched(core, all_, _count="0")
    assert (len(page.entries), page.total, page.next_page_token) == (0, 3, "")


async def test_a_lenient_search_says_what_it_ignored(core: Core, all_: Metadata) -> None:
    parameter = SearchParameter(code="colour", values=["red"])
    request = SearchResourcesRequest(
        resource_type="Observation", parameters=[parameter], handling=Handling.HANDLING_LENIENT
    )
    answer = await core.SearchResources(request, metadata=all_)
    assert "colour" in answer.issues[0].diagnostics
    assert not answer.applied


async def test_a_page_token_belongs_to_its_search_and_its_client(
    core: Core, all_: Metadata, partner: Any, storage: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    name = (await partner.create(observation())).name
    await partner.create(observation())
    token = (await searched(core, all_, _count="1")).next_page_token
    stranger = type(partner)(storage, partner.settings, partner.core, "stranger")
    await stranger.register()
    strange = await stranger.may("system/*.cruds")
    asked = [
        core.SearchResources(SearchResourcesRequest(resource_type="Patient", page_token=token), metadata=all_),
        core.ListVersions(ListVersionsRequest(name=name, page_token=token), metadata=all_),
        core.SearchResources(SearchResourcesRequest(resource_type="Observation", page_token=token), metadata=strange),
        core.SearchResources(
            SearchResourcesRequest(resource_type="Observation", page_token=token[:-2] + "AA"), metadata=all_
        ),
    ]
    for call in asked:
        with pytest.raises(CallError) as caught:
            await call
        assert caught.value.reason == "INVALID_PAGE_TOKEN"


async def test_a_resource_is_fetched_in_chunks(core: Core, all_: Metadata, partner: Any) -> None:
    name = (await partner.create({**json.loads(DIGITS), "note": [{"text": "x" * 800_000}] * 2})).name

    async def fetched(version: str = "") -> tuple[FetchResourceResponse, list[bytes]]:
        answers: AsyncIterator[FetchResourceResponse] = core.FetchResource(
            FetchResourceRequest(name=name, version_id=version), metadata=all_
        )
        first, *rest = [answer async for answer in answers]
        return first, [answer.chunk for answer in rest]

    first, chunks = await fetched()
    read = (await core.GetResource(GetResourceRequest(name=name), metadata=all_)).resource
    assert b"".join(chunks) == read.json
    assert max(map(len, chunks)) <= 1 << 20
    assert (first.resource.name, first.resource.etag, first.resource.size) == (name, 'W/"1"', len(read.json))
    assert first.resource.json == first.chunk == b""
    assert await fetched("1") == (first, chunks)


async def test_a_reader_may_stop_in_the_middle_of_a_stream(core: Core, all_: Metadata, partner: Any) -> None:
    name = (await partner.create({**json.loads(DIGITS), "note": [{"text": "x" * 800_000}] * 10})).name
    answers = core.FetchResource(FetchResourceRequest(name=name), metadata=all_)
    async for _ in answers:
        break
    await answers.aclose()  # type: ignore[attr-defined]  # both transports give generators
    assert (await core.GetResource(GetResourceRequest(name=name, max_bytes=9_000_000), metadata=all_)).resource.size


async def test_capabilities_name_every_type_and_what_works(core: Core) -> None:
    answer = await core.GetCapabilities(GetCapabilitiesRequest())
    types = {one.resource_type: one for one in answer.types}
    assert len(types) > 140
    assert answer.fhir_version == "4.0.1"
    assert set(answer.storage_capabilities) >= {"transactions", "history"}
    system = {
        Interaction.INTERACTION_BATCH,
        Interaction.INTERACTION_TRANSACTION,
        Interaction.INTERACTION_HISTORY_SYSTEM,
    }
    assert set(answer.interactions) == system
    assert set(types["Patient"].interactions) == set(Interaction.values()) - system - {0}
    codes = {one.code: one for one in types["Observation"].search_parameters}
    assert {"_id", "_lastUpdated", "category", "code", "date", "patient"} <= set(codes)
    assert codes["date"].type == "date"
    assert codes["date"].definition == "http://hl7.org/fhir/SearchParameter/clinical-date"


async def test_keys_are_a_key_set(core: Core, partner: Any) -> None:
    await partner.may("system/Patient.r")
    keys = json.loads((await core.GetKeys(GetKeysRequest())).jwks)["keys"]
    assert keys
    assert all("d" not in key for key in keys)
