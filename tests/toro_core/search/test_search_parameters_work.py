"""Every supported search parameter of the published types finds what its expression says."""

import json
import lzma
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from toro_core.definitions import Definitions
from toro_core.fhirpath.branches import Branch
from toro_core.search.extract import Extractor

TYPES = [
    "Account",
    "AllergyIntolerance",
    "Appointment",
    "Condition",
    "Coverage",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Immunization",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Patient",
    "Practitioner",
    "ServiceRequest",
]
SUPPORTED = {"token", "string", "date", "reference", "uri"}
SAMPLES: dict[str, Any] = {
    "Address": {"city": "Wien"},
    "boolean": True,
    "canonical": "http://example.org/q",
    "code": "final",
    "CodeableConcept": {"coding": [{"code": "c"}], "text": "t"},
    "Coding": {"code": "c"},
    "ContactPoint": {"system": "phone", "value": "1"},
    "date": "2024-01-31",
    "dateTime": "2024-01-31T08:00:00Z",
    "HumanName": {"family": "Lee"},
    "Identifier": {"value": "1"},
    "id": "1",
    "instant": "2024-01-31T08:00:00Z",
    "markdown": "text",
    "Period": {"start": "2024"},
    "Reference": {"reference": "Patient/1"},
    "string": "text",
    "Timing": {"event": ["2024"]},
    "uri": "http://example.org",
    "url": "http://example.org",
}
# Values that the conditions of an expression let pass, which a sample of the type alone does not say.
CONDITIONED: dict[tuple[str, str], dict[str, Any]] = {
    **{(t, "email"): {"telecom": [{"system": "email", "value": "a@b"}]} for t in ("Patient", "Practitioner")},
    **{(t, "phone"): {"telecom": [{"system": "phone", "value": "1"}]} for t in ("Patient", "Practitioner")},
    ("Appointment", "location"): {"participant": [{"actor": {"reference": "Location/1"}}]},
    ("Appointment", "practitioner"): {"participant": [{"actor": {"reference": "Practitioner/1"}}]},
    ("Encounter", "practitioner"): {"participant": [{"individual": {"reference": "Practitioner/1"}}]},
}
# The specification's examples do not have these elements, or only with a contained resource or a display.
UNUSED = {
    "DiagnosticReport.assessed-condition",
    "DiagnosticReport.encounter",
    "DiagnosticReport.results-interpreter",
    "DiagnosticReport.specimen",
    "Encounter.location",
    "Encounter.reason-reference",
    "Immunization.reaction",
    "Immunization.reaction-date",
    "Immunization.reason-reference",
    "MedicationStatement.medication",
    "Observation.amino-acid-change",
    "Observation.based-on",
    "Observation.dna-variant",
    "Observation.gene-amino-acid-change",
    "Observation.gene-dnavariant",
    "Patient.mothersMaidenName",
    "ServiceRequest.instantiates-canonical",
    "ServiceRequest.instantiates-uri",
    "ServiceRequest.replaces",
    "ServiceRequest.specimen",
}


def extension_of(expression: str) -> dict[str, Any]:
    """Return an extension with the address that the expression asks for, and each kind of value it may be read as."""
    url = expression.partition("extension('")[2].partition("'")[0]
    values = {"valueString": "x", "valueCode": "c", "valueReference": {"reference": "Patient/1"}}
    return {"extension": [{"url": url, name: value} for name, value in values.items()]}


def with_sample(definitions: Definitions, resource_type: str, branch: Branch) -> dict[str, Any]:
    """Return a resource that has a sample value where the branch looks."""
    resource: dict[str, Any] = {"resourceType": resource_type, "id": "1"}
    place, structure = resource, definitions.structure(resource_type)
    for member in branch.path[:-1]:
        element, choice = structure.members[member]
        inner: dict[str, Any] = {}
        place[member] = [inner] if element.repeats else inner
        place, structure = inner, definitions.structure(choice.type)
    element, choice = structure.members[branch.path[-1]]
    place[branch.path[-1]] = [SAMPLES[choice.type]] if element.repeats else SAMPLES[choice.type]
    return resource


def params(extractor: Extractor, resource: dict[str, Any]) -> set[str]:
    rows = extractor.rows(resource)
    found: tuple[Any, ...] = (*rows.tokens, *rows.strings, *rows.dates, *rows.references, *rows.uris)
    return {row.param for row in found}


@pytest.mark.parametrize("resource_type", TYPES)
def test_all_parameters_of_the_supported_types_work(
    resource_type: str, extractor: Extractor, definitions: Definitions
) -> None:
    declared = {c for c, facts in definitions.search_parameters(resource_type).items() if facts.type in SUPPORTED}
    assert set(extractor.parameters(resource_type)) == declared
    assert {"_id", "_lastUpdated", "_tag", "_profile"} <= declared


@pytest.mark.parametrize("resource_type", TYPES)
def test_each_place_that_a_parameter_looks_at_is_indexed(
    resource_type: str, extractor: Extractor, definitions: Definitions
) -> None:
    for code, searchable in extractor.searchables(resource_type).items():
        for branch in searchable.branches:
            if (resource_type, code) in CONDITIONED:
                resource = {"resourceType": resource_type, **CONDITIONED[resource_type, code]}
            elif "extension(" in searchable.facts.expression:
                resource = {"resourceType": resource_type, **extension_of(searchable.facts.expression)}
            elif branch.path:
                resource = with_sample(definitions, resource_type, branch)
            else:
                resource = {"resourceType": resource_type}
            assert code in params(extractor, resource), f"{resource_type}.{code} at {branch.path}"


def archive(name: str) -> Path:
    path = Path(__file__).parents[4] / "shared" / "data" / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository")
    return path


def test_the_examples_of_the_specification_are_indexed(extractor: Extractor) -> None:
    found: Counter[str] = Counter()
    with tarfile.open(fileobj=lzma.open(archive("hl7-r4-spec-examples.tar.xz"))) as examples:
        for member in examples:
            resource_type = Path(member.name).name.partition("-")[0]
            if resource_type in TYPES and (file := examples.extractfile(member)):
                resource = json.load(file)
                found.update(f"{resource_type}.{param}" for param in params(extractor, resource))
    missing = [
        f"{resource_type}.{code}"
        for resource_type in TYPES
        for code in extractor.parameters(resource_type)
        if not code.startswith("_") and not found[f"{resource_type}.{code}"]
    ]
    assert set(missing) == UNUSED
