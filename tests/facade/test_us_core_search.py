"""The search part of the US Core server checklist, line by line, over HTTP.

Values are taken from the resources themselves, and what comes back is judged by plain look-ups in its JSON, not by the server's
own index.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from toro_core.assembly import service_on
from toro_core.auth.clients import Clients
from toro_core.auth.signer import ASSERTION_TYPE, new_client_key, read_private_key, sign_assertion
from toro_core.definitions import load
from toro_core.json import loads
from toro_core.local import LocalTransport
from toro_core.plugins import open_storage
from toro_core.resources import body
from toro_core.search.extract import Extractor
from toro_core.settings import Settings
from toro_core.storage import Key, Storage, Write
from toro_core.synthetic import generate
from toro_core.testing.memory import MemoryStorage
from toro_core.v1 import Core, GetCapabilitiesRequest
from toro_facade.app import create_app

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = Settings(base_url="https://fhir.example.org")
BASE = "https://fhir.example.org/fhir"

# Searches that US Core 6.1.0 demands or recommends, `patient` among them unless the type is Patient.
SEARCHES = [
    "Patient _id",
    "Patient identifier",
    "Patient name",
    "Patient birthdate name",
    "Patient gender name",
    "Patient birthdate family",
    "Patient family gender",
    "Encounter patient",
    "Encounter patient date",
    "Encounter patient class",
    "Encounter patient status",
    "Encounter patient type",
    "Encounter patient location",
    "Encounter patient discharge-disposition",
    "Encounter identifier",
    "Observation patient category",
    "Observation patient category date",
    "Observation patient code",
    "Observation patient category status",
    "Observation patient code date",
    "Condition patient",
    "Condition patient category",
    "Condition patient clinical-status",
    "Condition patient onset-date",
    "Condition patient recorded-date",
    "Condition patient asserted-date",
    "Condition patient code",
    "MedicationRequest patient intent",
    "MedicationRequest patient intent status",
    "MedicationRequest patient intent authoredon",
    "MedicationRequest patient intent encounter",
    "AllergyIntolerance patient",
    "AllergyIntolerance patient clinical-status",
    "Immunization patient",
    "Immunization patient status",
    "Immunization patient date",
    "DocumentReference _id",
    "DocumentReference patient",
    "DocumentReference patient category",
    "DocumentReference patient category date",
    "DocumentReference patient type",
    "DocumentReference patient status",
    "DocumentReference patient type period",
    "Coverage patient",
    "ServiceRequest _id",
    "ServiceRequest patient",
    "ServiceRequest patient category",
    "ServiceRequest patient category authored",
    "ServiceRequest patient code",
    "ServiceRequest patient code authored",
    "ServiceRequest patient status",
    "DiagnosticReport patient",
    "DiagnosticReport patient category",
    "DiagnosticReport patient category date",
    "DiagnosticReport patient code",
    "DiagnosticReport patient code date",
    "DiagnosticReport patient status",
    "Practitioner name",
    "Practitioner identifier",
    "Organization name",
    "Organization address",
    "PractitionerRole practitioner",
    "PractitionerRole specialty",
    "CarePlan patient category",
    "CareTeam patient status",
    "CareTeam patient role",
    "Goal patient",
    "Goal patient lifecycle-status",
    "RelatedPerson patient",
    "RelatedPerson patient name",
    "Specimen patient",
    "Appointment patient date",
]
# Where a parameter looks, by type or for all; a bare name is both the parameter and the element.
PATHS: dict[str, str] = {
    "_id": "id",
    "Appointment date": "start",
    "Appointment patient": "participant.actor",
    "AllergyIntolerance patient": "patient",
    "CareTeam role": "participant.role",
    "Condition asserted-date": "extension=http://hl7.org/fhir/StructureDefinition/condition-assertedDate",
    "Condition onset-date": "onsetDateTime onsetPeriod",
    "Condition recorded-date": "recordedDate",
    "Coverage patient": "beneficiary",
    "DiagnosticReport date": "effectiveDateTime effectivePeriod",
    "DocumentReference date": "date",
    "DocumentReference period": "context.period",
    "Encounter date": "period",
    "Encounter discharge-disposition": "hospitalization.dischargeDisposition",
    "Encounter location": "location.location",
    "Immunization date": "occurrenceDateTime",
    "Immunization patient": "patient",
    "MedicationRequest authoredon": "authoredOn",
    "Observation date": "effectiveDateTime effectivePeriod",
    "RelatedPerson patient": "patient",
    "ServiceRequest authored": "authoredOn",
    "authored": "authoredOn",
    "birthdate": "birthDate",
    "clinical-status": "clinicalStatus",
    "family": "name.family",
    "lifecycle-status": "lifecycleStatus",
    "patient": "subject",
}
PROVENANCED = [
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Coverage",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Goal",
    "Immunization",
    "MedicationRequest",
    "Observation",
    "Patient",
    "RelatedPerson",
    "ServiceRequest",
]
COMPARED = [
    "Encounter date",
    "Observation date",
    "Condition onset-date",
    "Condition recorded-date",
    "DiagnosticReport date",
]


@dataclass
class Server:
    """A facade with synthetic patients behind it, and what they are."""

    http: httpx.AsyncClient
    resources: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def of(self, resource_type: str) -> list[dict[str, Any]]:
        return self.resources.get(resource_type, [])

    @property
    def patients(self) -> list[str]:
        return [patient["id"] for patient in self.of("Patient")]

    async def bundle(self, query: str, **parameters: str) -> dict[str, Any]:
        answer = await self.http.get(f"/fhir/{query}", params=parameters or None)
        assert answer.status_code == 200, answer.text
        bundle: dict[str, Any] = answer.json()
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
        return bundle

    async def entries(self, query: str, **parameters: str) -> list[dict[str, Any]]:
        """Follow the next links, twenty pages at most, as the test kit does."""
        bundle = await self.bundle(query, **parameters)
        found = list(bundle.get("entry", ()))
        for _ in range(20):
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            if not following:
                return found
            assert following[0].startswith(BASE)
            bundle = (await self.http.get(following[0])).json()
            found += bundle.get("entry", ())
        raise AssertionError("more than twenty pages")

    async def matches(self, query: str, **parameters: str) -> list[dict[str, Any]]:
        entries = await self.entries(query, **parameters)
        return [entry["resource"] for entry in entries if entry["search"]["mode"] == "match"]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "sqlite"])
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    if request.param == "memory":
        async for server in _serving(MemoryStorage()):
            yield server
    else:
        async with open_storage(f"sqlite:///{tmp_path_factory.mktemp('us-core')}/toro.db") as storage:
            async for server in _serving(storage):
                yield server


async def _serving(storage: Storage) -> AsyncIterator[Server]:
    private, public = new_client_key()
    scope = "system/*.rs"
    jwks = json.dumps({"keys": [public]}).encode()
    await Clients(storage).add(name="Kit", scopes=(scope,), jwks=jwks, client_id="kit")
    resources = [json.loads(json.dumps(resource)) for resource in generate(3)]
    extractor = Extractor(load(), SETTINGS.own_bases())
    for resource in resources:
        parsed = loads(json.dumps(resource).encode())
        key = Key(resource["resourceType"], resource["id"])
        await storage.commit([Write(key=key, body=body(parsed, key.id), rows=extractor.rows(parsed))])
    core = Core(LocalTransport(service_on(storage, SETTINGS)))
    app = create_app(core, SETTINGS, await core.GetCapabilities(GetCapabilitiesRequest()))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://fhir.example.org", timeout=60) as http:
        assertion = sign_assertion(
            read_private_key(json.dumps(private).encode()), client_id="kit", token_url=SETTINGS.token_url()
        )
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            "scope": scope,
        }
        answer = await http.post("/auth/token", data=form)
        http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        server = Server(http)
        for resource in resources:
            server.resources.setdefault(resource["resourceType"], []).append(resource)
        yield server


def values_at(resource: Any, path: str) -> Iterator[Any]:
    for one in path.split(" "):
        if one.startswith("extension="):
            extensions = resource.get("extension", ())
            yield from (e["valueDateTime"] for e in extensions if e["url"] == one.removeprefix("extension="))
        else:
            yield from _stepped(resource, one.split("."))


def _stepped(value: Any, steps: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _stepped(one, steps)
    elif not steps:
        yield value
    elif steps[0] in value:
        yield from _stepped(value[steps[0]], steps[1:])


def path_of(resource_type: str, code: str) -> str:
    return PATHS.get(f"{resource_type} {code}") or PATHS.get(code, code)


def texts(value: Any) -> list[str]:
    """Return what a search for the value may say, the most exact first."""
    if isinstance(value, str):
        return [value]
    if "coding" in value:
        return [text for coding in value["coding"] for text in texts(coding)]
    if "reference" in value:
        return [value["reference"]]
    if "start" in value or "end" in value:
        return []
    if "family" in value or "line" in value or "city" in value:
        parts = [value.get("family"), value.get("text"), *value.get("given", ()), value.get("city"), value.get("state")]
        return [part for part in parts if part]
    system, code = value.get("system", ""), value.get("code") or value.get("value", "")
    return [f"{system}|{code}", code] if system else [code]


def spans(value: Any) -> tuple[str, str]:
    """Return the first and the last instant of a date or Period as texts to compare day by day."""
    if isinstance(value, str):
        return value[:10], value[:10]
    return value.get("start", "0000")[:10], value.get("end", "9999")[:10]


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,")


def is_date(code: str) -> bool:
    return "date" in code or code in {"authored", "authoredon", "period"}


def day(text: str, days: int = 0) -> str:
    return (datetime.fromisoformat(text[:10]) + timedelta(days=days)).strftime("%Y-%m-%d")


def query_value(code: str, value: Any) -> str:
    if code == "birthdate":
        return str(value)
    if is_date(code):
        return f"gt{day(spans(value)[0], -1)}"
    found = texts(value)
    return escaped(found[0]) if found else ""


def holds(code: str, asked: str, value: Any) -> bool:
    """Judge one value of a resource by what was asked."""
    if code != "birthdate" and is_date(code):
        return spans(value)[1] > asked[2:]
    wanted = asked.replace("\\,", ",").casefold()
    if code in {"name", "family", "address"}:
        return any(text.casefold().startswith(wanted) for text in _parts(value))
    return any(text.casefold() == wanted for text in texts(value))


def _parts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _parts(inner)
    else:
        for inner in value:
            yield from _parts(inner)


@pytest.mark.parametrize("search", SEARCHES)
async def test_every_search_of_the_guide_finds_all_that_has_its_values_and_nothing_else(
    search: str, server: Server
) -> None:
    resource_type, *codes = search.split()
    asked: dict[str, str] = {}
    for resource in server.of(resource_type):
        parameters = {}
        for code in codes:
            found = [
                text
                for value in values_at(resource, path_of(resource_type, code))
                if (text := query_value(code, value))
            ]
            if code == "patient":
                found = [text for text in found if text.startswith("Patient/")]
            if found:
                parameters[code] = found[0]
        if len(parameters) == len(codes):
            asked = parameters
            break
    if not asked:
        pytest.skip(f"no synthetic {resource_type} has {' and '.join(codes)}")
    found_ids = set()
    for match in await server.matches(resource_type, **asked):
        assert match["resourceType"] == resource_type
        found_ids.add(match["id"])
    expected = {
        resource["id"]
        for resource in server.of(resource_type)
        if all(
            any(holds(code, text, value) for value in values_at(resource, path_of(resource_type, code)))
            for code, text in asked.items()
        )
    }
    assert expected
    assert found_ids == expected, asked


@pytest.mark.parametrize("resource_type", sorted({search.split()[0] for search in SEARCHES if " patient" in search}))
async def test_a_patient_is_named_by_id_or_by_reference_by_get_or_by_post(resource_type: str, server: Server) -> None:
    for patient in server.patients:
        answers = [
            await server.bundle(resource_type, patient=patient),
            await server.bundle(resource_type, patient=f"Patient/{patient}"),
            (await server.http.post(f"/fhir/{resource_type}/_search", data={"patient": patient})).json(),
        ]
        names = [[entry["fullUrl"] for entry in bundle.get("entry", ())] for bundle in answers]
        assert names[0] == names[1] == names[2]
        assert len({bundle.get("total") for bundle in answers}) == 1


@pytest.mark.parametrize("resource_type", PROVENANCED)
async def test_provenance_comes_along_where_the_guide_demands_it(resource_type: str, server: Server) -> None:
    parameters = {"_id": server.patients[0]} if resource_type == "Patient" else {"patient": server.patients[0]}
    entries = await server.entries(resource_type, **parameters, _revinclude="Provenance:target")
    matched = {f"{resource_type}/{entry['resource']['id']}" for entry in entries if entry["search"]["mode"] == "match"}
    included = [entry["resource"] for entry in entries if entry["search"]["mode"] == "include"]
    expected = {
        provenance["id"]
        for provenance in server.of("Provenance")
        if any(target["reference"] in matched for target in provenance["target"])
    }
    assert expected
    assert {provenance["id"] for provenance in included} == expected
    assert all(provenance["resourceType"] == "Provenance" for provenance in included)


async def test_a_medication_that_is_referred_to_comes_along(server: Server) -> None:
    found = 0
    for patient in server.patients:
        entries = await server.entries(
            "MedicationRequest", patient=patient, intent="order", _include="MedicationRequest:medication"
        )
        matches = [entry["resource"] for entry in entries if entry["search"]["mode"] == "match"]
        included = [entry["resource"] for entry in entries if entry["search"]["mode"] == "include"]
        wanted = {match.get("medicationReference", {}).get("reference") for match in matches} - {None}
        assert {f"Medication/{medication['id']}" for medication in included} == wanted
        found += len(included)
    assert found


@pytest.mark.parametrize("compared", COMPARED)
@pytest.mark.parametrize("prefix", ["gt", "ge", "lt", "le"])
async def test_dates_compare_to_the_second_with_an_offset(compared: str, prefix: str, server: Server) -> None:
    resource_type, code = compared.split()
    path = path_of(resource_type, code)
    checked = 0
    for resource in server.of(resource_type):
        for value in values_at(resource, path):
            start, end = spans(value)
            near = day(start, -1) if prefix.startswith("g") else day(min(end, "2100-01-01"), 1)
            patient = next(values_at(resource, path_of(resource_type, "patient")))["reference"]
            found = await server.matches(resource_type, patient=patient, **{code: f"{prefix}{near}T00:00:00-05:00"})
            assert resource["id"] in {match["id"] for match in found}
            for match in found:
                bounds = [spans(one) for one in values_at(match, path)]
                if prefix.startswith("g"):
                    assert any(last >= near for _, last in bounds)
                else:
                    assert any(first <= near for first, _ in bounds)
            checked += 1
        if checked >= 3:
            return
    assert checked, f"no synthetic {compared}"


@pytest.mark.parametrize(
    "resource_type",
    ["CarePlan", "DiagnosticReport", "DocumentReference", "MedicationRequest", "Observation", "ServiceRequest"],
)
async def test_a_list_of_statuses_finds_every_one_and_a_search_without_status_as_many(
    resource_type: str, server: Server
) -> None:
    for patient in server.patients:
        everything = await server.matches(resource_type, patient=patient)
        statuses = sorted({match["status"] for match in everything})
        if not statuses:
            continue
        listed = await server.matches(resource_type, patient=patient, status=",".join(statuses))
        assert {match["id"] for match in listed} == {match["id"] for match in everything}
        for status in statuses:
            alone = await server.matches(resource_type, patient=patient, status=status)
            assert {match["id"] for match in alone} == {m["id"] for m in everything if m["status"] == status}


async def test_a_status_that_does_not_exist_is_named_beside_the_matches(server: Server) -> None:
    bundle = await server.bundle("Observation", patient=server.patients[0], status="final,unheard-of")
    modes = [entry["search"]["mode"] for entry in bundle["entry"]]
    assert modes.count("outcome") == 1
    assert "match" in modes
    (outcome,) = (entry["resource"] for entry in bundle["entry"] if entry["search"]["mode"] == "outcome")
    assert outcome["issue"][0]["severity"] == "warning"


async def test_commas_are_alternatives_and_repetitions_add_up(server: Server) -> None:
    patient = server.patients[0]
    codes = sorted({text for o in server.of("Observation") for text in texts(o["code"])[:1]})[:2]
    both = await server.matches("Observation", patient=patient, code=",".join(codes))
    single = [await server.matches("Observation", patient=patient, code=code) for code in codes]
    assert {match["id"] for match in both} == {match["id"] for found in single for match in found}
    answer = await server.http.get(f"/fhir/Observation?patient={patient}&date=ge2024-01-01&date=lt2024-07-01")
    ids = {entry["resource"]["id"] for entry in answer.json().get("entry", ())}
    expected = {
        o["id"]
        for o in server.of("Observation")
        if o["subject"]["reference"] == f"Patient/{patient}"
        and any(spans(v)[0] >= "2024-01-01" and spans(v)[1] < "2024-07-01" for v in values_at(o, "effectiveDateTime"))
    }
    assert expected
    assert ids >= expected


async def test_chains_that_the_guide_demands(server: Server) -> None:
    role = server.of("PractitionerRole")[0]
    practitioner = next(
        p for p in server.of("Practitioner") if f"Practitioner/{p['id']}" == role["practitioner"]["reference"]
    )
    for asked in (
        {"practitioner.name": practitioner["name"][0]["family"]},
        {"practitioner.identifier": texts(practitioner["identifier"][0])[0]},
    ):
        assert role["id"] in {match["id"] for match in await server.matches("PractitionerRole", **asked)}
    entries = await server.entries("PractitionerRole", _id=role["id"], _include="PractitionerRole:practitioner")
    assert [entry["resource"]["id"] for entry in entries] == [role["id"], practitioner["id"]]


@pytest.mark.parametrize("target", ["Practitioner", "Patient", "RelatedPerson", "PractitionerRole"])
async def test_members_of_a_care_team_come_along_by_type(target: str, server: Server) -> None:
    entries = await server.entries("CareTeam", _include=f"CareTeam:participant:{target}")
    included = {entry["resource"]["id"] for entry in entries if entry["search"]["mode"] == "include"}
    names = {
        reference["reference"] for team in server.of("CareTeam") for reference in values_at(team, "participant.member")
    }
    assert included == {name.partition("/")[2] for name in names if name.startswith(f"{target}/")}


@pytest.mark.parametrize("code", ["race", "ethnicity"])
async def test_the_guides_own_parameters_search_extensions(code: str, server: Server) -> None:
    url = f"http://hl7.org/fhir/us/core/StructureDefinition/us-core-{code}"
    by_code: dict[str, set[str]] = {}
    for patient in server.of("Patient"):
        for extension in patient.get("extension", ()):
            for part in extension.get("extension", ()) if extension["url"] == url else ():
                if "valueCoding" in part:
                    by_code.setdefault(texts(part["valueCoding"])[0], set()).add(patient["id"])
    assert by_code
    for asked, ids in by_code.items():
        assert {match["id"] for match in await server.matches("Patient", **{code: asked})} == ids


async def test_unknown_parameters_are_refused_or_on_request_ignored_and_said(server: Server) -> None:
    for prefer, status in (("", 400), ("handling=strict", 400), ("handling=lenient", 200)):
        answer = await server.http.get("/fhir/Patient?foo=1", headers={"prefer": prefer})
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["resourceType"] == "OperationOutcome"
        else:
            assert answer.json()["entry"][-1]["search"]["mode"] == "outcome"
            (self_link,) = (link["url"] for link in answer.json()["link"] if link["relation"] == "self")
            assert "foo" not in self_link


async def test_pages_are_walked_by_absolute_links_each_resource_once(server: Server) -> None:
    everything = await server.matches("Observation", patient=server.patients[0])
    paged = await server.matches("Observation", patient=server.patients[0], _count="7")
    assert [match["id"] for match in paged] == [match["id"] for match in everything]
    bundle = await server.bundle("Observation", patient=server.patients[0], _count="7")
    links = {link["relation"]: link["url"] for link in bundle["link"]}
    assert set(links) == {"self", "first", "next"}
    assert parse_qs(urlsplit(links["first"]).query) == {"patient": [server.patients[0]], "_count": ["7"]}
    assert list(parse_qs(urlsplit(links["next"]).query)) == ["_page"]


async def test_results_are_shaped_as_asked(server: Server) -> None:
    patient = server.patients[0]
    counted = await server.bundle("Observation", patient=patient, _summary="count")
    assert "entry" not in counted
    assert counted["total"] == len(await server.matches("Observation", patient=patient))
    (shown,) = await server.matches("Patient", _id=patient, _elements="gender")
    assert set(shown) == {"resourceType", "id", "meta", "gender", "active"}
    assert shown["meta"]["tag"][-1]["code"] == "SUBSETTED"
    ordered = await server.matches("Patient", _sort="-birthdate")
    births = [match["birthDate"] for match in ordered]
    assert births == sorted(births, reverse=True)
    missing = await server.matches("Patient", **{"death-date:missing": "true"})
    assert {match["id"] for match in missing} == {p["id"] for p in server.of("Patient") if "deceasedDateTime" not in p}
    excluded = await server.matches("Patient", **{"gender:not": "male"})
    assert {match["id"] for match in excluded} == {p["id"] for p in server.of("Patient") if p["gender"] != "male"}


async def test_a_patients_compartment_is_searched_by_its_path(server: Server) -> None:
    patient = server.patients[0]
    by_path = await server.matches(f"Patient/{patient}/Condition")
    assert {match["id"] for match in by_path} == {
        condition["id"]
        for condition in server.of("Condition")
        if condition["subject"]["reference"] == f"Patient/{patient}"
    }
    everything = await server.matches(f"Patient/{patient}/*", _count="100")
    assert {match["resourceType"] for match in everything} >= {"Patient", "Condition", "Observation", "Encounter"}
    assert len({(match["resourceType"], match["id"]) for match in everything}) == len(everything)
    several = await server.matches("", _type="Patient,Practitioner", _count="3")
    assert len(several) == len(server.of("Patient")) + len(server.of("Practitioner"))


async def test_nobody_searches_without_a_token(server: Server) -> None:
    for path in ("/fhir/Patient", "/fhir?_type=Patient", f"/fhir/Patient/{server.patients[0]}/*"):
        answer = await server.http.get(path, headers={"authorization": ""})
        assert answer.status_code == 401


async def test_the_statement_names_what_can_be_searched_and_included(server: Server) -> None:
    statement = (await server.http.get("/fhir/metadata")).json()
    resources = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    for search in SEARCHES:
        resource_type, *codes = search.split()
        assert set(codes) <= {parameter["name"] for parameter in resources[resource_type]["searchParam"]}, search
    for resource_type in PROVENANCED:
        assert "Provenance:target" in resources[resource_type]["searchRevInclude"]
    assert "MedicationRequest:medication" in resources["MedicationRequest"]["searchInclude"]
    assert not any(value.startswith("Basic:") for value in resources["Patient"]["searchRevInclude"])
