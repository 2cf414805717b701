"""Scopes with a constraint: what lies outside is as if it did not exist, in every interaction. DESIGN: 403, 404, 410."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from toro_core.plugins import open_storage
from toro_core.storage import Key, Write

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
ONLY_LAB = f"?category={CATEGORY}|laboratory"


def observation(category: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "code": {"text": "granular"},
    }


@pytest.fixture(scope="module")
def lab(partner: httpx.Client) -> str:
    return str(partner.post("Observation", json=observation("laboratory")).json()["id"])


@pytest.fixture(scope="module")
def vital(partner: httpx.Client) -> str:
    return str(partner.post("Observation", json=observation("vital-signs")).json()["id"])


@pytest.fixture(scope="module")
def laboratory(sandbox: Sandbox) -> httpx.Client:
    return sandbox.partner(f"system/Observation.crs{ONLY_LAB}")


def test_a_search_finds_only_what_the_constraint_lets_through(
    laboratory: httpx.Client, partner: httpx.Client, lab: str, vital: str
) -> None:
    seen = laboratory.get("Observation", params={"_id": f"{lab},{vital}"}).json()
    assert [entry["resource"]["id"] for entry in seen["entry"]] == [lab]
    assert seen["total"] == 1
    assert laboratory.get("Observation", params={"category": "vital-signs"}).json()["total"] == 0
    everything = laboratory.get("Observation", params={"_count": "0"}).json()["total"]
    labs = partner.get("Observation", params={"_count": "0", "category": f"{CATEGORY}|laboratory"}).json()["total"]
    assert everything == labs > 1


def test_every_page_keeps_to_the_constraint(laboratory: httpx.Client) -> None:
    url: str | None = "Observation?_count=25"
    pages = 0
    while url:
        page = laboratory.get(url).json()
        categories = [str(entry["resource"]["category"]) for entry in page["entry"]]
        assert all("'laboratory'" in category for category in categories)
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        pages += 1
    assert pages > 1


def test_what_lies_outside_is_not_found_in_any_way(laboratory: httpx.Client, lab: str, vital: str) -> None:
    for tail in ("", "/_history", "/_history/1"):
        assert laboratory.get(f"Observation/{lab}{tail}").status_code == 200
        outside = laboratory.get(f"Observation/{vital}{tail}")
        nowhere = laboratory.get(f"Observation/nobody{tail}")
        assert outside.status_code == nowhere.status_code == 404
        assert "vital" not in outside.text


def test_what_lies_outside_cannot_be_written(laboratory: httpx.Client, sandbox: Sandbox, vital: str) -> None:
    assert laboratory.post("Observation", json=observation("laboratory")).status_code == 201
    refused = laboratory.post("Observation", json=observation("vital-signs"))
    assert refused.status_code == 403
    assert "system/Observation.c" in refused.headers["www-authenticate"]


def test_an_update_can_neither_reach_out_nor_carry_out(sandbox: Sandbox, partner: httpx.Client) -> None:
    women = sandbox.partner("system/Patient.cru?gender=female")
    woman = partner.post("Patient", json={"resourceType": "Patient", "gender": "female"}).json()
    man = partner.post("Patient", json={"resourceType": "Patient", "gender": "male"}).json()
    assert women.put(f"Patient/{woman['id']}", json=woman | {"active": True}).status_code == 200
    assert women.put(f"Patient/{woman['id']}", json=woman | {"gender": "male"}).status_code == 403
    assert women.put(f"Patient/{man['id']}", json=man | {"gender": "female"}).status_code == 404
    assert women.put(f"Patient/{man['id']}", json=man).status_code == 404
    assert partner.get(f"Patient/{man['id']}").headers["etag"] == 'W/"1"'
    assert partner.get(f"Patient/{woman['id']}").headers["etag"] == 'W/"2"'


def test_history_shows_only_the_versions_inside(sandbox: Sandbox, partner: httpx.Client) -> None:
    person = partner.post("Patient", json={"resourceType": "Patient", "gender": "male"}).json()
    place = f"Patient/{person['id']}"
    partner.put(place, json=person | {"gender": "female"})
    women = sandbox.partner("system/Patient.rs?gender=female")
    versions = women.get(f"{place}/_history").json()["entry"]
    assert [entry["resource"]["meta"]["versionId"] for entry in versions] == ["2"]
    assert women.get(f"{place}/_history/1").status_code == 404


def test_several_constraints_open_what_any_of_them_opens(sandbox: Sandbox, lab: str, vital: str) -> None:
    both = f"system/Observation.rs{ONLY_LAB} system/Observation.rs?category={CATEGORY}|vital-signs"
    found = sandbox.partner(both).get("Observation", params={"_id": f"{lab},{vital}"}).json()
    assert found["total"] == 2
    split = sandbox.partner(f"system/Observation.r{ONLY_LAB} system/Observation.s?category={CATEGORY}|vital-signs")
    assert split.get(f"Observation/{lab}").status_code == 200
    assert split.get(f"Observation/{vital}").status_code == 404
    assert split.get("Observation", params={"_id": lab}).json()["total"] == 0


async def delete(sandbox: Sandbox, *ids: str) -> None:
    """Delete as the operator's own hand would: partners cannot."""
    async with open_storage(f"sqlite:///{sandbox.folder}/toro.db") as storage:
        await storage.commit([Write(key=Key("Observation", one), body=None) for one in ids])


def test_what_was_deleted_is_gone_inside_the_grant_and_unknown_outside(
    sandbox: Sandbox, partner: httpx.Client, laboratory: httpx.Client
) -> None:
    ids = {
        name: partner.post("Observation", json=observation(name)).json()["id"] for name in ("laboratory", "vital-signs")
    }
    asyncio.run(delete(sandbox, *ids.values()))
    for name, one in ids.items():
        gone = partner.get(f"Observation/{one}")
        assert (gone.status_code, gone.json()["issue"][0]["code"]) == (410, "deleted")
        assert partner.get(f"Observation/{one}/_history/1").json()["id"] == one
        assert partner.get(f"Observation/{one}/_history/2").status_code == 410
        versions = partner.get(f"Observation/{one}/_history").json()["entry"]
        assert [entry["request"]["method"] for entry in versions] == ["DELETE", "POST"]
        assert "resource" not in versions[0]
        assert partner.get("Observation", params={"_id": one}).json()["total"] == 0
        assert laboratory.get(f"Observation/{one}").status_code == (410 if name == "laboratory" else 404)
    nobody = sandbox.partner("system/Patient.rs")
    assert nobody.get(f"Observation/{ids['laboratory']}").status_code == 403
