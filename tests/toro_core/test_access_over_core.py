"""Who may do what, asked over the core: denied by default, and outside a granular grant nothing exists."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from toro_core.v1 import (
    CallError,
    Core,
    CreateResourceRequest,
    FetchResourceRequest,
    GetResourceRequest,
    ListVersionsRequest,
    Metadata,
    SearchParameter,
    SearchResourcesRequest,
    UpdateResourceRequest,
)

SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-category"
LAB = f"category={SYSTEM}|laboratory"
Make = Callable[..., dict[str, Any]]


async def refusal(call: Any) -> tuple[str, str, list[str]]:
    with pytest.raises(CallError) as caught:
        await call
    return caught.value.code, caught.value.reason, [issue.diagnostics for issue in caught.value.issues]


def get(core: Core, name: str, metadata: Metadata, version: str = "") -> Any:
    return core.GetResource(GetResourceRequest(name=name, version_id=version), metadata=metadata)


def create(core: Core, resource: dict[str, Any], metadata: Metadata) -> Any:
    request = CreateResourceRequest(resource_type=resource["resourceType"], json=json.dumps(resource).encode())
    return core.CreateResource(request, metadata=metadata)


def update(core: Core, name: str, resource: dict[str, Any], metadata: Metadata, **more: Any) -> Any:
    body = json.dumps({**resource, "id": name.partition("/")[2]}).encode()
    return core.UpdateResource(UpdateResourceRequest(name=name, json=body, **more), metadata=metadata)


def search(core: Core, metadata: Metadata, **parameters: str) -> Any:
    asked = [SearchParameter(code=code, values=[value]) for code, value in parameters.items()]
    return core.SearchResources(
        SearchResourcesRequest(resource_type="Observation", parameters=asked), metadata=metadata
    )


def versions(core: Core, name: str, metadata: Metadata, **more: Any) -> Any:
    return core.ListVersions(ListVersionsRequest(name=name, **more), metadata=metadata)


async def fetch(core: Core, name: str, metadata: Metadata) -> None:
    async for _ in core.FetchResource(FetchResourceRequest(name=name), metadata=metadata):
        pass


async def test_a_token_opens_only_what_its_scopes_name(core: Core, partner: Any, observation: Make) -> None:
    name = (await partner.create(observation())).name
    other = await partner.may("system/Patient.cruds")
    asked = {
        "r": [get(core, name, other), fetch(core, name, other), versions(core, name, other)],
        "s": [search(core, other)],
        "c": [create(core, observation(), other)],
        "u": [update(core, name, observation(), other)],
    }
    for permission, calls in asked.items():
        for call in calls:
            code, reason, [text] = await refusal(call)
            assert (code, reason) == ("PERMISSION_DENIED", "INSUFFICIENT_SCOPE")
            assert f"system/Observation.{permission}" in text


@pytest.mark.parametrize(("scope", "allowed"), [("r", "get"), ("s", "search"), ("c", "create"), ("u", "update")])
async def test_each_permission_opens_its_own_calls(
    core: Core, partner: Any, observation: Make, scope: str, allowed: str
) -> None:
    name = (await partner.create(observation())).name
    metadata = await partner.may(f"system/Observation.{scope}")
    calls = {
        "get": get(core, name, metadata),
        "search": search(core, metadata),
        "create": create(core, observation(), metadata),
        "update": update(core, name, observation(), metadata),
    }
    await calls.pop(allowed)
    for call in calls.values():
        assert (await refusal(call))[1] == "INSUFFICIENT_SCOPE"


async def test_an_update_that_creates_needs_the_permission_to_create(
    core: Core, partner: Any, observation: Make
) -> None:
    only_update = await partner.may("system/Observation.u")
    _, reason, [text] = await refusal(update(core, "Observation/new", observation(), only_update, allow_missing=True))
    assert (reason, "system/Observation.c" in text) == ("INSUFFICIENT_SCOPE", True)
    both = await partner.may("system/Observation.cu")
    assert (await update(core, "Observation/new", observation(), both, allow_missing=True)).created


async def test_outside_a_granular_grant_nothing_exists(core: Core, partner: Any, observation: Make) -> None:
    inside, outside = await partner.create(observation()), await partner.create(observation("vital-signs"))
    metadata = await partner.may(f"system/Observation.cruds?{LAB}")
    assert (await get(core, inside.name, metadata)).resource.name == inside.name
    for ask in (get, fetch, versions):
        absent = await refusal(ask(core, "Observation/absent", metadata))
        hidden = await refusal(ask(core, outside.name, metadata))
        assert hidden[:2] == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
        assert [text.replace(outside.name, "Observation/absent") for text in hidden[2]] == absent[2]
    assert (await refusal(get(core, outside.name, metadata, "1")))[1] == "RESOURCE_NOT_FOUND"
    page = await search(core, metadata)
    assert [entry.resource.name for entry in page.entries] == [inside.name]
    assert page.total == 1


async def test_a_search_cannot_count_or_filter_its_way_outside(core: Core, partner: Any, observation: Make) -> None:
    await partner.create(observation())
    outside = await partner.create(observation("vital-signs"))
    metadata = await partner.may(f"system/Observation.s?{LAB}")
    for parameters in (
        {"_id": outside.name.partition("/")[2]},
        {"category": "vital-signs"},
        {"category": "vital-signs", "_count": "0"},
        {"category": "vital-signs", "_total": "accurate"},
        {"date": "2024", "_count": "1"},
    ):
        page = await search(core, metadata, **parameters)
        assert outside.name not in [entry.resource.name for entry in page.entries]
        assert page.total == (1 if "date" in parameters else 0)
        assert not page.next_page_token


async def test_nothing_is_written_outside_a_granular_grant(core: Core, partner: Any, observation: Make) -> None:
    inside, outside = await partner.create(observation()), await partner.create(observation("vital-signs"))
    metadata = await partner.may(f"system/Observation.cruds?{LAB}")
    assert (await create(core, observation(), metadata)).resource.name
    moved = observation("vital-signs")
    assert (await refusal(create(core, moved, metadata)))[1] == "INSUFFICIENT_SCOPE"
    assert (await refusal(update(core, inside.name, moved, metadata)))[1] == "INSUFFICIENT_SCOPE"
    assert (await get(core, inside.name, metadata)).resource.etag == 'W/"1"'
    for ways in ({}, {"etag": 'W/"1"'}, {"allow_missing": True}):
        hidden = await refusal(update(core, outside.name, observation(), metadata, **ways))
        assert hidden[:2] == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
        if ways != {"allow_missing": True}:  # where it may create, an absent one is created
            absent = await refusal(update(core, "Observation/absent", observation(), metadata, **ways))
            assert [text.replace(outside.name, "Observation/absent") for text in hidden[2]] == absent[2]


async def test_a_deletion_is_told_only_inside_the_grant(core: Core, partner: Any, observation: Make) -> None:
    inside, outside = await partner.create(observation()), await partner.create(observation("vital-signs"))
    await partner.delete(inside.name)
    await partner.delete(outside.name)
    metadata = await partner.may(f"system/Observation.cruds?{LAB}")
    assert (await refusal(get(core, inside.name, metadata)))[1] == "RESOURCE_DELETED"
    assert (await refusal(get(core, outside.name, metadata)))[1] == "RESOURCE_NOT_FOUND"
    assert (await refusal(versions(core, outside.name, metadata)))[1] == "RESOURCE_NOT_FOUND"
    assert [one.deleted for one in (await versions(core, inside.name, metadata)).versions] == [True, False]
    for ways in ({}, {"allow_missing": True}, {"etag": 'W/"2"'}):
        assert (await refusal(update(core, outside.name, observation(), metadata, **ways)))[1] == "RESOURCE_NOT_FOUND"
    assert (await refusal(update(core, inside.name, observation(), metadata)))[1] == "RESOURCE_DELETED"


async def test_a_history_shows_the_versions_inside_the_grant(core: Core, partner: Any, observation: Make) -> None:
    everything = await partner.may("system/*.cruds")
    name = (await partner.create(observation())).name
    for category in ("vital-signs", "laboratory", "vital-signs", "vital-signs"):
        await update(core, name, observation(category), everything)
    metadata = await partner.may(f"system/Observation.rs?{LAB}")
    assert [one.etag for one in (await versions(core, name, metadata)).versions] == ['W/"3"', 'W/"1"']
    assert (await refusal(get(core, name, metadata)))[1] == "RESOURCE_NOT_FOUND"
    assert (await get(core, name, metadata, "3")).resource.etag == 'W/"3"'
    assert (await refusal(get(core, name, metadata, "2")))[1] == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_do_not_tell_that_hidden_versions_are_there(
    core: Core, partner: Any, observation: Make, size: int
) -> None:
    everything = await partner.may("system/*.cruds")
    hidden = (await partner.create(observation("vital-signs"))).name
    for _ in range(3):
        await update(core, hidden, observation("vital-signs"), everything)
    metadata = await partner.may(f"system/Observation.rs?{LAB}")
    assert (await refusal(versions(core, hidden, metadata, page_size=size)))[1] == "RESOURCE_NOT_FOUND"
    mixed = (await partner.create(observation())).name
    for category in ("vital-signs", "laboratory", "vital-signs"):
        await update(core, mixed, observation(category), everything)
    seen, token = [], ""
    while True:
        page = await versions(core, mixed, metadata, page_size=size, page_token=token)
        seen += [one.etag for one in page.versions]
        if not (token := page.next_page_token):
            break
    assert seen == ['W/"3"', 'W/"1"']


async def test_a_page_is_judged_by_the_grants_of_the_day(core: Core, partner: Any, observation: Make) -> None:
    names = {(await partner.create(observation(category))).name for category in ("laboratory", "vital-signs") * 3}
    wide = await partner.may("system/Observation.s")
    narrow = await partner.may(f"system/Observation.s?{LAB}")
    page = await search(core, wide, _count="1")
    seen = []
    while page.next_page_token:
        request = SearchResourcesRequest(resource_type="Observation", page_token=page.next_page_token)
        page = await core.SearchResources(request, metadata=narrow)
        seen += [json.loads(entry.resource.json)["category"][0]["coding"][0]["code"] for entry in page.entries]
    assert names
    assert set(seen) == {"laboratory"}
    gone = await partner.may("system/Patient.s")
    again = await search(core, wide, _count="1")
    request = SearchResourcesRequest(resource_type="Observation", page_token=again.next_page_token)
    assert (await refusal(core.SearchResources(request, metadata=gone)))[1] == "INSUFFICIENT_SCOPE"


async def test_a_constraint_by_time_lets_writes_of_now_through(core: Core, partner: Any, observation: Make) -> None:
    since = await partner.may("system/Observation.cr?_lastUpdated=ge2024-01-01")
    name = (await create(core, observation(), since)).resource.name
    assert (await get(core, name, since)).resource.name == name
    until = await partner.may("system/Observation.cr?_lastUpdated=lt2024-01-01")
    assert (await refusal(create(core, observation(), until)))[1] == "INSUFFICIENT_SCOPE"
