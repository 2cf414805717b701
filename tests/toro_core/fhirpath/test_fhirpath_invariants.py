from typing import Any

import pytest

from toro_core.definitions import Definitions, load
from toro_core.fhirpath import (
    Element,
    Environment,
    EvaluationFailed,
    InvalidExpression,
    UnsupportedExpression,
    compile_invariant,
)

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "contained": [{"resourceType": "Organization", "id": "o"}],
    "contact": [{"name": {"family": "Roe"}}, {"gender": "male"}],
    "managingOrganization": {"reference": "#o"},
}


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


def holds(expression: str, type_name: str, node: Any, definitions: Definitions, **environment: Any) -> bool | None:
    surroundings = Environment(**{"resource": PATIENT, **environment})
    return compile_invariant(expression, type_name, definitions)(node, surroundings)


@pytest.mark.parametrize(
    ("expression", "type_name", "node", "held"),
    [
        ("name.exists() or telecom.exists()", "Patient.contact", PATIENT["contact"][0], True),
        ("name.exists() or telecom.exists()", "Patient.contact", PATIENT["contact"][1], False),
        ("start <= end", "Period", {"start": "2024-01-01", "end": "2024-02"}, True),
        ("start <= end", "Period", {"start": "2024-03", "end": "2024-02"}, False),
        ("start <= end", "Period", {"start": "2024"}, False),
        ("value > 0 and system = %ucum", "Age", {"value": 3, "system": "http://unitsofmeasure.org"}, True),
        ("hasValue() or (children().count() > id.count())", "HumanName", {"id": "x"}, False),
        ("hasValue() or (children().count() > id.count())", "HumanName", {"_family": {"id": "x"}}, True),
        ("hasValue()", "string", "x", True),
        ("hasValue()", "string", Element(None, "string", {"extension": [{"url": "u"}]}), False),
        ("$this is DateTime implies $this.toString().length() >= 10", "dateTime", "2024", False),
        ("extension.exists() != value.exists()", "Extension", {"url": "u", "valueBoolean": False}, True),
    ],
)
def test_a_constraint_holds_where_it_is_true(
    expression: str, type_name: str, node: Any, held: bool, definitions: Definitions
) -> None:
    assert holds(expression, type_name, node, definitions) is held


def test_contained_resources_have_to_be_referred_to(definitions: Definitions) -> None:
    expression = (
        "contained.where((('#'+id in (%resource.descendants().reference | %resource.descendants().as(canonical)"
        " | %resource.descendants().as(uri) | %resource.descendants().as(url))) or descendants().where(reference = '#')"
        ".exists() or descendants().where(as(canonical) = '#').exists()).not()).trace('unmatched', id).empty()"
    )
    unreferenced = {key: value for key, value in PATIENT.items() if key != "managingOrganization"}
    assert holds(expression, "Patient", PATIENT, definitions) is True
    assert holds(expression, "Patient", unreferenced, definitions, resource=unreferenced) is False


def test_what_terminology_does_not_know_is_neither_held_nor_violated(definitions: Definitions) -> None:
    expression = "where(code.memberOf('http://v')).exists()"
    node = {"code": {"text": "x"}}
    assert holds(expression, "Condition", node, definitions) is None
    assert (
        holds(expression, "Condition", node, definitions, member_of=lambda value, url: value == {"text": "x"}) is True
    )
    assert holds(f"{expression} or true", "Condition", {}, definitions) is True


def test_the_type_of_an_unresolved_reference_is_what_it_says(definitions: Definitions) -> None:
    expression = "who.resolve() is Practitioner"
    for reference, held in (
        ("Practitioner/1", True),
        ("https://a.example/fhir/Device/1/_history/2", False),
        ("#o", False),
    ):
        assert holds(expression, "Provenance.agent", {"who": {"reference": reference}}, definitions) is held


def test_an_element_that_the_type_has_not_is_refused_unless_lenient(definitions: Definitions) -> None:
    environment = Environment()
    with pytest.raises(InvalidExpression, match="no element `low`"):
        compile_invariant("low.empty()", "decimal", definitions)
    assert compile_invariant("low.empty()", "decimal", definitions, lenient=True)(1, environment) is True


def test_what_the_validator_checks_itself_is_refused(definitions: Definitions) -> None:
    with pytest.raises(UnsupportedExpression, match="narratives"):
        compile_invariant("htmlChecks()", "xhtml", definitions)


def test_an_element_of_another_structure_is_an_error_of_the_evaluation(definitions: Definitions) -> None:
    with pytest.raises(EvaluationFailed, match="structure"):
        holds("name.family.exists()", "Patient.contact", {"name": "x"}, definitions)
