from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from toro_core.settings import Settings, SettingsError
from toro_core.v1 import (
    CreateResourceResponse,
    GetCapabilitiesResponse,
    GetResourceResponse,
    Interaction,
    ListVersionsResponse,
    PatchResourceResponse,
    Resource,
    SearchResourcesResponse,
    UpdateResourceResponse,
)
from toro_facade.policy import CODES, PUBLISHED, SUPPORTING, published_table, running_policy

_FULL, _CREATED, _READ = (
    frozenset({"read", "search", "create", "update"}),
    frozenset({"read", "search", "create"}),
    frozenset({"read", "search"}),
)
_PROMISED = {
    "Patient": _FULL,
    "Encounter": _FULL,
    "Condition": _FULL,
    "Appointment": _FULL,
    "Observation": _CREATED,
    "MedicationRequest": _CREATED,
    "AllergyIntolerance": _CREATED,
    "Immunization": _CREATED,
    "DocumentReference": _CREATED,
    "ServiceRequest": _CREATED,
    "DiagnosticReport": _CREATED,
    "Practitioner": _READ,
    "MedicationStatement": _READ,
    "Account": _READ,
    "Coverage": _READ,
}
_CALLS: dict[str, list[tuple[str, str | None]]] = {
    "read": [("GET", ""), ("GET", "/_history"), ("GET", "/_history/1")],
    "search": [("GET", None), ("POST", "_search")],
    "create": [("POST", None)],
    "update": [("PUT", ""), ("PATCH", ""), ("PUT", "?_id=1"), ("PATCH", "?_id=1")],
}


def test_what_is_published_is_the_promised_table_and_nothing_else() -> None:
    assert {name: set(row.grants) for row in PUBLISHED for name in row.types} == _PROMISED


def test_supporting_types_are_read_and_searched_and_are_not_published_ones() -> None:
    assert set(SUPPORTING.grants) == {"read", "search"}
    assert not set(SUPPORTING.types) & set(_PROMISED)
    assert len(SUPPORTING.types) == 17


def test_the_documented_table_names_every_type_once() -> None:
    for name in (*_PROMISED, *SUPPORTING.types):
        assert (
            sum(name in line.replace("|", ",").replace(" ", "").split(",") for line in published_table().splitlines())
            == 1
        )


def test_the_documentation_holds_the_table_as_it_is() -> None:
    page = Path(__file__).parents[2] / "docs" / "rest.md"
    assert published_table() in page.read_text("utf-8")


def test_without_supporting_types_exactly_the_fifteen_are_live(capabilities: GetCapabilitiesResponse) -> None:
    policy = running_policy(Settings(supporting=False), capabilities)
    assert {name: set(codes) for name, codes in policy.types.items()} == {
        name: {code for grant in grants for code in CODES[grant]}  # type: ignore[index]
        for name, grants in _PROMISED.items()
    }


def test_full_exposes_all_the_core_can_do_and_nothing_more(capabilities: GetCapabilitiesResponse) -> None:
    del capabilities.types[0].interactions[:]
    capabilities.types[1].interactions[:] = [Interaction.INTERACTION_READ]
    policy = running_policy(Settings(expose="full"), capabilities)
    assert capabilities.types[0].resource_type not in policy.types
    assert policy.types[capabilities.types[1].resource_type] == ("read",)
    assert "update" in policy.types["Basic"]


async def test_histories_of_types_and_of_all_are_there_where_everything_is_exposed(
    make_client: Callable[[Settings], httpx.AsyncClient], transport: Any, capabilities: GetCapabilitiesResponse
) -> None:
    transport.answers["ListVersions"] = ListVersionsResponse()
    for able in (True, False):
        if not able:
            del capabilities.interactions[2:]
            for known in capabilities.types:
                known.interactions.remove(Interaction.INTERACTION_HISTORY_TYPE)
        async with make_client(Settings(expose="full")) as client:
            rest = (await client.get("/fhir/metadata")).json()["rest"][0]
            assert ({"code": "history-system"} in rest["interaction"]) == able
            assert all(({"code": "history-type"} in one["interaction"]) == able for one in rest["resource"])
            for path in ("/fhir/_history", "/fhir/Patient/_history"):
                assert (await client.get(path)).status_code == (200 if able else 405)


def test_what_the_core_cannot_do_is_not_exposed(capabilities: GetCapabilitiesResponse) -> None:
    patient = next(known for known in capabilities.types if known.resource_type == "Patient")
    patient.interactions[:] = [Interaction.INTERACTION_READ, Interaction.INTERACTION_UPDATE]
    assert running_policy(Settings(), capabilities).types["Patient"] == ("read", "update")


def test_an_operation_nobody_knows_is_an_error_in_the_settings(capabilities: GetCapabilitiesResponse) -> None:
    with pytest.raises(SettingsError, match=r"nothing"):
        running_policy(Settings(operations=("$nothing",)), capabilities)


@pytest.mark.parametrize("supporting", [True, False])
async def test_every_cell_of_the_table_holds_over_http_in_both_directions(
    supporting: bool,
    make_client: Callable[[Settings], httpx.AsyncClient],
    transport: Any,
    capabilities: GetCapabilitiesResponse,
) -> None:
    resource = Resource(name="Patient/1", etag='W/"1"', json=b"{}")
    transport.answers.update(
        GetResource=GetResourceResponse(resource=resource),
        ListVersions=ListVersionsResponse(versions=[resource]),
        SearchResources=SearchResourcesResponse(),
        CreateResource=CreateResourceResponse(resource=resource),
        UpdateResource=UpdateResourceResponse(resource=resource),
        PatchResource=PatchResourceResponse(resource=resource),
    )
    expected = dict(_PROMISED)
    if supporting:
        expected |= dict.fromkeys(SUPPORTING.types, _READ)
    async with make_client(Settings(supporting=supporting)) as client:
        statement = (await client.get("/fhir/metadata")).json()
        said = {r["type"]: {i["code"] for i in r["interaction"]} for r in statement["rest"][0]["resource"]}
        for known, (grant, calls) in itertools.product(capabilities.types, _CALLS.items()):
            name = known.resource_type
            for method, rest in calls:
                path = f"/fhir/{name}" + (
                    f"/{rest}" if rest == "_search" else rest or "" if rest is None or rest[:1] == "?" else f"/1{rest}"
                )
                content = b"{}" if grant in ("create", "update") else b""
                fhir = {"accept": "application/fhir+json"}
                answer = await client.request(method, path, content=content, headers=fhir)
                if name not in expected:
                    assert answer.status_code == 404, (method, path)
                    assert name not in said
                elif grant in expected[name]:
                    assert answer.status_code in (200, 201), (method, path)
                    assert set(CODES[grant]) <= said[name]  # type: ignore[index]
                else:
                    assert answer.status_code == 405, (method, path)
                    assert answer.json()["resourceType"] == "OperationOutcome"
                    assert method not in answer.headers["allow"].split(", ")
                    assert not set(CODES[grant]) & said[name]  # type: ignore[index]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/fhir/Patient/1", "GET, HEAD, PATCH, PUT"),
        ("DELETE", "/fhir/Patient?_id=1", "GET, HEAD, PATCH, POST, PUT"),
        ("PATCH", "/fhir/Observation/1", "GET, HEAD"),
        ("PUT", "/fhir/Observation?_id=1", "GET, HEAD, POST"),
        ("GET", "/fhir/Patient/_history", ""),
        ("GET", "/fhir/_history", ""),
        ("GET", "/fhir/Patient/_search", "POST"),
        ("PUT", "/fhir", "GET, HEAD, POST"),
        ("GET", "/fhir/_search", "POST"),
        ("POST", "/fhir/Patient/1/Observation", "GET, HEAD"),
        ("OPTIONS", "/fhir/metadata", "GET, HEAD"),
        ("GET", "/auth/token", "POST"),
        ("BREW", "/fhir/Patient/1", "GET, HEAD, PATCH, PUT"),
    ],
)
async def test_what_is_off_answers_405_with_what_is_allowed(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.json()["issue"][0]["code"] == "not-supported"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/fhir/Nothing",
        "/fhir/Basic/1",
        "/fhir/patient/1",
        "/fhir/$export",
        "/fhir/Patient/$export",
        "/fhir/$export/1",
        "/fhir/Patient/1/$nothing",
        "/fhir/Patient/1/Basic",
        "/fhir/Encounter/1/Observation",
        "/fhir/Patient/1/_history/1/x",
    ],
)
async def test_what_is_not_there_answers_404_with_an_outcome(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
