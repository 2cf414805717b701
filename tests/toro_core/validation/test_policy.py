"""Which profiles are demanded of data that claims none, and what the synthetic patients say to all of US Core."""

from __future__ import annotations

from typing import Any

import pytest

from toro_core import json
from toro_core.definitions import Definitions
from toro_core.synthetic import generate
from toro_core.validation import Validator
from toro_core.validation.demands import Demands
from toro_core.validation.profiles import Profiles

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"


@pytest.fixture(scope="module")
def generated() -> list[dict[str, Any]]:
    return [json.loads(json.dumps(resource)) for resource in generate(patients=20)]


def test_the_synthetic_patients_are_valid_without_a_warning(
    generated: list[dict[str, Any]], validator: Validator
) -> None:
    assert len(generated) > 3000
    for resource in generated:
        severities = {issue.severity for issue in validator.validate(resource).issues}
        assert severities <= {"information"}, (resource["resourceType"], resource["id"])


def test_what_claims_nothing_is_meant_to_follow_the_profile_it_would_claim(
    generated: list[dict[str, Any]], definitions: Definitions
) -> None:
    demands = Demands(definitions, definitions.derived(Profiles))
    compared = 0
    for resource in generated:
        name = resource["resourceType"]
        claimed = set(resource.get("meta", {}).get("profile", ()))
        meant = {facts.url for facts in demands.on(resource, name)}
        if name in ("Observation", "Condition", "DiagnosticReport") and claimed:
            assert claimed <= meant, (resource["id"], claimed, meant)
            compared += 1
    assert compared > 1500


CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


@pytest.mark.parametrize(
    ("code", "category", "meant"),
    [
        ("8867-4", None, {"heart-rate"}),
        ("2708-6", "vital-signs", {"pulse-oximetry"}),
        ("1234-5", "vital-signs", {"vital-signs"}),
        ("1234-5", "laboratory", {"observation-lab"}),
        ("1234-5", "imaging", {"observation-clinical-result", "simple-observation"}),
        ("72166-2", "social-history", {"smokingstatus"}),
        ("1234-5", "social-history", {"simple-observation"}),
        ("1234-5", None, set()),
    ],
)
def test_an_observation_is_what_its_code_or_else_its_category_says(
    definitions: Definitions, code: str, category: str | None, meant: set[str]
) -> None:
    resource: Any = {"resourceType": "Observation", "code": {"coding": [{"system": "http://loinc.org", "code": code}]}}
    if category:
        resource["category"] = [{"coding": [{"system": CATEGORY, "code": category}]}]
    demands = Demands(definitions, definitions.derived(Profiles))
    assert {facts.url.removeprefix(US_CORE) for facts in demands.on(resource, "Observation")} == meant


def test_a_type_without_a_profile_has_none_demanded(definitions: Definitions) -> None:
    demands = Demands(definitions, definitions.derived(Profiles))
    assert demands.on({"resourceType": "Account"}, "Account") == ()
