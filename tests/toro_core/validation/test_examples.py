"""The published examples are accepted but for errors of their own, which are listed here one by one."""

from __future__ import annotations

import gzip
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toro_core import json
from toro_core.definitions import Definitions
from toro_core.definitions.compile import read_package
from toro_core.definitions.compile_guides import compile_guide
from toro_core.validation import Validator

SHARED = Path(__file__).resolve().parents[4] / "shared"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the sample data is not beside the repository")

R4_ERRORS = {
    # a narrative of white space alone breaks txt-2
    "ActivityDefinition-blood-tubes-supply.json": {"ActivityDefinition.text.div"},
    "ActivityDefinition-heart-valve-replacement.json": {"ActivityDefinition.text.div"},
    "EventDefinition-example.json": {"EventDefinition.text.div"},
    "Questionnaire-zika-virus-exposure-assessment.json": {"Questionnaire.text.div"},
    # invented modifier extensions that nothing defines
    "Basic-referral.json": {f"Basic.modifierExtension[{index}]" for index in range(3)},
    # fullUrl and id differ, or fullUrl leads to a search
    "Bundle-10bb101f-a121-4264-a920-67be9cb82c74.json": {"Bundle.entry[2].fullUrl"},
    "Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe.json": {"Bundle.entry[3].fullUrl"},
    "Bundle-lri-example.json": {f"Bundle.entry[{index}].fullUrl" for index in range(1, 17)},
    # no mime types
    "Bundle-b0a5e4277-83c4-4adb-87e2-e3efe3369b6f.json": {
        f"Bundle.entry[{index}].resource.payloadMimeType[0]" for index in range(8, 14)
    },
    # references to types that their elements do not allow
    "DeviceMetric-example.json": {"DeviceMetric.parent"},
    "DeviceUseStatement-example.json": {"DeviceUseStatement.reasonReference[0]"},
    "MedicationRequest-medrx0301.json": {"MedicationRequest.dispenseRequest.performer"},
    "Observation-clinical-gender.json": {"Observation.performer[0]"},
    # an ethnicity of an old US Core, with a value where there are extensions today, on an Observation
    "Observation-example-genetics-brcapat.json": {
        "Observation.extension[1]",
        "Observation.extension[1].extension",
        "Observation.extension[1].value",
    },
    # the two publication inputs lack what the published guide has
    "ig-r4.json": {"ImplementationGuide.name", "ImplementationGuide.status"},
    "ImplementationGuide-fhir.json": {"ImplementationGuide.name", "ImplementationGuide.status"},
}

US_CORE_ERRORS = {
    "3.1.1": {
        # the check digit of a National Provider Identifier is wrong
        "Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json": {
            "Bundle.entry[1].resource.identifier[1]",
            "Bundle.entry[0].resource.practitioner",  # that Practitioner
            "Bundle.entry[2].fullUrl",  # it and the id differ
        },
        # a hash that is not base64
        "DiagnosticReport-cardiology-report.json": {"DiagnosticReport.presentedForm[0].hash"},
        # the profile fixes a code that the value set it demands does not hold
        "Observation-satO2-fiO2.json": {"Observation.component[0].value"},
    },
    "6.1.0": {
        # fullUrl and id differ
        "Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json": {"Bundle.entry[2].fullUrl"},
        "Bundle-docref-example-2.json": {"Bundle.entry[2].fullUrl"},
    },
    "7.0.0": {},
}


def members(archive: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.name.endswith(suffix) and (content := opened.extractfile(member)):
                yield member.name, content.read()


def errors(validator: Validator, resource: Any) -> set[str]:
    issues = validator.validate(resource).issues
    return {issue.expressions[0] for issue in issues if issue.severity == "error"}


def test_the_examples_of_the_specification_are_accepted_but_for_those_listed(definitions: Definitions) -> None:
    validator = Validator(definitions, policy="off")
    wrong: dict[str, set[str]] = {}
    seen = 0
    for path, data in members(SHARED / "data" / "hl7-r4-spec-examples.tar.xz", ".json"):
        name = path.rpartition("/")[2]
        if name == "package.json":
            continue
        seen += 1
        if found := errors(validator, json.loads(data)):
            wrong[name] = found
    assert seen == 738
    # in this questionnaire thirty nested items have no linkId
    missing = wrong.pop("Questionnaire-qs1.json")
    assert len(missing) == 32
    assert all(place.endswith(".linkId") for place in missing)
    # the definitions of the types use extensions of definitions where these do not allow them
    misplaced = wrong.pop("Bundle-types.json")
    assert all(".extension[" in place for place in misplaced)
    assert wrong == R4_ERRORS


def with_version(resource: dict[str, Any], version: str) -> dict[str, Any]:
    """Pin what an example of US Core claims of US Core to the version of its package."""
    profiles = resource.get("meta", {}).get("profile", [])
    for index, profile in enumerate(profiles):
        if "/us/core/" in profile and "|" not in profile:
            profiles[index] = f"{profile}|{version}"
    return resource


@pytest.mark.parametrize("version", ["3.1.1", "6.1.0", "7.0.0"])
def test_the_examples_of_us_core_are_accepted_but_for_those_listed(definitions: Definitions, version: str) -> None:
    path = SHARED / "spec" / "packages" / f"hl7.fhir.us.core-{version}.tgz"
    known = definitions
    if version != "6.1.0":
        known = definitions.with_packages([json.dumps(compile_guide(read_package(path), definitions))])
    validator = Validator(known, policy="off")
    wrong: dict[str, set[str]] = {}
    seen = 0
    for name, data in members(path, ".json"):
        resource: dict[str, Any] = json.loads(data)
        if name.startswith("package/example/") and "resourceType" in resource:
            seen += 1
            if found := errors(validator, with_version(resource, version)):
                wrong[name.rpartition("/")[2]] = found
    assert seen >= 84
    assert wrong == US_CORE_ERRORS[version]


def test_the_examples_of_us_core_7_are_accepted_as_they_claim(definitions: Definitions) -> None:
    path = SHARED / "spec" / "packages" / "hl7.fhir.us.core-7.0.0.tgz"
    known = definitions.with_packages([json.dumps(compile_guide(read_package(path), definitions))])
    validator = Validator(known, policy="off")
    for name, data in members(path, ".json"):
        resource = json.loads(data)
        if name.startswith("package/example/") and "resourceType" in resource:
            assert errors(validator, resource) == set(), name


def test_the_known_errors_of_the_reference_patients_are_found(validator: Validator) -> None:
    found = {
        path.stem.rpartition("_")[2]: errors(validator, json.loads(path.read_bytes()))
        for path in sorted((SHARED / "spec" / "reference-data").glob("uscore_bundle_patient_*.json"))
    }
    assert found == {
        "355": {"Bundle.entry[266].resource.effective.stop"},  # no such element
        "85": set(),
        "907": set(),
        # a sex of another US Core version, a patient without gender
        "908": {
            "Bundle.entry[0].resource.extension[0].value",
            "Bundle.entry[0].resource.gender",
            # what refers to that patient
            "Bundle.entry[1].resource.subject",
            "Bundle.entry[2].resource.agent[0].who",
        },
    }


@pytest.mark.slow
def test_the_curated_sample_survives_and_its_errors_are_found(definitions: Definitions) -> None:
    validator = Validator(definitions, policy="off")
    found: Counter[str] = Counter()
    seen = 0
    for _, packed in members(SHARED / "data" / "curated.tar.xz", ".ndjson.gz"):
        for line in filter(None, gzip.decompress(packed).splitlines()):
            resource = json.loads(line)
            assert json.loads(json.dumps(resource)) == resource
            found.update(errors(validator, resource))
            seen += 1
    assert seen == 45_232
    assert found == {
        "Coverage.extension": 239,  # an empty array
        "MedicationAdministration.dosage.timing": 92,  # no such element
        "MedicationAdministration.dosage.doseAndRate": 12,  # no such element
        "DiagnosticReport.media[0].link": 38,  # leads to another type than Media
        "MedicationAdministration.dosage": 2,  # neither dose nor rate
        "Patient.extension[0].extension[0].value": 37,  # a race outside of the five categories
        "Practitioner.identifier[0]": 51,  # the check digit of a National Provider Identifier is wrong
        "DiagnosticReport.code.coding[0].code": 5,  # empty strings
        "DiagnosticReport.code.coding[0].display": 5,
        "DiagnosticReport.code.text": 5,
    }
