"""Two patients with records that meet in what supports them, and ways to ask for all of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from toro_core.v1 import (
    Core,
    Exposure,
    FetchEverythingRequest,
    InvokeOperationRequest,
    Metadata,
    OperationArgument,
    SearchMode,
    SearchResourcesResponse,
    UpdateResourceRequest,
)

if TYPE_CHECKING:
    from tests.toro_core.conftest import Partner


def reference(name: str) -> dict[str, str]:
    return {"reference": name}


def observation(id: str, patient: str, date: str | None, **members: Any) -> dict[str, Any]:
    dated = {"effectiveDateTime": date} if date else {}
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"text": "x"},
        "subject": reference(f"Patient/{patient}"),
        **dated,
        **members,
    }


def records() -> list[dict[str, Any]]:
    """Give what is stored: patients 1 and 2, each with records, and what these refer to, directly and on the way."""
    linked = [{"other": reference("Patient/2"), "type": "seealso"}]
    slot = {"schedule": reference("Schedule/s"), "status": "free"}
    times = {"start": "2024-01-01T08:00:00Z", "end": "2024-01-01T09:00:00Z"}
    actor = {"actor": reference("Patient/1"), "status": "accepted"}
    attachment = {"contentType": "text/plain", "url": "Binary/note"}
    return [
        {"resourceType": "Organization", "id": "parent", "name": "Parent"},
        {"resourceType": "Organization", "id": "o", "name": "Clinic", "partOf": reference("Organization/parent")},
        {"resourceType": "Practitioner", "id": "p", "name": [{"family": "Doe"}]},
        {
            "resourceType": "PractitionerRole",
            "id": "r",
            "practitioner": reference("Practitioner/p"),
            "organization": reference("Organization/o"),
        },
        {"resourceType": "Patient", "id": "2", "link": [{"other": reference("Patient/1"), "type": "seealso"}]},
        {
            "resourceType": "Patient",
            "id": "1",
            "link": linked,
            "generalPractitioner": [reference("PractitionerRole/r")],
        },
        {"resourceType": "Schedule", "id": "s", "actor": [reference("PractitionerRole/r")]},
        {"resourceType": "Schedule", "id": "other", "actor": [reference("Patient/2")]},
        {"resourceType": "Slot", "id": "slot", **slot, **times},
        {"resourceType": "Slot", "id": "slot2", **slot, **times, "schedule": reference("Schedule/other")},
        {
            "resourceType": "Appointment",
            "id": "a",
            "status": "booked",
            "slot": [reference("Slot/slot"), reference("Slot/slot2")],
            "participant": [actor],
            **times,
        },
        {"resourceType": "Binary", "id": "note", "contentType": "text/plain", "data": "aGVsbG8="},
        {
            "resourceType": "DocumentReference",
            "id": "d",
            "status": "current",
            "subject": reference("Patient/1"),
            "content": [{"attachment": attachment}],
        },
        {"resourceType": "Device", "id": "theirs", "patient": reference("Patient/2")},
        {"resourceType": "Device", "id": "nobodys"},
        observation(
            "o1", "1", "2024-01-01", performer=[reference("Practitioner/p")], device=reference("Device/theirs")
        ),
        observation(
            "o2", "1", "2024-02-01", performer=[reference("Practitioner/p")], device=reference("Device/nobodys")
        ),
        observation("o3", "1", "2024-03-01", performer=[reference("PractitionerRole/r")]),
        observation("o4", "1", None, hasMember=[reference("Observation/o9")]),
        observation("o9", "2", "2024-02-01"),
        {
            "resourceType": "Group",
            "id": "g",
            "type": "person",
            "actual": True,
            "member": [{"entity": reference("Patient/1")}, {"entity": reference("Patient/2")}],
        },
    ]


OWN = {
    *("Patient/1", "Appointment/a", "DocumentReference/d"),
    *("Observation/o1", "Observation/o2", "Observation/o3", "Observation/o4"),
}
SUPPORTING = {
    *("PractitionerRole/r", "Practitioner/p", "Organization/o", "Organization/parent"),
    *("Slot/slot", "Slot/slot2", "Schedule/s", "Binary/note", "Device/nobodys"),
}


@dataclass
class Found:
    """What a record consisted of, in its order."""

    matches: list[str] = field(default_factory=list)
    included: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)

    def add(self, entries: Any, issues: Any) -> None:
        for entry in entries:
            to = self.matches if entry.mode == SearchMode.SEARCH_MODE_MATCH else self.included
            to.append(entry.resource.name)
        self.told += [issue.diagnostics for issue in issues]
        self.pages.append(len(entries))


@dataclass
class Records:
    """Asks for records over one core."""

    core: Core
    partner: Partner

    async def fill(self, resources: list[dict[str, Any]]) -> None:
        metadata = await self.partner.may("system/*.cruds")
        for resource in resources:
            name = f"{resource['resourceType']}/{resource['id']}"
            request = UpdateResourceRequest(name=name, json=json.dumps(resource).encode(), allow_missing=True)
            await self.core.UpdateResource(request, metadata=metadata)

    async def stream(self, *scopes: str, **wanted: Any) -> Found:
        """Fetch patient 1's record in one stream."""
        metadata = await self.partner.may(*scopes or ("system/*.cruds",))
        found = Found()
        async for part in self.core.FetchEverything(
            FetchEverythingRequest(name="Patient/1", **wanted), metadata=metadata
        ):
            found.add(part.entries, part.issues)
            assert not part.next_page_token
        return found

    async def paged(self, *scopes: str, exposure: Exposure | None = None, **arguments: Any) -> Found:
        """Fetch patient 1's record page by page."""
        metadata = await self.partner.may(*scopes or ("system/*.cruds",))
        given = [OperationArgument(name=name, value=value) for name, value in arguments.items()]
        request = InvokeOperationRequest(operation="everything", name="Patient/1", arguments=given, exposure=exposure)
        found = Found()
        while True:
            page = (await self.core.InvokeOperation(request, metadata=metadata)).page
            found.add(page.entries, page.issues)
            if not page.next_page_token:
                return found
            request = InvokeOperationRequest(
                operation="everything", name="Patient/1", page_token=page.next_page_token, exposure=exposure
            )

    async def invoke(
        self, operation: str, metadata: Metadata | None = None, *, name: str = "", resource_type: str = "", **given: Any
    ) -> SearchResourcesResponse:
        request = InvokeOperationRequest(operation=operation, name=name, resource_type=resource_type)
        for argument, value in given.items():
            request.arguments.add(name=argument.replace("on_demand", "on-demand"), value=value)
        metadata = metadata or await self.partner.may("system/*.cruds")
        return (await self.core.InvokeOperation(request, metadata=metadata)).page


@pytest.fixture
async def empty(local: Core, partner: Partner) -> Records:
    return Records(local, partner)


@pytest.fixture
async def filled(empty: Records) -> Records:
    await empty.fill(records())
    return empty


@pytest.fixture
async def filled_everywhere(core: Core, partner: Partner) -> Records:
    """Give the same over each transport in turn."""
    found = Records(core, partner)
    await found.fill(records())
    return found


@pytest.fixture
def made_observation() -> Callable[..., dict[str, Any]]:
    return observation


@pytest.fixture
def own() -> set[str]:
    return OWN


@pytest.fixture
def supporting() -> set[str]:
    return SUPPORTING
