"""Validation on write and on request, through the core."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from toro_core.assembly import service_on
from toro_core.local import LocalTransport
from toro_core.settings import Settings
from toro_core.storage import Storage
from toro_core.v1 import (
    CallError,
    Core,
    CreateResourceRequest,
    IssueSeverity,
    UpdateResourceRequest,
    ValidateResourceRequest,
    ValidationMode,
)

LAB = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"
MODES = ValidationMode


def lab(observation: Callable[..., dict[str, Any]], **members: Any) -> dict[str, Any]:
    """Make a laboratory result that follows US Core."""
    code = {"coding": [{"system": "http://loinc.org", "code": "2339-0"}]}
    return observation(code=code, **members)


def sent(resource: dict[str, Any]) -> CreateResourceRequest:
    return CreateResourceRequest(resource_type=resource["resourceType"], json=json.dumps(resource).encode())


async def test_what_breaks_r4_is_refused_as_invalid(
    core: Core, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    wrong = lab(observation, status="done", dataAbsentReason={"text": "x"})
    with pytest.raises(CallError) as caught:
        await core.CreateResource(sent(wrong), metadata=await partner.may("system/*.cruds"))
    assert caught.value.reason == "INVALID_RESOURCE"
    assert {issue.expressions[0] for issue in caught.value.issues if issue.severity == 2} == {"Observation.status"}


async def test_what_breaks_a_claimed_profile_is_refused_as_unprocessable(
    core: Core, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    wrong = lab(observation, meta={"profile": [LAB]})
    del wrong["subject"]
    with pytest.raises(CallError) as caught:
        await core.CreateResource(sent(wrong), metadata=await partner.may("system/*.cruds"))
    assert (caught.value.code, caught.value.reason) == ("INVALID_ARGUMENT", "UNPROCESSABLE_RESOURCE")
    assert [issue.expressions[0] for issue in caught.value.issues] == ["Observation.subject"]
    assert LAB in caught.value.issues[0].diagnostics


async def test_what_breaks_a_profile_it_does_not_claim_is_stored_with_a_warning(
    core: Core, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    token = await partner.may("system/*.cruds")
    loose = lab(observation)
    del loose["subject"]
    created = await core.CreateResource(sent(loose), metadata=token)
    assert [(i.severity, i.expressions[0]) for i in created.issues] == [
        (IssueSeverity.ISSUE_SEVERITY_WARNING, "Observation.subject")
    ]
    name = created.resource.name
    body = json.dumps({**loose, "id": name.partition("/")[2]}).encode()
    updated = await core.UpdateResource(UpdateResourceRequest(name=name, json=body), metadata=token)
    assert len(updated.issues) == 1


@pytest.mark.parametrize(("policy", "issues"), [("off", 0), ("warn", 1)])
async def test_the_policy_says_what_is_demanded(
    storage: Storage,
    settings: Settings,
    partner: Any,
    observation: Callable[..., dict[str, Any]],
    policy: Any,
    issues: int,
) -> None:
    judge = Core(LocalTransport(service_on(storage, replace(settings, profile_policy=policy))))
    loose = lab(observation)
    del loose["subject"]
    answer = await judge.CreateResource(sent(loose), metadata=await partner.may("system/*.cruds"))
    assert len(answer.issues) == issues


async def test_the_policy_may_enforce_profiles(
    storage: Storage, settings: Settings, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    judge = Core(LocalTransport(service_on(storage, replace(settings, profile_policy="enforce"))))
    token = await partner.may("system/*.cruds")
    loose = lab(observation)
    assert (await judge.CreateResource(sent(loose), metadata=token)).resource.name
    del loose["subject"]
    with pytest.raises(CallError) as caught:
        await judge.CreateResource(sent(loose), metadata=token)
    assert caught.value.reason == "UNPROCESSABLE_RESOURCE"


async def test_a_resource_is_judged_without_being_stored(
    core: Core, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    token = await partner.may("system/Observation.c")

    async def judged(resource: dict[str, Any], **more: Any) -> tuple[bool, list[str]]:
        request = ValidateResourceRequest(resource_type="Observation", json=json.dumps(resource).encode(), **more)
        answer = await core.ValidateResource(request, metadata=token)
        return answer.acceptable, [issue.expressions[0] for issue in answer.issues if issue.expressions]

    assert await judged(lab(observation)) == (True, [])
    assert await judged(lab(observation), mode=MODES.VALIDATION_MODE_CREATE, profiles=[LAB]) == (True, [])
    assert await judged(lab(observation, status="done")) == (False, ["Observation.status"])
    loose = lab(observation)
    del loose["subject"]
    assert await judged(loose, profiles=[LAB]) == (False, ["Observation.subject"])
    assert await judged(loose, profiles=["http://example.org/none"]) == (
        False,
        ["Observation.meta.profile", "Observation.subject"],
    )
    acceptable, places = await judged({**lab(observation), "resourceType": "Patient"})
    assert (acceptable, places[0]) == (False, "Observation.resourceType")


async def test_a_stored_resource_is_judged_and_its_update_and_deletion_as_allowed(
    core: Core, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    stored = await partner.create(lab(observation))
    everything = await partner.may("system/*.cruds")
    body = json.dumps({**lab(observation), "id": stored.name.partition("/")[2]}).encode()

    async def judged(metadata: Any = everything, **request: Any) -> bool:
        answer = await core.ValidateResource(ValidateResourceRequest(**request), metadata=metadata)
        return bool(answer.acceptable)

    assert await judged(name=stored.name)
    assert await judged(name=stored.name, mode=MODES.VALIDATION_MODE_DELETE)
    assert await judged(name=stored.name, mode=MODES.VALIDATION_MODE_UPDATE, json=body)
    foreign = json.dumps({**lab(observation), "id": "other"}).encode()
    assert not await judged(name=stored.name, mode=MODES.VALIDATION_MODE_UPDATE, json=foreign)
    for reason, request in (
        ("RESOURCE_NOT_FOUND", {"name": "Observation/none"}),
        ("INVALID_ARGUMENT", {"resource_type": "Observation", "mode": MODES.VALIDATION_MODE_DELETE}),
        ("INVALID_ARGUMENT", {"resource_type": "Observation"}),
        ("INVALID_JSON", {"resource_type": "Observation", "json": b"{"}),
    ):
        with pytest.raises(CallError) as caught:
            await judged(**request)
        assert caught.value.reason == reason
    reading = await partner.may("system/Observation.r")
    with pytest.raises(CallError) as caught:
        await judged(reading, name=stored.name, mode=MODES.VALIDATION_MODE_DELETE)
    assert caught.value.reason == "INSUFFICIENT_SCOPE"
    with pytest.raises(CallError) as caught:
        await judged(await partner.may("system/Patient.c"), resource_type="Observation", json=body)
    assert caught.value.reason == "INSUFFICIENT_SCOPE"


async def test_errors_read_the_same_over_both_transports(core: Core, partner: Any) -> None:
    async def refusal(body: bytes) -> CallError:
        request = CreateResourceRequest(resource_type="Patient", json=body)
        with pytest.raises(CallError) as caught:
            await core.CreateResource(request, metadata=await partner.may("system/*.cruds"))
        return caught.value

    malformed = await refusal(b'{\n "resourceType": "Patient",\n "active": tru\n}')
    assert (malformed.code, malformed.reason) == ("INVALID_ARGUMENT", "INVALID_JSON")
    assert "line 3, column 12" in malformed.issues[0].diagnostics
    many = {"resourceType": "Patient", "name": [{"familie": "Secret"}] * 300}
    capped = await refusal(json.dumps(many).encode())
    assert (capped.reason, len(capped.issues)) == ("INVALID_RESOURCE", 101)
    assert list(capped.issues[99].expressions) == ["Patient.name[99].familie"]
    assert capped.issues[100].code == "incomplete"
    assert "Secret" not in str(capped.issues)
