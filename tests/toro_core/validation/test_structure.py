from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toro_core import json
from toro_core.definitions import Definitions, load
from toro_core.validation import check

DEFINITIONS = load()

OBSERVATION = json.loads(
    b"""{
  "resourceType": "Observation",
  "id": "bp-1",
  "meta": {"versionId": "1", "lastUpdated": "2024-02-29T12:00:00.000+01:00", "profile": ["http://example.org/p|1.0"]},
  "text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"},
  "contained": [{"resourceType": "Patient", "id": "p", "given": []}],
  "extension": [{"url": "http://example.org/e", "valueString": "x"}],
  "identifier": [{"system": "urn:oid:1.2.3", "value": "1"}],
  "status": "final",
  "_status": {"extension": [{"url": "http://example.org/e", "extension": [{"url": "a", "valueBoolean": true}]}]},
  "category": [{"coding": [{"system": "http://example.org/c", "code": "vital signs"}], "text": "Vital signs"}],
  "code": {"text": "Blood pressure"},
  "subject": {"reference": "Patient/1"},
  "focus": [{"reference": "#p"}],
  "effectivePeriod": {"start": "2024-01-01", "end": "2024-01-02T00:00:00Z"},
  "issued": "2024-01-01T23:59:60.5Z",
  "component": [
    {"code": {"text": "systolic"}, "valueQuantity": {"value": 120.0, "comparator": "<", "unit": "mmHg"}},
    {"code": {"text": "diastolic"}, "valueInteger": 80, "referenceRange": [{"low": {"value": 60}}]}
  ]
}""".replace(b', "given": []', b"")
)

PATIENT = json.loads(b"""{
  "resourceType": "Patient",
  "name": [{"family": "Chalmers", "given": ["Peter", null, "J"], "_given": [null, {"id": "g2"}, {"id": "g3"}]}],
  "gender": "other",
  "birthDate": "1974-12",
  "_birthDate": {"extension": [{"url": "http://example.org/time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
  "multipleBirthInteger": 2,
  "photo": [{"contentType": "image/png", "data": "aGVs bG8=", "size": 5}],
  "communication": [{"language": {"text": "English"}, "preferred": true}]
}""")

CONDITION = json.loads(b"""{
  "resourceType": "Condition",
  "clinicalStatus": {"coding": [{"system": "http://example.org/x", "code": "x"},
    {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
  "subject": {"reference": "Patient/1"}
}""")

BUNDLE = json.loads(b"""{
  "resourceType": "Bundle",
  "type": "collection",
  "entry": [{"fullUrl": "http://example.org/Basic/1", "resource": {"resourceType": "Basic", "code": {"text": "x"}}}]
}""")

TIMING = json.loads(b"""{
  "resourceType": "MedicationRequest", "status": "active", "intent": "order", "medicationReference": {"reference": "Medication/m"},
  "subject": {"reference": "Patient/1"},
  "dosageInstruction": [
    {"sequence": -1, "timing": {"repeat": {"dayOfWeek": ["mon", "sun"], "timeOfDay": ["08:00:00"], "count": 3}}}
  ]
}""")

PARTIAL = json.loads(
    b'{"resourceType": "Patient", "_gender": {"extension": [{"url": "http://example.org/e", "valueCode": "x"}]}}'
)

REMOVED = object()


def changed(resource: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy with the value at a path such as `name.0.family`; REMOVED removes it."""
    result = copy.deepcopy(resource)
    node: Any = result
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        node = node[step]
    if value is REMOVED:
        del node[last]
    else:
        node[last] = value
    return result


def found(resource: Any) -> list[tuple[str, str]]:
    return [(issue.code, issue.expressions[0]) for issue in check(resource, DEFINITIONS)]


@pytest.mark.parametrize(
    "resource", [OBSERVATION, PATIENT, CONDITION, BUNDLE, TIMING, PARTIAL], ids=lambda r: str(r["resourceType"])
)
def test_a_sound_resource_has_no_issues(resource: dict[str, Any]) -> None:
    assert check(resource, DEFINITIONS) == ()


MUTATIONS: list[tuple[dict[str, Any], str, Any, str, str]] = [
    # unknown elements
    (OBSERVATION, "stop", "x", "structure", "Observation.stop"),
    (OBSERVATION, "effectivePeriod.stop", "2024-01-02", "structure", "Observation.effective.stop"),
    (OBSERVATION, "value", "x", "structure", "Observation.value"),
    (OBSERVATION, "_subject", {"id": "x"}, "structure", "Observation._subject"),
    (OBSERVATION, "code.resourceType", "CodeableConcept", "structure", "Observation.code.resourceType"),
    (OBSERVATION, "component.1.code.Jane Doe", 1, "structure", "Observation.component[1].code.(other)"),
    # JSON types
    (OBSERVATION, "status", 1, "structure", "Observation.status"),
    (OBSERVATION, "status", None, "structure", "Observation.status"),
    (OBSERVATION, "status", {"value": "final"}, "structure", "Observation.status"),
    (OBSERVATION, "code", "x", "structure", "Observation.code"),
    (OBSERVATION, "code", None, "structure", "Observation.code"),
    (OBSERVATION, "subject.reference", {"reference": "Patient/1"}, "structure", "Observation.subject.reference"),
    (OBSERVATION, "text.div", ["<div/>"], "structure", "Observation.text.div"),
    (OBSERVATION, "component.0.valueQuantity.value", "120", "structure", "Observation.component[0].value.value"),
    (OBSERVATION, "component.0.valueQuantity.value", True, "structure", "Observation.component[0].value.value"),
    (OBSERVATION, "component.1.valueInteger", "80", "structure", "Observation.component[1].value"),
    (PATIENT, "communication.0.preferred", "true", "structure", "Patient.communication[0].preferred"),
    (PATIENT, "communication.0.preferred", 1, "structure", "Patient.communication[0].preferred"),
    # arrays
    (OBSERVATION, "category", {"text": "x"}, "structure", "Observation.category"),
    (OBSERVATION, "code", [{"text": "x"}], "structure", "Observation.code"),
    (OBSERVATION, "status", ["final"], "structure", "Observation.status"),
    (OBSERVATION, "category", [], "structure", "Observation.category"),
    (OBSERVATION, "category.0", None, "structure", "Observation.category[0]"),
    (PATIENT, "name.0.given", "Peter", "structure", "Patient.name[0].given"),
    # nothing is empty
    (OBSERVATION, "subject", {}, "structure", "Observation.subject"),
    (OBSERVATION, "subject", {"id": "x"}, "structure", "Observation.subject"),
    (OBSERVATION, "code.text", "", "value", "Observation.code.text"),
    (OBSERVATION, "_status", {}, "structure", "Observation.status"),
    # null and the arrays of primitives
    (PATIENT, "name.0._given", [None, None, {"id": "g3"}], "structure", "Patient.name[0].given[1]"),
    (PATIENT, "name.0._given", [None, {"id": "g2"}], "structure", "Patient.name[0].given"),
    (PATIENT, "name.0._prefix", {"id": "p"}, "structure", "Patient.name[0].prefix"),
    (PATIENT, "name.0._given", [None, {"id": "g2"}, {"other": 1}], "structure", "Patient.name[0].given[2].other"),
    (PATIENT, "name.0.prefix", [None], "structure", "Patient.name[0].prefix[0]"),
    (PATIENT, "name.0._prefix", [None], "structure", "Patient.name[0].prefix[0]"),
    (PATIENT, "_birthDate", [{"id": "x"}], "structure", "Patient.birthDate"),
    (PATIENT, "_birthDate.extension.0.valueDateTime", "x", "value", "Patient.birthDate.extension[0].value"),
    # choice types
    (OBSERVATION, "effectiveDateTime", "2024", "structure", "Observation.effective"),
    (OBSERVATION, "_effectiveInstant", {"id": "x"}, "structure", "Observation.effective"),
    (OBSERVATION, "valueAddress", {"city": "x"}, "structure", "Observation.valueAddress"),
    # cardinality
    (OBSERVATION, "code", REMOVED, "required", "Observation.code"),
    (OBSERVATION, "component.1.code", REMOVED, "required", "Observation.component[1].code"),
    (OBSERVATION, "text.div", REMOVED, "required", "Observation.text.div"),
    (OBSERVATION, "extension.0.url", REMOVED, "required", "Observation.extension[0].url"),
    (TIMING, "medicationReference", REMOVED, "required", "MedicationRequest.medication"),
    # codes
    (OBSERVATION, "status", "done", "code-invalid", "Observation.status"),
    (OBSERVATION, "component.0.valueQuantity.comparator", "=", "code-invalid", "Observation.component[0].value.comparator"),
    (PATIENT, "gender", "M", "code-invalid", "Patient.gender"),
    (TIMING, "dosageInstruction.0.timing.repeat.dayOfWeek.1", "Sunday", "code-invalid",
     "MedicationRequest.dosageInstruction[0].timing.repeat.dayOfWeek[1]"),
    (CONDITION, "clinicalStatus.coding.1.code", "acute", "code-invalid", "Condition.clinicalStatus"),
    (CONDITION, "clinicalStatus", {"text": "active"}, "code-invalid", "Condition.clinicalStatus"),
    # resources within resources
    (OBSERVATION, "contained.0.resourceType", "Person2", "structure", "Observation.contained[0]"),
    (OBSERVATION, "contained.0.gender", "M", "code-invalid", "Observation.contained[0].gender"),
    (OBSERVATION, "contained.0.contained", [{"resourceType": "Patient", "id": "q"}], "invariant",
     "Observation.contained[0].contained"),
    (BUNDLE, "entry.0.resource.code", REMOVED, "required", "Bundle.entry[0].resource.code"),
    (BUNDLE, "entry.0.resource.resourceType", REMOVED, "structure", "Bundle.entry[0].resource"),
    (BUNDLE, "entry.0.resource", [], "structure", "Bundle.entry[0].resource"),
    # extensions
    (OBSERVATION, "extension.0.valueString", REMOVED, "invariant", "Observation.extension[0]"),
    (OBSERVATION, "extension.0.extension", [{"url": "a", "valueCode": "x"}], "invariant", "Observation.extension[0]"),
    (OBSERVATION, "_status.extension.0.extension.0.valueBoolean", REMOVED, "invariant",
     "Observation.status.extension[0].extension[0]"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "path", "value", "code", "place"), MUTATIONS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_each_rule_is_checked_at_its_place(
    resource: dict[str, Any], path: str, value: Any, code: str, place: str
) -> None:
    assert found(changed(resource, path, value)) == [(code, place)]


def test_an_extension_stands_for_a_required_primitive() -> None:
    assert found(changed(OBSERVATION, "status", REMOVED)) == []


def test_an_extension_may_say_why_a_required_code_is_missing() -> None:
    concept = {"extension": [{"url": "http://example.org/absent", "valueCode": "unknown"}]}
    assert found(changed(CONDITION, "clinicalStatus", concept)) == []


def test_codes_of_a_value_set_that_is_not_enumerated_are_not_judged() -> None:
    assert found(changed(PATIENT, "photo.0.contentType", "application/x-anything")) == []


@pytest.mark.parametrize(
    "resource", [{}, {"resourceType": "Nothing"}, {"resourceType": 1}, {"resourceType": "DomainResource"}]
)
def test_an_unknown_resource_type_is_refused(resource: dict[str, Any]) -> None:
    assert found(resource) == [("structure", "Resource")]


def test_all_issues_are_reported_at_once_in_order() -> None:
    resource = changed(changed(changed(OBSERVATION, "status", "done"), "code", REMOVED), "component.1.code", REMOVED)
    assert [place for _, place in found(resource)] == [
        "Observation.status",
        "Observation.component[1].code",
        "Observation.code",
    ]


def test_after_a_hundred_issues_a_note_says_that_there_are_more() -> None:
    issues = check(changed(PATIENT, "name.0.given", [""] * 500), DEFINITIONS)
    assert len(issues) == 101
    assert issues[100].severity == "information"
    assert "first 100" in issues[100].diagnostics


def test_no_issue_quotes_a_value() -> None:
    secret = "Secret 77"
    for resource, path, _, _, _ in MUTATIONS:
        for value in (secret, [secret], {secret: secret}, {"text": secret, "x": [secret]}):
            for issue in check(changed(resource, path, value), DEFINITIONS):
                assert "77" not in issue.diagnostics + "".join(issue.expressions)


def test_every_issue_names_its_place_and_a_remedy() -> None:
    for resource, path, value, _, place in MUTATIONS:
        for issue in check(changed(resource, path, value), DEFINITIONS):
            assert issue.diagnostics.startswith(place + " ")
            assert "; " in issue.diagnostics
            assert issue.severity == "error"


def test_the_longest_nesting_json_allows_is_checked() -> None:
    deep: dict[str, Any] = {"url": "http://example.org/e", "valueString": "x"}
    for _ in range(48):
        deep = {"url": "http://example.org/e", "extension": [deep]}
    resource = json.loads(json.dumps({"resourceType": "Patient", "extension": [deep]}))
    assert found(resource) == []


def test_other_definitions_are_compiled_for_themselves() -> None:
    other: Definitions = load()
    assert check(OBSERVATION, other) == check(OBSERVATION, DEFINITIONS) == ()


JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.decimals(allow_nan=False), st.text(max_size=3)),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(
            st.sampled_from(["id", "extension", "coding", "code", "url", "_url", "resourceType", "contained", "x"]),
            below,
        ),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([m[:2] for m in MUTATIONS]), JSON)
def test_no_json_value_anywhere_breaks_the_check(where: tuple[dict[str, Any], str], value: Any) -> None:
    check(changed(*where, value), DEFINITIONS)


def test_hostile_text_is_judged_in_linear_time() -> None:
    started = time.process_time()
    for text in (
        "a " * 200_000 + " ",
        "urn:oid:1" + ".1" * 200_000 + "x",
        "1" * 400_000,
        "AAAA " * 100_000 + "!",
        "\n" * 400_000,
    ):
        for member in (
            "valueCode",
            "valueOid",
            "valueDateTime",
            "valueInstant",
            "valueTime",
            "valueBase64Binary",
            "valueId",
            "valueUri",
            "valueUuid",
        ):
            check(
                {"resourceType": "Basic", "code": {"text": "x"}, "extension": [{"url": "u", member: text}]}, DEFINITIONS
            )
    for inner in (">" * 400_000, " " * 400_000, "> " * 200_000, "<b>" * 100_000, "&amp;" * 50_000, "<!--" * 50_000):
        for div in (f"<div>{inner}", f"<div>{inner}</div>"):
            narrative: Any = {"status": "generated", "div": div}
            check({"resourceType": "Basic", "code": {"text": "x"}, "text": narrative}, DEFINITIONS)
    assert time.process_time() - started < 5
