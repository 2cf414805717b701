from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.definitions import Definitions, load
from toro_core.fhirpath import Environment, EvaluationFailed, InvalidExpression, evaluate
from toro_core.fhirpath.quantities import Quantity, canonical, ratio
from toro_core.fhirpath.temporal import parse_date_time, parse_time

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "_status": {"id": "s", "extension": [{"url": "http://e", "valueString": "x"}]},
    "contained": [{"resourceType": "Patient", "id": "p", "gender": "male"}],
    "subject": {"reference": "#p"},
    "performer": [{"reference": "Practitioner/1"}, {"reference": "Organization/2"}],
    "issued": "2024-02-28T23:30:00.5-05:00",
    "code": {"text": "weight"},
    "valueQuantity": {"value": Decimal("80.50"), "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    "component": [
        {"code": {"text": "a"}, "valueString": "text"},
        {"code": {"text": "b"}, "valueBoolean": False},
        {"code": {"text": "c"}, "valueInteger": 3},
    ],
}


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # primitives and what stands beside them
        ("status.extension('http://e').value", ["string x"]),
        ("status.id", ["string s"]),
        ("status.children().count()", ["System.Integer 2"]),
        ("status.getValue()", ["System.String final"]),
        ("status is string", ["System.Boolean True"]),
        ("status.ofType(string)", []),
        # values of a choice say their types themselves
        ("component.value", ["string text", "boolean False", "integer 3"]),
        ("component.value.ofType(integer)", ["integer 3"]),
        ("component.where(value is boolean).code.text", ["string b"]),
        ("value.value", ["decimal 80.50"]),
        ("(value as Quantity).unit", ["string kg"]),
        ("value.type().name", ["System.String Quantity"]),
        ("(component.value | 3).count()", ["System.Integer 3"]),
        # quantities
        ("value > 80000 'g'", ["System.Boolean True"]),
        ("value = 80.5 'kg'", ["System.Boolean True"]),
        ("value > 1 'm'", []),
        ("(1 'kg' + 500 'g').toString()", ["System.String 1.5 'kg'"]),
        ("(1 'h').toQuantity('min') = 60 'min'", ["System.Boolean True"]),
        ("12 months = 1 year", ["System.Boolean True"]),
        ("1 year = 1 'a'", []),
        ("1 year ~ 1 'a'", ["System.Boolean True"]),
        # dates
        ("issued > @2024-02-29T04:29:00Z and issued < @2024-02-29T04:31:00Z", ["System.Boolean True"]),
        ("issued + 1 month", ["System.DateTime 2024-03-28T23:30:00.5-05:00"]),
        ("issued + 45 minutes", ["System.DateTime 2024-02-29T00:15:00.5-05:00"]),
        ("@2024-01-31 + 1 month", ["System.Date 2024-02-29"]),
        ("@2024-01 + 59 days", ["System.Date 2024-02"]),
        ("@2024 - 30 months", ["System.Date 2022"]),
        ("@T23:30 + 45 minutes", ["System.Time 00:15"]),
        ("@2024-03-01T00:00:00 - 1 millisecond", ["System.DateTime 2024-02-29T23:59:59.999"]),
        # resources
        ("subject.resolve().ofType(Patient).gender", ["code male"]),
        ("performer.where(resolve() is Organization).reference", ["string Organization/2"]),
        ("performer.resolve()", []),
        ("contained.id", ["id p"]),
        ("%resource.id | %rootResource.id | %context.id", ["id o"]),
        (
            "%`ext-x` & %'vs-y'",
            ["System.String http://hl7.org/fhir/StructureDefinition/xhttp://hl7.org/fhir/ValueSet/y"],
        ),
        ("%list.count() + %one", ["System.Integer 3"]),
        # loops
        ("component.select($index)", ["System.Integer 0", "System.Integer 1", "System.Integer 2"]),
        ("component.where($index = 1).code.text", ["string b"]),
        ("component.where(code.select($index + 1).exists() and $index = 2).code.text", ["string c"]),
        ("component.code.text.aggregate($total & $this, '-')", ["System.String -abc"]),
        ("descendants().ofType(boolean)", ["boolean False"]),
        ("repeat(code | component).text", ["string weight", "string a", "string b", "string c"]),
        # collections
        ("component.code.text.intersect('c' | 'a')", ["string a", "string c"]),
        ("component.code.text.exclude('a')", ["string b", "string c"]),
        ("component.code.text contains 'b'", ["System.Boolean True"]),
        ("component.code = component.code", ["System.Boolean True"]),
        ("true = 1", ["System.Boolean False"]),
        ("(1 | true | 'true' | 1.0).count()", ["System.Integer 3"]),
    ],
)
def test_values_and_their_types(text: str, wanted: list[str], definitions: Definitions) -> None:
    environment = Environment(variables={"list": [1, 2], "one": 1})
    found = evaluate(text, OBSERVATION, definitions, environment)
    assert [f"{answer.type} {answer.value}" for answer in found] == wanted


@pytest.mark.parametrize(
    "text",
    [
        "component.value + 1",
        "component.code.text & 'x'",
        "component.where(code.text).single()",
        "status < 1",
        "'a' * 2",
        "-'a'",
        "@2024 + 1 'mo'",
        "(1 | 'a').allTrue()",
        "%unheard",
        "component as BackboneElement",
        "'x'.matches(status.replace('final', '['))",
    ],
)
def test_what_fhirpath_calls_an_error_is_one(text: str, definitions: Definitions) -> None:
    with pytest.raises(EvaluationFailed):
        evaluate(text, OBSERVATION, definitions)


@pytest.mark.parametrize(
    "text",
    [
        "statuses",
        "value.ofType(Quantity).start",
        "valueQuantity",
        "Patient.name",
        "code.startsWith('a')",
        "status.ofType(Unheard)",
        "1.unit",
        "where()",
        "@2024-02-30",
        "value.unheard",
        "component.value.where($this is Quantity).first().unheard",
    ],
)
def test_what_the_types_do_not_have_is_refused_when_compiling(text: str, definitions: Definitions) -> None:
    with pytest.raises(InvalidExpression):
        evaluate(text, OBSERVATION, definitions)


@pytest.mark.parametrize(
    "text", ["2024-13", "2024-02-30", "0000", "2024-02-03T24:00", "2024-02T10", "20240203", "2023-02-29"]
)
def test_there_are_no_such_dates(text: str) -> None:
    assert parse_date_time(text) is None


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_dates_are_written_as_they_were_read(moment: Any, offset: int) -> None:
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    zone = "Z" if offset == 0 else f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    text = moment.isoformat() + zone
    found = parse_date_time(text)
    assert found is not None
    assert str(found) == text
    assert str(parse_time(moment.time().isoformat())) == moment.time().isoformat()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 mm[Hg]", "133.322 Pa"),
        ("1 mg/dL", "10 g/m3"),
        ("1 mmol/L", "1 mol/m3"),
        ("1 10*3/uL", "1000000000 /L"),
        ("1 {beats}/min", "1 /min"),
        ("1 kg/m2", "0.1 g/cm2"),
        ("1 N", "1 kg.m/s2"),
        ("1 g/(m.s)", "1 g/m/s"),
        ("1 %", "0.01 1"),
        ("1 kg.m-2", "1000 g/m2"),
    ],
)
def test_units_that_mean_the_same(one: str, other: str) -> None:
    pair = [Quantity(Decimal(value), unit) for value, _, unit in (text.partition(" ") for text in (one, other))]
    found = ratio(pair[0], pair[1])
    assert found is not None
    assert found[0] == found[1]


@pytest.mark.parametrize("unit", ["lbs", "xyz", "m/", "(m", "m)", "m..s", "m s", "m" * 300, "m2000", "[unheard]"])
def test_units_that_are_not_known_compare_with_themselves_only(unit: str) -> None:
    quantity = Quantity(Decimal(1), unit)
    assert canonical(quantity) is None
    assert ratio(quantity, quantity) == (Fraction(1), Fraction(1))
    assert ratio(quantity, Quantity(Decimal(1), "m")) is None
