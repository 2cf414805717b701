from __future__ import annotations

from typing import Any

import pytest

from toro_core import json
from toro_core.definitions import Definitions, load
from toro_core.synthetic import generate
from toro_core.validation import Validator

TYPES = {
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
}


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    return load()


@pytest.fixture(scope="session")
def validator(definitions: Definitions) -> Validator:
    return Validator(definitions)


@pytest.fixture(scope="session")
def samples() -> dict[str, dict[str, Any]]:
    """The largest synthetic resource of each published type, and of Observation one of each sort."""
    found: dict[str, dict[str, Any]] = {}
    for resource in generate(patients=4):
        made: dict[str, Any] = json.loads(json.dumps(resource))
        name = made["resourceType"]
        profile = made.get("meta", {}).get("profile", [""])[0].rpartition("/")[2]
        key = f"{name} {profile}" if name == "Observation" else name
        if name in TYPES and (key not in found or len(made) > len(found[key])):
            found[key] = made
    assert {key.partition(" ")[0] for key in found} == TYPES
    return found
