"""A CapabilityStatement claims no more than the running storage declares."""

from __future__ import annotations

from typing import get_args

import httpx
import pytest

from toro_core.assembly import service_on
from toro_core.local import LocalTransport
from toro_core.settings import Settings
from toro_core.storage import Capability
from toro_core.testing.memory import MemoryStorage
from toro_core.v1 import Core, GetCapabilitiesRequest
from toro_facade.app import create_app

SETTINGS = Settings(expose="full", base_url="http://localhost")
HISTORIES = {"vread", "history-instance"}
CLAIMS: dict[Capability, tuple[set[str], set[str]]] = {
    "history": (HISTORIES | {"history-type"}, {"history-system"}),
    "ordered_changes": ({"history-type"}, {"history-system"}),
    "transactions": (set(), {"transaction"}),
}


async def claimed(*without: Capability) -> tuple[set[str], set[str]]:
    """Return the interactions of a type and of the system that a server on such a storage claims."""
    core = Core(LocalTransport(service_on(MemoryStorage(without=without), SETTINGS)))
    app = create_app(core, SETTINGS, await core.GetCapabilities(GetCapabilitiesRequest()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        rest = (await client.get("/fhir/metadata")).json()["rest"][0]
    patient = next(each for each in rest["resource"] if each["type"] == "Patient")
    return tuple({one["code"] for one in each.get("interaction", ())} for each in (patient, rest))  # type: ignore[return-value]


async def test_a_storage_that_declares_everything_lets_everything_be_claimed() -> None:
    of_type, of_system = await claimed()
    for type_claims, system_claims in CLAIMS.values():
        assert type_claims <= of_type
        assert system_claims <= of_system


@pytest.mark.parametrize("missing", sorted(CLAIMS))
async def test_what_the_storage_does_not_declare_is_not_claimed(missing: Capability) -> None:
    whole_type, whole_system = await claimed()
    of_type, of_system = await claimed(missing)
    type_claims, system_claims = CLAIMS[missing]
    assert of_type == whole_type - type_claims
    assert of_system == whole_system - system_claims


async def test_without_any_capability_current_resources_are_all_that_is_claimed() -> None:
    of_type, of_system = await claimed(*get_args(Capability))
    assert of_type == {"read", "search-type", "create", "update", "patch", "delete"}
    assert of_system <= {"batch", "search-system"}
