"""$everything: all of one patient, nothing of another, in one stream or in pages that neither repeat nor miss anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from toro_core.search.plan import SearchPlan
from toro_core.v1 import (
    CallError,
    ExposedType,
    Exposure,
    FetchEverythingRequest,
    Interaction,
    InvokeOperationRequest,
    OperationArgument,
)

if TYPE_CHECKING:
    from tests.toro_core.conftest import Partner
    from tests.toro_core.operations.conftest import Records


async def test_it_holds_the_compartment_and_what_that_refers_to_and_nothing_of_another_patient(
    filled_everywhere: Records, own: set[str], supporting: set[str]
) -> None:
    found = await filled_everywhere.stream()
    assert (await filled_everywhere.paged()).matches == found.matches
    assert set(found.matches) == own
    assert set(found.included) == supporting
    assert len(found.matches + found.included) == len(own | supporting)
    assert found.matches[0] == "Patient/1"
    assert found.told == ["Group resources were left out: they name other patients."]


@pytest.mark.parametrize("count", ["1", "2", "3", "5", "1000"])
async def test_its_pages_hold_the_same_each_resource_once(filled: Records, count: str) -> None:
    stream = await filled.stream()
    paged = await filled.paged(_count=count)
    assert paged.matches == stream.matches
    assert sorted(paged.included) == sorted(stream.included)
    assert all(size <= int(count) for size in paged.pages)
    assert sum(paged.pages) == len(stream.matches) + len(stream.included)


async def test_asked_again_it_comes_in_the_same_order(filled: Records) -> None:
    assert await filled.stream() == await filled.stream()
    assert await filled.paged(_count="4") == await filled.paged(_count="4")


async def test_a_page_that_is_asked_for_again_is_the_same_page(filled: Records, partner: Partner) -> None:
    metadata = await partner.may("system/*.cruds")
    count = OperationArgument(name="_count", value="3")
    first = InvokeOperationRequest(operation="everything", name="Patient/1", arguments=[count])
    token = (await filled.core.InvokeOperation(first, metadata=metadata)).page.next_page_token
    second = InvokeOperationRequest(operation="everything", name="Patient/1", page_token=token)
    pages = [(await filled.core.InvokeOperation(second, metadata=metadata)).page.entries for _ in range(2)]
    assert pages[0] == pages[1]


async def test_what_is_deleted_between_pages_is_left_out_and_nothing_else_moves(
    filled: Records, partner: Partner
) -> None:
    whole = await filled.stream()
    metadata = await partner.may("system/*.cruds")
    count = OperationArgument(name="_count", value="2")
    request = InvokeOperationRequest(operation="everything", name="Patient/1", arguments=[count])
    names: list[str] = []
    while True:
        page = (await filled.core.InvokeOperation(request, metadata=metadata)).page
        names += [entry.resource.name for entry in page.entries]
        if len(names) == 4:
            await partner.delete("Observation/o3")
        if not page.next_page_token:
            break
        request = InvokeOperationRequest(operation="everything", name="Patient/1", page_token=page.next_page_token)
    assert sorted(names) == sorted({*whole.matches, *whole.included} - {"Observation/o3"})


async def test_dates_of_care_limit_what_has_one(filled: Records) -> None:
    found = await filled.stream(start="2024-01-15", end="2024-02")
    assert {name for name in found.matches if name.startswith("Observation")} == {"Observation/o2", "Observation/o4"}
    assert "Appointment/a" not in found.matches
    assert {"Patient/1", "DocumentReference/d"} <= set(found.matches)  # the document has no date of its own
    assert "Slot/slot" not in found.included
    assert {"Practitioner/p", "Device/nobodys"} <= set(found.included)


async def test_since_leaves_out_what_has_not_changed(
    filled: Records, partner: Partner, made_observation: Callable[..., dict[str, Any]]
) -> None:
    assert (await filled.stream(since="2100-01-01T00:00:00Z")).pages == [0]
    await asyncio.sleep(0.01)
    changed = await partner.create(
        made_observation("any", "1", "2024-04-01", performer=[{"reference": "Practitioner/p"}])
    )
    since = f"{changed.update_time.ToDatetime().isoformat(timespec='milliseconds')}Z"
    found = await filled.stream(since=since)
    assert (found.matches, found.included) == ([changed.name], [])


async def test_types_limit_what_comes_of_either_kind(filled: Records, supporting: set[str]) -> None:
    found = await filled.stream(types=["Observation"])
    assert {name.partition("/")[0] for name in found.matches} == {"Observation"}
    assert found.included == []
    found = await filled.paged(_type="Organization,Schedule", _count="2")
    assert found.matches == []
    assert set(found.included) == {name for name in supporting if name.startswith(("Organization/", "Schedule/"))}


async def test_types_without_a_grant_are_left_out_and_named(filled: Records, own: set[str]) -> None:
    found = await filled.stream("system/Patient.rs", "system/Observation.rs", "system/Practitioner.rs")
    assert set(found.matches) == {name for name in own if name.startswith(("Patient/", "Observation/"))}
    assert set(found.included) == {"Practitioner/p"}
    assert "PractitionerRole resources were left out: the access token lacks system/PractitionerRole.rs." in found.told
    assert "Appointment resources were left out: the access token lacks system/Appointment.rs." in found.told
    assert not any("Organization" in text for text in found.told)  # whom nothing seen refers to


async def test_a_granular_grant_limits_what_comes(filled: Records) -> None:
    found = await filled.paged("system/Patient.rs", "system/Observation.rs?date=ge2024-02-01", _count="1")
    assert found.matches == ["Patient/1", "Observation/o2", "Observation/o3"]


async def test_types_that_are_not_exposed_do_not_come(filled: Records) -> None:
    read = [Interaction.INTERACTION_READ]
    exposed = [ExposedType(resource_type=name, interactions=read) for name in ("Patient", "Observation")]
    exposure = Exposure(types=exposed)
    found = await filled.paged(exposure=exposure)
    assert {name.partition("/")[0] for name in found.matches} == {"Patient", "Observation"}
    assert found.included == []
    assert "Practitioner resources were left out: they cannot be read here." in found.told
    with pytest.raises(CallError) as caught:
        await filled.paged(exposure=exposure, _type="Appointment")
    assert caught.value.reason == "INVALID_OPERATION"


@pytest.mark.parametrize(
    ("scopes", "name", "reason"),
    [
        (("system/Observation.rs",), "Patient/1", "INSUFFICIENT_SCOPE"),
        (("system/*.rs",), "Patient/absent", "RESOURCE_NOT_FOUND"),
        (("system/Patient.rs?_id=2",), "Patient/1", "RESOURCE_NOT_FOUND"),
        (("system/*.rs",), "Observation/o1", "INVALID_ARGUMENT"),
    ],
)
async def test_who_may_not_see_the_patient_gets_nothing(
    filled: Records, partner: Partner, scopes: tuple[str, ...], name: str, reason: str
) -> None:
    metadata = await partner.may(*scopes)
    with pytest.raises(CallError) as caught:
        async for _ in filled.core.FetchEverything(FetchEverythingRequest(name=name), metadata=metadata):
            pass
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "given",
    [
        {"start": "yesterday"},
        {"_since": "2024-13-01"},
        {"_type": "Nonsense"},
        {"_count": "0"},
        {"_count": "many"},
        {"colour": "red"},
    ],
)
async def test_what_cannot_be_understood_is_refused(filled: Records, given: dict[str, Any]) -> None:
    with pytest.raises(CallError) as caught:
        await filled.paged(**given)
    assert caught.value.reason == "INVALID_OPERATION"


async def test_a_token_is_of_one_patients_record_alone(filled: Records, partner: Partner) -> None:
    metadata = await partner.may("system/*.cruds")
    count = OperationArgument(name="_count", value="1")
    first = InvokeOperationRequest(operation="everything", name="Patient/1", arguments=[count])
    token = (await filled.core.InvokeOperation(first, metadata=metadata)).page.next_page_token
    other = InvokeOperationRequest(operation="everything", name="Patient/2", page_token=token)
    with pytest.raises(CallError) as caught:
        await filled.core.InvokeOperation(other, metadata=metadata)
    assert caught.value.reason == "INVALID_PAGE_TOKEN"


async def test_many_supporting_resources_come_once_over_many_pages(
    empty: Records, made_observation: Callable[..., dict[str, Any]]
) -> None:
    performers = [{"resourceType": "Practitioner", "id": f"p{number:03}"} for number in range(120)]
    of_these = [
        [{"reference": f"Practitioner/p{(number * 7 + step) % 120:03}"} for step in range(4)] for number in range(90)
    ]
    seen = [made_observation(f"o{n:03}", "1", "2024-01-01", performer=given) for n, given in enumerate(of_these)]
    await empty.fill([*performers, {"resourceType": "Patient", "id": "1"}, *seen])
    found = await empty.paged(_count="5")
    assert len(found.matches) == len(set(found.matches)) == 91
    assert len(found.included) == len(set(found.included)) == 120
    assert len(found.pages) > 40  # so that the trail has been written together in between


async def test_a_page_reads_a_bounded_part_of_the_storage(
    empty: Records, partner: Partner, made_observation: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await empty.fill(
        [{"resourceType": "Patient", "id": "1"}, *(made_observation(f"o{n}", "1", "2024-01-01") for n in range(60))]
    )
    read = 0
    search = partner.storage.search

    async def counting(plan: SearchPlan) -> Any:
        nonlocal read
        page = await search(plan)
        read += len(page.resources)
        return page

    monkeypatch.setattr(partner.storage, "search", counting)
    found = await empty.paged(_count="10")
    assert sum(found.pages) == 61
    assert read == 61
