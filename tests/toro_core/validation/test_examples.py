"""The published examples are sound but for known errors of their own."""

from __future__ import annotations

import gzip
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from toro_core import json
from toro_core.definitions import load
from toro_core.validation import check

SHARED = Path(__file__).resolve().parents[4] / "shared"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the sample data is not beside the repository")

LACKING = {
    # the two publication inputs lack what the published guide has
    "ig-r4.json": {"ImplementationGuide.name", "ImplementationGuide.status"},
    "ImplementationGuide-fhir.json": {"ImplementationGuide.name", "ImplementationGuide.status"},
}


def members(archive: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.name.endswith(suffix) and (content := opened.extractfile(member)):
                yield member.name, content.read()


def test_the_examples_of_the_specification_are_sound_but_for_three() -> None:
    definitions = load()
    wrong: dict[str, set[str]] = {}
    seen = 0
    for path, data in members(SHARED / "data" / "hl7-r4-spec-examples.tar.xz", ".json"):
        name = path.rpartition("/")[2]
        if name == "package.json":
            continue
        seen += 1
        if issues := check(json.loads(data), definitions):
            assert {issue.code for issue in issues} == {"required"}
            wrong[name] = {issue.expressions[0] for issue in issues}
    assert seen == 738
    # in this questionnaire thirty nested items have no linkId
    missing = wrong.pop("Questionnaire-qs1.json")
    assert len(missing) == 32
    assert all(place.endswith(".linkId") for place in missing)
    assert wrong == LACKING


def test_the_examples_of_us_core_are_sound() -> None:
    definitions = load()
    examples = [
        (name, data)
        for name, data in members(SHARED / "spec" / "packages" / "hl7.fhir.us.core-6.1.0.tgz", ".json")
        if name.startswith("package/example/")
    ]
    assert len(examples) > 150
    for name, data in examples:
        resource = json.loads(data)
        assert "resourceType" not in resource or check(resource, definitions) == (), name


def test_the_one_known_error_of_the_reference_data_is_found() -> None:
    definitions = load()
    found = [
        (issue.code, issue.expressions)
        for path in sorted((SHARED / "spec" / "reference-data").glob("*.json"))
        for issue in check(json.loads(path.read_bytes()), definitions)
    ]
    assert found == [("structure", ("Bundle.entry[266].resource.effective.stop",))]


@pytest.mark.slow
def test_the_curated_sample_survives_and_its_errors_are_found() -> None:
    definitions = load()
    found: Counter[str] = Counter()
    seen = 0
    for _, packed in members(SHARED / "data" / "curated.tar.xz", ".ndjson.gz"):
        for line in filter(None, gzip.decompress(packed).splitlines()):
            resource = json.loads(line)
            assert json.loads(json.dumps(resource)) == resource
            found.update({issue.expressions[0] for issue in check(resource, definitions)})
            seen += 1
    assert seen == 45_232
    assert found == {
        "Coverage.extension": 239,  # an empty array
        "MedicationAdministration.dosage.timing": 92,  # no such element
        "MedicationAdministration.dosage.doseAndRate": 12,  # no such element
        "DiagnosticReport.code.coding[0].code": 5,  # empty strings
        "DiagnosticReport.code.coding[0].display": 5,
        "DiagnosticReport.code.text": 5,
    }
