"""Profiles compiled from definitions made here: slicing, fixed values, choices, discriminators, closed and ordered lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from toro_core import json
from toro_core.definitions import Definitions
from toro_core.definitions.compile_guides import compile_guide
from toro_core.definitions.compile_profiles import PackageUnusable
from toro_core.validation import Report, Validator

URL = "http://example.org/fhir/StructureDefinition/mine"


def element(element_id: str, low: int = 0, high: str = "*", **more: Any) -> dict[str, Any]:
    path = ".".join(step.partition(":")[0] for step in element_id.split("."))
    name = element_id.rpartition(":")[2] if ":" in element_id.rpartition(".")[2] else None
    return {"id": element_id, "path": path, "min": low, "max": high, **({"sliceName": name} if name else {}), **more}


def sliced(
    element_id: str, *by: tuple[str, str], rules: str = "open", ordered: bool = False, **more: Any
) -> dict[str, Any]:
    discriminators = [{"type": kind, "path": path} for kind, path in by]
    slicing = {"discriminator": discriminators, "rules": rules, "ordered": ordered}
    return element(element_id, slicing=slicing, **more)


def definition(type_: str, *elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": URL,
        "version": "1.0.0",
        "type": type_,
        "kind": "resource",
        "abstract": False,
        "derivation": "constraint",
        "snapshot": {"element": [{"id": type_, "path": type_, "min": 0, "max": "*"}, *elements]},
        **more,
    }


def package(*resources: dict[str, Any], version: str = "1.0.0") -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {
        kind: [r for r in resources if r["resourceType"] == kind]
        for kind in ("StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter")
    }
    return {**found, "manifest": [{"name": "mine", "version": version}]}


def validator(definitions: Definitions, *resources: dict[str, Any]) -> Validator:
    facts = compile_guide(package(*resources), definitions)
    return Validator(definitions.with_packages([json.dumps(facts)]), policy="off")


def found(report: Report) -> list[tuple[str, str]]:
    return [(issue.severity, issue.expressions[0]) for issue in report.issues]


def observation(**more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    return json.loads(json.dumps({**base, "meta": {"profile": [URL]}, **more}))


def coded(*codes: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://example.org/codes", "code": code} for code in codes]}


A, B, C = coded("a"), coded("b"), coded("c")
PATTERN_SLICES = [
    element("Observation.category:first", 1, "1", patternCodeableConcept=A),
    element("Observation.category:second", 0, "1", patternCodeableConcept=B),
]


@pytest.mark.parametrize(
    ("rules", "ordered", "given", "places"),
    [
        ("open", False, [A], []),
        ("open", False, [C, A, B], []),
        ("open", False, [B], ["Observation.category"]),
        ("open", False, [A, A], ["Observation.category"]),
        ("closed", False, [B, A], []),
        ("closed", False, [A, C], ["Observation.category[1]"]),
        ("open", True, [A, B], []),
        ("open", True, [B, A], ["Observation.category[1]"]),
        ("open", False, None, ["Observation.category"]),
    ],
)
def test_values_are_counted_by_the_slice_they_belong_to(
    definitions: Definitions, rules: str, ordered: bool, given: Sequence[Any] | None, places: list[str]
) -> None:
    by = sliced("Observation.category", ("pattern", "$this"), rules=rules, ordered=ordered)
    judge = validator(definitions, definition("Observation", by, *PATTERN_SLICES))
    resource = observation(category=given) if given is not None else observation()
    assert found(judge.validate(resource)) == [("error", place) for place in places]


def test_a_slice_has_rules_of_its_own(definitions: Definitions) -> None:
    by = sliced("Observation.component", ("value", "code"))
    judge = validator(
        definitions,
        definition(
            "Observation",
            by,
            element("Observation.component:one", 0, "1"),
            element("Observation.component:one.code", 1, "1", patternCodeableConcept=A),
            element("Observation.component:one.value[x]", 1, "1", type=[{"code": "Quantity"}]),
            element("Observation.component:one.value[x].unit", 1, "1", fixedString="kg"),
        ),
    )
    sound = {"code": A, "valueQuantity": {"value": 1, "unit": "kg"}}
    assert found(judge.validate(observation(component=[{"code": B}, sound]))) == []
    wrong = [{"code": A, "valueString": "x"}]
    assert found(judge.validate(observation(component=wrong))) == [("error", "Observation.component[0].value")]
    other = [{"code": A, "valueQuantity": {"value": 1, "unit": "g"}}]
    assert found(judge.validate(observation(component=other))) == [("error", "Observation.component[0].value.unit")]
    assert found(judge.validate(observation(component=[{"code": A}]))) == [("error", "Observation.component[0].value")]


def test_slices_are_told_by_what_exists(definitions: Definitions) -> None:
    judge = validator(
        definitions,
        definition(
            "Observation",
            sliced("Observation.component", ("exists", "dataAbsentReason")),
            element("Observation.component:absent", 0, "1"),
            element("Observation.component:absent.dataAbsentReason", 1, "1"),
            element("Observation.component:present", 0, "*"),
            element("Observation.component:present.dataAbsentReason", 0, "0"),
        ),
    )
    absent = {"code": A, "dataAbsentReason": {"text": "x"}}
    assert found(judge.validate(observation(component=[{"code": B}, absent, {"code": C}]))) == []
    assert found(judge.validate(observation(component=[absent, absent]))) == [("error", "Observation.component")]


def test_slices_are_told_by_the_type_and_the_profile_of_what_they_refer_to(definitions: Definitions) -> None:
    patient = definition("Patient", element("Patient.birthDate", 1, "1"), url=f"{URL}-patient")
    bundle = definition(
        "Bundle",
        sliced("Bundle.entry", ("type", "resource")),
        element("Bundle.entry:patient", 1, "1"),
        element("Bundle.entry:patient.resource", 1, "1", type=[{"code": "Patient", "profile": [f"{URL}-patient"]}]),
    )
    judge = validator(definitions, patient, bundle)

    def made(*resources: dict[str, Any]) -> dict[str, Any]:
        entries = [{"resource": resource} for resource in resources]
        whole: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "collection",
            "meta": {"profile": [URL]},
            "entry": entries,
        }
        return json.loads(json.dumps(whole))

    basic = {"resourceType": "Basic", "code": {"text": "x"}}
    assert found(judge.validate(made(basic, {"resourceType": "Patient", "birthDate": "2000"}))) == []
    assert found(judge.validate(made(basic))) == [("error", "Bundle.entry")]
    nameless = {"resourceType": "Patient", "gender": "other"}
    assert found(judge.validate(made(nameless))) == [("error", "Bundle.entry[0].resource.birthDate")]


def test_an_element_may_be_prohibited_demanded_and_narrowed_in_type(definitions: Definitions) -> None:
    judge = validator(
        definitions,
        definition(
            "Observation",
            element("Observation.method", 0, "0", type=[{"code": "CodeableConcept"}]),
            element("Observation.issued", 1, "1", type=[{"code": "instant"}]),
            element("Observation.note", 0, "1", type=[{"code": "Annotation"}]),
            element("Observation.effective[x]", 1, "1", type=[{"code": "dateTime"}]),
            element("Observation.subject", 0, "1", type=[
                {"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}]),
        ),
    )  # fmt: skip
    sound = {"issued": "2024-01-01T00:00:00Z", "effectiveDateTime": "2024"}
    assert found(judge.validate(observation(**sound))) == []
    assert found(judge.validate(observation(**sound, method={"text": "x"}))) == [("error", "Observation.method")]
    assert found(judge.validate(observation(effectiveDateTime="2024"))) == [("error", "Observation.issued")]
    note = [{"text": "x"}, {"text": "y"}]
    assert found(judge.validate(observation(**sound, note=note))) == [("error", "Observation.note")]
    period = {"issued": sound["issued"], "effectivePeriod": {"start": "2024"}}
    assert found(judge.validate(observation(**period))) == [("error", "Observation.effective")]
    group = {"subject": {"reference": "Group/1"}}
    assert found(judge.validate(observation(**sound, **group))) == [("error", "Observation.subject")]


def test_invariants_of_a_profile_say_their_severity(definitions: Definitions) -> None:
    def constraint(key: str, severity: str, expression: str) -> dict[str, Any]:
        return {"key": key, "severity": severity, "human": "prose", "expression": expression}

    rules = [constraint("my-1", "error", "note.exists()"), constraint("my-2", "warning", "method.exists()")]
    mine = definition("Observation")
    mine["snapshot"]["element"][0]["constraint"] = [*rules, constraint("my-3", "error", "unheardOf()")]
    report = validator(definitions, mine).validate(observation())
    assert [(i.severity, i.diagnostics.split(" rule ")[1].split(";")[0].split(",")[0]) for i in report.issues] == [
        ("error", "my-1"),
        ("warning", "my-2"),
        ("information", "my-3"),
    ]
    assert report.broken == "profile"


VALUES = {
    "resourceType": "ValueSet",
    "url": "http://example.org/ValueSet/mine",
    "compose": {"include": [{"system": "http://example.org/codes", "concept": [{"code": "a"}]}]},
}


def bound(value_set: str) -> dict[str, Any]:
    binding = {"strength": "required", "valueSet": value_set}
    return definition(
        "Observation", element("Observation.method", 0, "1", type=[{"code": "CodeableConcept"}], binding=binding)
    )


def test_value_sets_of_a_package_take_part(definitions: Definitions) -> None:
    judge = validator(definitions, bound("http://example.org/ValueSet/mine|1.0"), VALUES)
    assert found(judge.validate(observation(method=A))) == []
    assert found(judge.validate(observation(method=B))) == [("error", "Observation.method")]
    assert found(judge.validate(observation(method={"text": "a"}))) == [("error", "Observation.method")]


def test_what_terminology_is_missing_for_is_said_to_be_unchecked(definitions: Definitions) -> None:
    report = validator(definitions, bound("http://example.org/ValueSet/elsewhere")).validate(observation(method=B))
    assert found(report) == [("information", "Observation.method")]
    assert "not checked" in report.issues[0].diagnostics
    assert report.broken is None


def extension(**more: Any) -> dict[str, Any]:
    return definition(
        "Extension",
        element("Extension.url", 1, "1", fixedUri=URL, type=[{"code": "uri"}]),
        element("Extension.value[x]", 1, "1", type=[{"code": "boolean"}]),
        kind="complex-type",
        **more,
    )


def with_extension(member: str = "extension", **value: Any) -> dict[str, Any]:
    sent: Any = [{"url": URL, **(value or {"valueBoolean": True})}]
    return json.loads(json.dumps({"resourceType": "Basic", "code": {"text": "x"}, member: sent}))


def test_an_extension_follows_its_definition_and_stands_where_that_allows(definitions: Definitions) -> None:
    context = [{"type": "element", "expression": "Basic"}]
    judge = validator(definitions, extension(context=context))
    assert found(judge.validate(with_extension())) == []
    assert found(judge.validate(with_extension(valueString="x"))) == [("error", "Basic.extension[0].value")]
    moved = {**with_extension(), "code": {"text": "x", "extension": with_extension()["extension"]}}
    assert found(judge.validate(moved)) == [("error", "Basic.code.extension[0]")]
    placed = validator(definitions, extension(context=[{"type": "element", "expression": "Basic.code"}]))
    assert found(placed.validate({name: moved[name] for name in ("resourceType", "code")})) == []
    assert found(placed.validate(moved)) == [("error", "Basic.extension[0]")]


def test_a_modifier_extension_is_known_and_sent_as_one(definitions: Definitions) -> None:
    plain = validator(definitions, extension())
    assert found(plain.validate(with_extension("modifierExtension"))) == [("error", "Basic.modifierExtension[0]")]
    mine = extension()
    mine["snapshot"]["element"][0]["isModifier"] = True
    modifying = validator(definitions, mine)
    assert found(modifying.validate(with_extension("modifierExtension"))) == []
    assert found(modifying.validate(with_extension())) == [("error", "Basic.extension[0]")]


def test_a_package_without_snapshots_is_refused_and_says_so(definitions: Definitions) -> None:
    mine = definition("Observation")
    del mine["snapshot"]
    with pytest.raises(PackageUnusable, match="differential only"):
        compile_guide(package(mine), definitions)


def test_a_profile_of_what_r4_has_not_is_refused(definitions: Definitions) -> None:
    with pytest.raises(PackageUnusable, match=r"Observation\.bogus"):
        compile_guide(package(definition("Observation", element("Observation.bogus"))), definitions)


def test_an_unversioned_claim_means_the_newest_loaded_version(definitions: Definitions) -> None:
    old = definition("Observation", element("Observation.note", 1, "*", type=[{"code": "Annotation"}]), version="1.9.0")
    new = definition("Observation", element("Observation.issued", 1, "1", type=[{"code": "instant"}]), version="1.10.0")
    packages = [json.dumps(compile_guide(package(one, version=one["version"]), definitions)) for one in (new, old)]
    judge = Validator(definitions.with_packages(packages), policy="off")
    assert found(judge.validate(observation())) == [("error", "Observation.issued")]
    pinned = observation(meta={"profile": [f"{URL}|1.9.0"]})
    assert found(judge.validate(pinned)) == [("error", "Observation.note")]
    unknown = observation(meta={"profile": [f"{URL}|2.0.0"]})
    assert found(judge.validate(unknown)) == [("warning", "Observation.meta.profile")]


def test_packages_change_the_digest_in_whatever_order_they_are_added(definitions: Definitions) -> None:
    one, other = (json.dumps(compile_guide(package(VALUES, version=v), definitions)) for v in ("1", "2"))
    both = definitions.with_packages([one, other])
    assert both.digest == definitions.with_packages([other, one]).digest
    assert len({definitions.digest, both.digest, definitions.with_packages([one]).digest}) == 3


def test_a_profile_of_another_type_is_an_error(definitions: Definitions) -> None:
    judge = validator(definitions, definition("Patient"))
    assert found(judge.validate(observation())) == [("error", "Observation.meta.profile")]


UCUM = "http://unitsofmeasure.org"


def reference(canonical: str) -> dict[str, Any]:
    return {"type": [{"code": "Reference", "targetProfile": [canonical]}]}


@pytest.mark.parametrize(
    ("limits", "value", "broken"),
    [
        ({"minValueInteger": 2}, {"valueInteger": 2}, False),
        ({"minValueInteger": 2}, {"valueInteger": 1}, True),
        ({"maxValueInteger": 2}, {"valueInteger": 3}, True),
        ({"maxValueInteger": 2}, {"valueString": "9"}, False),
        ({"minValueDateTime": "2020-02"}, {"valueDateTime": "2020-02-01"}, False),
        ({"minValueDateTime": "2020-02"}, {"valueDateTime": "2020-01-31T23:59:59Z"}, True),
        ({"minValueDateTime": "2020-02"}, {"valueDateTime": "2020"}, False),  # may be later
        ({"maxValueDateTime": "2020-02"}, {"valueDateTime": "2020-02-29"}, False),
        ({"maxValueDateTime": "2020-02"}, {"valueDateTime": "2020-03-01"}, True),
        ({"maxValueTime": "12:00:00"}, {"valueTime": "12:00:01"}, True),
        (
            {"minValueQuantity": {"value": 1, "system": UCUM, "code": "g"}},
            {"valueQuantity": {"value": 0.5, "system": UCUM, "code": "g"}},
            True,
        ),
        (
            {"minValueQuantity": {"value": 1, "system": UCUM, "code": "g"}},
            {"valueQuantity": {"value": 0.5, "system": UCUM, "code": "kg"}},
            False,
        ),
        ({"maxLength": 3}, {"valueString": "\u00e9\u00e9\u00e9"}, False),
        ({"maxLength": 3}, {"valueString": "four"}, True),
        ({"maxLength": 3}, {"valueInteger": 4444}, False),
    ],
)
def test_limits_of_values_and_texts(
    definitions: Definitions, limits: dict[str, Any], value: dict[str, Any], broken: bool
) -> None:
    limited = validator(definitions, definition("Observation", element("Observation.value[x]", 0, "1", **limits)))
    report = limited.validate(observation(**value))
    assert found(report) == ([("error", "Observation.value")] if broken else [])
    assert report.broken == ("profile" if broken else None)


NAMED = "http://example.org/fhir/StructureDefinition/named"
SUBJECT = (
    definition("Observation", element("Observation.subject", 0, "1", **reference(NAMED))),
    {**definition("Patient", element("Patient.name", 1)), "url": NAMED},
)


def test_what_is_contained_has_to_follow_the_profile_a_reference_asks_for(definitions: Definitions) -> None:
    asking = validator(definitions, *SUBJECT)
    patient: dict[str, Any] = {"resourceType": "Patient", "id": "p"}
    subject = {"reference": "#p"}
    bad = asking.validate(observation(contained=[patient], subject=subject))
    assert found(bad) == [("error", "Observation.subject")]
    assert NAMED in bad.issues[0].diagnostics
    good = {**patient, "name": [{"text": "A"}]}
    assert not asking.validate(observation(contained=[good], subject=subject)).issues
    assert not asking.validate(observation(subject={"reference": "Patient/1"})).issues


def test_what_is_in_the_same_bundle_has_to_follow_the_profile_a_reference_asks_for(definitions: Definitions) -> None:
    asking = validator(definitions, *SUBJECT)

    def places(patient: dict[str, Any]) -> list[str]:
        entries: list[Any] = [
            {"fullUrl": "urn:uuid:0b4e1a3a-6a3f-4c6e-8f0a-2d7f3c9a9f01", "resource": patient},
            {"resource": observation(subject={"reference": "urn:uuid:0b4e1a3a-6a3f-4c6e-8f0a-2d7f3c9a9f01"})},
        ]
        bundle: Any = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        issues = asking.validate(json.loads(json.dumps(bundle))).issues
        return [issue.expressions[0] for issue in issues if issue.severity == "error"]

    assert places({"resourceType": "Patient"}) == ["Bundle.entry[1].resource.subject"]
    assert places({"resourceType": "Patient", "name": [{"text": "A"}]}) == []


def test_resources_that_refer_to_each_other_are_judged_once(definitions: Definitions) -> None:
    other = element("Patient.link.other", 1, "1", **reference(URL))
    circle = definition("Patient", element("Patient.link"), other)

    def linked(to: str, **more: Any) -> dict[str, Any]:
        return {"resourceType": "Patient", "link": [{"other": {"reference": to}, "type": "seealso"}], **more}

    contained = [linked("#b", id="a"), linked("#a", id="b")]
    patient = json.dumps(linked("#a", meta={"profile": [URL]}, contained=contained))
    assert not validator(definitions, circle).validate(json.loads(patient)).issues


@pytest.mark.parametrize(
    ("system", "code", "warned"),
    [
        ("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item", False),
        ("http://terminology.hl7.org/CodeSystem/condition-category", "no-such-code", True),
        ("http://example.org/codes", "no-such-code", False),
    ],
)
def test_a_code_that_is_none_of_the_system_of_an_extensible_binding_is_a_warning(
    definitions: Definitions, system: str, code: str, warned: bool
) -> None:
    def checked(*codings: Any) -> Report:
        condition: Any = {"resourceType": "Condition", "category": [{"coding": list(codings)}]}
        return Validator(definitions, policy="off").validate({**condition, "subject": {"reference": "Patient/1"}})

    coding = {"system": system, "code": code}
    report = checked(coding)
    assert found(report) == ([("warning", "Condition.category[0]")] if warned else [])
    assert report.broken is None
    assert not checked(coding, {"system": "http://example.org/other", "code": "x"}).issues


def test_an_extensible_binding_of_a_profile_is_a_warning_and_names_it(definitions: Definitions) -> None:
    system, value_set = "http://example.org/codes", "http://example.org/fhir/ValueSet/mine"
    binding = {"strength": "extensible", "valueSet": value_set}
    checked = validator(
        definitions,
        definition("Observation", element("Observation.method", 0, "1", binding=binding)),
        {"resourceType": "CodeSystem", "url": system, "content": "complete", "concept": [{"code": "a"}]},
        {"resourceType": "ValueSet", "url": value_set, "compose": {"include": [{"system": system}]}},
    )
    assert not checked.validate(observation(method=A)).issues
    (issue,) = checked.validate(observation(method=B)).issues
    assert (issue.severity, issue.expressions) == ("warning", ("Observation.method",))
    assert URL in issue.diagnostics
