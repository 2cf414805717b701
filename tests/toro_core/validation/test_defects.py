"""Defects that profiles, invariants and the rules on Bundles and narrative catch, each found where it is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from toro_core.validation import Validator

Change: TypeAlias = Callable[[dict[str, Any]], Any]


def places(validator: Validator, resource: dict[str, Any]) -> set[str]:
    issues = validator.validate(resource).issues
    return {issue.expressions[0] for issue in issues if issue.severity == "error" and issue.expressions}


def drop(*path: str | int) -> Change:
    return lambda resource: _at(resource, path).pop(path[-1])


def put(value: Any, *path: str | int) -> Change:
    return lambda resource: _at(resource, path).__setitem__(path[-1], value)


def _at(resource: dict[str, Any], path: tuple[str | int, ...]) -> Any:
    node: Any = resource
    for step in path[:-1]:
        node = node[step]
    return node


RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
CHOSEN: list[tuple[str, Change, str]] = [
    # US Core demands more than R4
    ("Patient", drop("name"), "Patient.name"),
    ("Patient", drop("identifier"), "Patient.identifier"),
    ("Patient", drop("identifier", 0, "system"), "Patient.identifier[0].system"),
    ("Patient", drop("identifier", 0, "value"), "Patient.identifier[0].value"),
    ("Patient", drop("gender"), "Patient.gender"),
    ("Patient", put([{"system": "phone"}], "telecom"), "Patient.telecom[0].value"),
    ("Patient", put([{"use": "official", "text": "x"}], "name"), "Patient.name[0]"),
    ("Patient", put([{"url": RACE, "extension": [{"url": "ombCategory", "valueCode": "x"}]}], "extension"),
     "Patient.extension[0].extension[0].value"),
    ("Patient", put([{"url": RACE, "extension": [{"url": "detailed", "valueCoding": {"code": "x"}}]}], "extension"),
     "Patient.extension[0].extension[0].value"),
    ("Patient", put([{"url": RACE, "extension": [{"url": "ombCategory", "valueCoding":
        {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"}}]}], "extension"),
     "Patient.extension[0].extension"),
    ("Patient", put([{"url": RACE, "valueString": "x"}], "extension"), "Patient.extension[0].extension"),
    ("Patient", put([{"url": f"{RACE.removesuffix('race')}birthsex", "valueCode": "male"}], "extension"),
     "Patient.extension[0].value"),
    ("Patient", lambda r: r["extension"].extend(e for e in copy.deepcopy(r["extension"]) if e["url"] == RACE),
     "Patient.extension"),
    ("Patient", put([{"url": "http://example.org/unknown", "valueBoolean": True}], "modifierExtension"),
     "Patient.modifierExtension[0]"),
    ("Patient", lambda r: r["name"][0].update(extension=[{"url": RACE, "extension": [
        {"url": "text", "valueString": "x"}]}]), "Patient.name[0].extension[0]"),
    ("Patient", put([{"relationship": [{"text": "x"}]}], "contact"), "Patient.contact[0]"),
    ("Condition", drop("category"), "Condition.category"),
    ("Condition", drop("code"), "Condition.code"),
    ("Condition", put([{"text": "x"}], "category"), "Condition.category"),
    ("Condition", put({"reference": "Group/1"}, "subject"), "Condition.subject"),
    ("Condition", lambda r: r.update(abatementDateTime="2024-01-01", clinicalStatus={"coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}), "Condition"),
    ("Condition", lambda r: r.update(verificationStatus={"coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "entered-in-error"}]}),
     "Condition"),
    ("Condition", put([{"assessment": []}], "stage"), "Condition.stage[0].assessment"),
    ("Condition", put([{"type": {"text": "x"}}], "stage"), "Condition.stage[0]"),
    ("Encounter", drop("type"), "Encounter.type"),
    ("Encounter", drop("subject"), "Encounter.subject"),
    ("Encounter", put([{"system": "urn:x", "use": "usual"}], "identifier"), "Encounter.identifier[0].value"),
    ("Encounter", put({"start": "2024-01-02", "end": "2024-01-01"}, "period"), "Encounter.period"),
    ("Encounter", put({"start": "2024-01-02T10:00:00Z", "end": "2024-01-02T10:00:00+01:00"}, "period"), "Encounter.period"),
    ("Appointment", drop("start"), "Appointment"),
    ("Appointment", lambda r: (r.update(status="booked"), r.pop("start", None), r.pop("end", None)), "Appointment"),
    ("Appointment", put([{"status": "accepted"}], "participant"), "Appointment.participant[0]"),
    ("MedicationRequest", drop("requester"), "MedicationRequest"),
    ("MedicationRequest", put({"reference": "Group/1"}, "subject"), "MedicationRequest.subject"),
    ("MedicationRequest", put([{"timing": {"repeat": {"frequency": 1, "period": 1}}}], "dosageInstruction"),
     "MedicationRequest.dosageInstruction[0].timing.repeat"),
    ("MedicationRequest", put([{"timing": {"repeat": {"duration": 1}}}], "dosageInstruction"),
     "MedicationRequest.dosageInstruction[0].timing.repeat"),
    ("MedicationRequest", put([{"timing": {"repeat": {"when": ["C"], "timeOfDay": ["08:00:00"]}}}], "dosageInstruction"),
     "MedicationRequest.dosageInstruction[0].timing.repeat"),
    ("AllergyIntolerance", drop("code"), "AllergyIntolerance.code"),
    ("AllergyIntolerance", drop("clinicalStatus"), "AllergyIntolerance"),
    ("AllergyIntolerance", put([{"description": "x"}], "reaction"), "AllergyIntolerance.reaction[0].manifestation"),
    ("Immunization", drop("vaccineCode"), "Immunization.vaccineCode"),
    ("Immunization", put([{"documentType": "", "publicationDate": "2024"}], "education"),
     "Immunization.education[0].documentType"),
    ("Immunization", put([{"publicationDate": "2024"}], "education"), "Immunization.education[0]"),
    ("DocumentReference", drop("category"), "DocumentReference.category"),
    ("DocumentReference", drop("subject"), "DocumentReference.subject"),
    ("DocumentReference", drop("type"), "DocumentReference.type"),
    ("DocumentReference", put({"contentType": "text/plain"}, "content", 0, "attachment"),
     "DocumentReference.content[0].attachment"),
    ("DocumentReference", put({"data": "eA=="}, "content", 0, "attachment"),
     "DocumentReference.content[0].attachment"),
    ("DocumentReference", put("no mime type", "content", 0, "attachment", "contentType"),
     "DocumentReference.content[0].attachment.contentType"),
    ("ServiceRequest", drop("code"), "ServiceRequest.code"),
    ("ServiceRequest", lambda r: (r.pop("code"), r.update(orderDetail=[{"text": "x"}])), "ServiceRequest"),
    ("DiagnosticReport", drop("category"), "DiagnosticReport.category"),
    ("DiagnosticReport", drop("effectiveDateTime"), "DiagnosticReport"),
    ("DiagnosticReport", drop("issued"), "DiagnosticReport"),
    ("DiagnosticReport", drop("subject"), "DiagnosticReport.subject"),
    ("DiagnosticReport", put([{"text": "x"}], "category"), "DiagnosticReport.category"),
    ("Practitioner", drop("identifier"), "Practitioner.identifier"),
    ("Practitioner", drop("name"), "Practitioner.name"),
    ("Practitioner", drop("name", 0, "family"), "Practitioner.name[0].family"),
    ("Practitioner", put("1234567890", "identifier", 0, "value"), "Practitioner.identifier[0]"),
    ("Coverage", drop("relationship"), "Coverage.relationship"),
    ("Coverage", drop("payor"), "Coverage.payor"),
    ("Coverage", put([{"reference": "Slot/1"}], "payor"), "Coverage.payor[0]"),
    ("Account", put({"start": "2024", "end": "2023"}, "servicePeriod"), "Account.servicePeriod"),
    ("MedicationStatement", put({"value": 1, "code": "d"}, "dosage", 0, "maxDosePerLifetime"),
     "MedicationStatement.dosage[0].maxDosePerLifetime"),
    ("MedicationStatement", lambda r: r.update(dosage=[{"maxDosePerAdministration": {"value": 1, "comparator": "<"}}]),
     "MedicationStatement.dosage[0].maxDosePerAdministration"),
    ("Observation us-core-heart-rate", drop("category"), "Observation.category"),
    ("Observation us-core-heart-rate", put([{"text": "x"}], "category"), "Observation.category"),
    ("Observation us-core-heart-rate", put({"text": "x"}, "code"), "Observation.code"),
    ("Observation us-core-heart-rate", drop("effectiveDateTime"), "Observation.effective"),
    ("Observation us-core-heart-rate", put("2024-01", "effectiveDateTime"), "Observation.effective"),
    ("Observation us-core-heart-rate", drop("valueQuantity"), "Observation"),
    ("Observation us-core-heart-rate", drop("valueQuantity", "unit"), "Observation.value.unit"),
    ("Observation us-core-heart-rate", put("bpm", "valueQuantity", "code"), "Observation.value.code"),
    ("Observation us-core-heart-rate", put("http://example.org", "valueQuantity", "system"), "Observation.value.system"),
    ("Observation us-core-heart-rate", put({"text": "x"}, "dataAbsentReason"), "Observation"),
    ("Observation us-core-heart-rate", put({"reference": "Group/1"}, "subject"), "Observation.subject"),
    ("Observation us-core-heart-rate", put([{"high": {"value": 1, "comparator": "<"}}], "referenceRange"),
     "Observation.referenceRange[0].high"),
    ("Observation us-core-heart-rate", put([{"type": {"text": "x"}}], "referenceRange"), "Observation.referenceRange[0]"),
    ("Observation us-core-blood-pressure", lambda r: r["component"].pop(), "Observation.component"),
    ("Observation us-core-blood-pressure", put("kPa", "component", 0, "valueQuantity", "code"),
     "Observation.component[0].value.code"),
    ("Observation us-core-blood-pressure", drop("component", 0, "valueQuantity"), "Observation.component[0]"),
    ("Observation us-core-observation-lab", put([{"text": "x"}], "category"), "Observation.category"),
    ("Observation us-core-smokingstatus", drop("effectiveDateTime"), "Observation.effective"),
    ("Observation us-core-smokingstatus", put("cancelled", "status"), "Observation.status"),
    # narrative, contained resources
    ("Patient", put({"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>x<script/></div>"}, "text"),
     "Patient.text.div"),
    ("Patient", put({"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'><b>x</div>"}, "text"),
     "Patient.text.div"),
    ("Patient", put({"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'> </div>"}, "text"),
     "Patient.text.div"),
    ("Patient", put({"status": "generated", "div": "<!DOCTYPE x []><div>x</div>"}, "text"), "Patient.text.div"),
    ("Patient", put({"status": "generated", "div": "<div onclick='x()'>x</div>"}, "text"), "Patient.text.div"),
    ("Patient", put({"status": "generated", "div": "<div><a href='javascript:x'>x</a></div>"}, "text"), "Patient.text.div"),
    ("Patient", put([{"resourceType": "Organization", "id": "o", "name": "x"}], "contained"), "Patient.contained[0]"),
    ("Patient", lambda r: r.update(managingOrganization={"reference": "#o"}, contained=[{"resourceType": "Organization",
        "id": "o", "name": "x", "meta": {"versionId": "1"}}]), "Patient.contained[0]"),
    ("Patient", lambda r: r.update(managingOrganization={"reference": "#o"}, contained=[{"resourceType": "Organization",
        "id": "o", "name": "x", "meta": {"security": [{"code": "R"}]}}]), "Patient.contained[0]"),
    ("Patient", lambda r: r.update(managingOrganization={"reference": "#o"}, contained=[{"resourceType": "Basic",
        "id": "o", "code": {"text": "x"}}]), "Patient.managingOrganization"),
    ("Patient", put("x-private-language-of-mine_1", "language"), "Patient.language"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "change", "place"), CHOSEN, ids=[f"{c[0]}-{c[2]}-{n}" for n, c in enumerate(CHOSEN)]
)
def test_a_defect_of_profiles_and_rules_is_found_at_its_place(
    sample: str, change: Change, place: str, samples: dict[str, dict[str, Any]], validator: Validator
) -> None:
    resource = copy.deepcopy(samples[sample])
    change(resource)
    assert place in places(validator, resource), validator.validate(resource).issues


def bundle(patient: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9",
                "resource": copy.deepcopy(patient),
                "request": {"method": "POST", "url": "Patient"},
            },
            {"request": {"method": "DELETE", "url": "Patient/1"}},
        ],
    }


BUNDLES: list[tuple[Change, str]] = [
    (drop("entry", 0, "request"), "Bundle"),
    (drop("entry", 0, "request", "method"), "Bundle.entry[0].request.method"),
    (put("FETCH", "entry", 0, "request", "method"), "Bundle.entry[0].request.method"),
    (put("batch-thing", "type"), "Bundle.type"),
    (drop("type"), "Bundle.type"),
    (put(2, "total"), "Bundle"),
    (put({"mode": "match"}, "entry", 0, "search"), "Bundle"),
    (put({"status": "200"}, "entry", 0, "response"), "Bundle"),
    (drop("entry", 1, "request"), "Bundle.entry[1]"),
    (lambda r: r["entry"].append(copy.deepcopy(r["entry"][0])), "Bundle"),
    (put("https://example.org/Patient/1/_history/2", "entry", 0, "fullUrl"), "Bundle.entry[0]"),
    (put("https://example.org/Patient/other", "entry", 0, "fullUrl"), "Bundle.entry[0].fullUrl"),
    (drop("entry", 0, "resource", "name"), "Bundle.entry[0].resource.name"),
    (put("x", "entry", 0, "resource", "gender"), "Bundle.entry[0].resource.gender"),
    (drop("entry", 0, "resource", "resourceType"), "Bundle.entry[0].resource"),
    (put("x", "entry", 0, "resource", "surprise"), "Bundle.entry[0].resource.surprise"),
    (put("document", "type"), "Bundle"),
    (put("message", "type"), "Bundle"),
]


@pytest.mark.parametrize(("change", "place"), BUNDLES, ids=[f"{c[1]}-{n}" for n, c in enumerate(BUNDLES)])
def test_a_defect_of_a_bundle_is_found_at_its_place(
    change: Change, place: str, samples: dict[str, dict[str, Any]], validator: Validator
) -> None:
    resource = bundle(samples["Patient"])
    assert places(validator, resource) == set()
    change(resource)
    assert place in places(validator, resource), validator.validate(resource).issues
