"""The FHIR clients that Python has, as their own documentation shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fhirclient import client as fhirclient
from fhirclient.models.bundle import Bundle
from fhirclient.models.codeableconcept import CodeableConcept
from fhirclient.models.encounter import Encounter
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

EVERYTHING = "system/*.cruds"


@pytest.fixture(scope="module")
def bearer(sandbox: Sandbox) -> str:
    """What `toro token` prints, as an Authorization header."""
    return f"Bearer {sandbox.printed_token(EVERYTHING)}"


def test_fhirpy_reads_searches_creates_and_updates(
    sandbox: Sandbox, bearer: str, patient: str, records: dict[str, Any]
) -> None:
    api = SyncFHIRClient(sandbox.base_url, authorization=bearer)
    read = api.reference("Patient", patient).to_resource()
    assert read["name"][0]["family"] == records[f"Patient/{patient}"]["name"][0]["family"]

    pages = api.resources("Encounter").search(patient=patient).limit(2)
    visits = [encounter["id"] for encounter in pages.fetch_all()]
    assert len(visits) == len(set(visits)) > 2

    created = api.resource("Patient", name=[{"family": "Fhirpy"}], gender="unknown")
    created.save()
    assert created["meta"]["versionId"] == "1"
    created["gender"] = "other"
    created.save()
    again = api.reference("Patient", created["id"]).to_resource()
    assert (again["gender"], again["meta"]["versionId"]) == ("other", "2")
    found = api.resources("Patient").search(family="Fhirpy").fetch()
    assert [patient["id"] for patient in found] == [created["id"]]


def test_fhirpy_counts_where_it_lets_the_server_ignore_what_another_server_calls_it(
    sandbox: Sandbox, bearer: str, patient: str
) -> None:
    lenient = {"Prefer": "handling=lenient"}
    api = SyncFHIRClient(sandbox.base_url, authorization=bearer, extra_headers=lenient)
    search = api.resources("Encounter").search(patient=patient)
    assert search.count() == len(search.fetch_all()) > 2


def test_fhirpy_is_told_what_was_wrong_in_its_own_exceptions(sandbox: Sandbox, bearer: str) -> None:
    api = SyncFHIRClient(sandbox.base_url, authorization=bearer)
    with pytest.raises(ResourceNotFound):
        api.reference("Patient", "nobody").to_resource()
    with pytest.raises(OperationOutcome) as refused:
        api.resource("Patient", gender="none").save()
    assert refused.value.resource["issue"][0]["expression"] == ["Patient.gender"]


async def test_fhirpy_does_the_same_asynchronously(sandbox: Sandbox, bearer: str, patient: str) -> None:
    api = AsyncFHIRClient(sandbox.base_url, authorization=bearer)
    read = await api.reference("Patient", patient).to_resource()
    assert read["id"] == patient
    everything = await api.resources("Encounter").search(patient=patient).limit(3).fetch_all()
    assert len({encounter["id"] for encounter in everything}) == len(everything) > 3


@pytest.fixture
def smart(sandbox: Sandbox) -> Any:
    """A client that finds the token URL in the CapabilityStatement and exchanges its assertion there."""
    settings = {
        "app_id": sandbox.client_id,
        "api_base": sandbox.base_url,
        "scope": EVERYTHING,
        "jwt_token": sandbox.assertion(),
    }
    client = fhirclient.FHIRClient(settings=settings)
    client.wants_patient = False
    assert not client.prepare()
    client.authorize()
    assert client.ready
    yield client
    client.server.session.close()


def test_fhirclient_reads_searches_creates_and_updates(smart: Any, patient: str, records: dict[str, Any]) -> None:
    read = Patient.read(patient, smart.server)
    assert read.name[0].family == records[f"Patient/{patient}"]["name"][0]["family"]

    search = Encounter.where(struct={"patient": patient, "_count": "2"})
    found = [encounter.id for encounter in search.perform_resources_iter(smart.server)]
    first = next(search.perform_iter(smart.server))
    assert len(found) == len(set(found)) == first.total > len(first.entry) == 2

    observation = Observation()
    observation.status = "final"
    observation.code = CodeableConcept({"coding": [{"system": "http://loinc.org", "code": "8867-4"}]})
    observation.subject = FHIRReference({"reference": f"Patient/{patient}"})
    stored = Observation(observation.create(smart.server))
    assert Observation.read(stored.id, smart.server).as_json() == stored.as_json()

    visit = Encounter.read(found[0], smart.server)
    visit.id = None
    visit = Encounter(visit.create(smart.server))
    visit.status = "entered-in-error"
    assert Encounter(visit.update(smart.server)).meta.versionId == "2"
    assert Encounter.read(visit.id, smart.server).status == "entered-in-error"
    assert Encounter.read(found[0], smart.server).status != "entered-in-error"


def test_fhirclient_can_parse_every_page_strictly(smart: Any) -> None:
    for resource_type in ("Patient", "Practitioner", "Condition", "DocumentReference", "Account", "Coverage"):
        page = smart.server.request_json(f"{resource_type}?_count=20")
        assert Bundle(page).entry
