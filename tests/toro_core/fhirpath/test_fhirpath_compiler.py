from typing import Any

import pytest

from toro_core.definitions import Definitions, load
from toro_core.fhirpath.compiler import compile_expression
from toro_core.fhirpath.errors import InvalidExpression, UnsupportedExpression

PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "extension": [{"url": "http://x", "valueString": "x"}, {"url": "http://y", "valueBoolean": True}],
    "name": [{"given": ["Ada", None, "Bea"], "family": "Lee"}, {"family": "Roe"}],
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b"}],
    "deceasedBoolean": False,
    "active": True,
    "generalPractitioner": [
        {"reference": "Practitioner/1"},
        {"reference": "https://other.example/fhir/Organization/2/_history/3"},
        {"identifier": {"value": "n"}, "type": "Practitioner"},
    ],
}


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Patient.name.given", ["Ada", "Bea"]),
        ("name.family", ["Lee", "Roe"]),
        ("Person.name", []),
        ("Resource.id | DomainResource.active", ["1", True]),
        ("Patient.name[1].family", ["Roe"]),
        ("Patient.name[2].family", []),
        ("Patient.name.given.first()", ["Ada"]),
        ("Patient.deceased", [False]),
        ("Patient.deceased.ofType(boolean)", [False]),
        ("(Patient.deceased as dateTime)", []),
        ("Patient.deceased is boolean", [True]),
        ("Patient.deceased is dateTime", [False]),
        ("Patient.deceased.exists() and Patient.deceased != false", [False]),
        ("Patient.telecom.where(system='phone').value", ["1"]),
        ("Patient.telecom.where(system = 'phone' or value = 'a@b').value", ["1", "a@b"]),
        ("Patient.telecom.where((system = 'phone').not()).value", ["a@b"]),
        ("Patient.telecom.exists(system = 'fax')", [False]),
        ("Patient.contact.empty()", [True]),
        ("Patient.contact.exists()", [False]),
        ("Patient.gender = 'male'", []),
        ("Patient.active = true", [True]),
        ("Patient.multipleBirth = 1", []),
        ("Patient.gender = 'male' or Patient.active", [True]),
        ("Patient.gender = 'male' and Patient.active.not()", [False]),
        ("Patient.gender = 'male' implies Patient.active", [True]),
        ("Patient.active xor false", [True]),
        ("Patient.extension('http://x').value", ["x"]),
        ("Patient.id.union(Patient.active)", ["1", True]),
        (
            "Patient.generalPractitioner.where(resolve() is Organization).reference",
            ["https://other.example/fhir/Organization/2/_history/3"],
        ),
        ("Patient.generalPractitioner.where(resolve() is Practitioner).exists()", [True]),
        ("Patient.generalPractitioner.resolve().ofType(Practitioner).exists()", [True]),
        ("Patient.name.where($this.family = 'Roe').exists()", [True]),
        ("{}.exists()", [False]),
        ("Patient.name.count()", [2]),
        ("Patient.name.given.skip(1)", ["Bea"]),
        ("Patient.telecom.where(value.startsWith('a')).system", ["email"]),
        ("Patient.name.exists(given.count() > 1)", [True]),
        ("Patient.birthDate < @2024", []),
        ("Patient.name = Patient.name", [True]),
        ("Patient.active is System.Boolean", [False]),
    ],
)
def test_values_of_an_expression(text: str, values: list[Any], definitions: Definitions) -> None:
    assert compile_expression(text, "Patient", definitions)(PATIENT) == values


def test_every_type_of_a_choice_is_a_branch_of_its_own(definitions: Definitions) -> None:
    branches = compile_expression("Patient.deceased", "Patient", definitions).branches
    assert {(branch.path, branch.type) for branch in branches} == {
        (("deceasedBoolean",), "boolean"),
        (("deceasedDateTime",), "dateTime"),
    }


def test_branches_know_whether_they_repeat_and_how_they_are_bound(definitions: Definitions) -> None:
    (gender,) = compile_expression("Patient.gender", "Patient", definitions).branches
    (use,) = compile_expression("Patient.name.use", "Patient", definitions).branches
    assert gender.value_set == "http://hl7.org/fhir/ValueSet/administrative-gender"
    assert not gender.repeats
    assert use.repeats


def test_backbone_and_content_reference_elements_are_followed(definitions: Definitions) -> None:
    text = "Questionnaire.item.item.linkId | Questionnaire.item.linkId"
    branches = compile_expression(text, "Questionnaire", definitions).branches
    assert [branch.path for branch in branches] == [("item", "item", "linkId"), ("item", "linkId")]


def test_contained_resources_are_told_apart_by_what_they_say(definitions: Definitions) -> None:
    expression = compile_expression("Patient.contained.ofType(Organization).name", "Patient", definitions)
    contained = [{"resourceType": "Organization", "name": "A"}, {"resourceType": "Practitioner"}]
    assert expression({"resourceType": "Patient", "contained": contained}) == ["A"]


@pytest.mark.parametrize(
    "text",
    [
        "Patient.birthDate < today()",
        "Patient.name.where(family = %resource.id)",
        "Patient.generalPractitioner.where(memberOf('http://v')).exists()",
        "Patient.generalPractitioner.resolve().name",
        "Patient.deceased[0]",
        "Patient.deceased.skip(1)",
        "1 + 1",
        "@2024",
    ],
)
def test_what_is_not_supported_is_refused_when_compiling(text: str, definitions: Definitions) -> None:
    with pytest.raises(UnsupportedExpression):
        compile_expression(text, "Patient", definitions)


def test_an_element_that_does_not_exist_is_refused_when_compiling(definitions: Definitions) -> None:
    with pytest.raises(InvalidExpression, match="no element `names`"):
        compile_expression("Patient.names", "Patient", definitions)
