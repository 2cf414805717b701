"""No expression and no input may make an evaluation run away, neither in time nor in memory."""

import time

import pytest

from toro_core.definitions import Definitions, load
from toro_core.fhirpath import EvaluationFailed, InvalidExpression, UnsupportedExpression, evaluate
from toro_core.json import JsonObject

PATIENT: JsonObject = {"resourceType": "Patient", "name": [{"given": [str(number) for number in range(2000)]}]}


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


@pytest.mark.parametrize(
    "text",
    [
        "(0 | 1).repeat($this + 1)",
        "(0 | 1).repeat(($this + 1) mod 3).repeat($this & 'x')",
        "name.given.select(%resource.name.given).count()",
        "name.given.where(%resource.name.given.where($this = 'x').exists())",
        "name.given.select(%resource.descendants()).count()",
        "name.given.aggregate($total.combine($total), 1)",
        "name.given.aggregate($total + $total, 'x')",
        "name.given.aggregate($total & $total, 'x')",
        "name.given ~ name.given.combine('x').skip(1)",
        "name.given.join(name.given.join('xxxxxxxxxx'))",
        "name.given.join('xxxxxxxxxx').replace('x', name.given.join('x'))",
        "name.given.join('xxxxxxxxxx').replaceMatches('x', name.given.join('x'))",
    ],
)
def test_what_costs_too_much_fails(text: str, definitions: Definitions) -> None:
    started = time.monotonic()
    with pytest.raises(EvaluationFailed):
        evaluate(text, PATIENT, definitions)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "text",
    [
        "2.power(1000000000)",
        "(-2).power(1000000001)",
        "1000000000.exp()",
        "10.power(9999).power(9999).power(9999)",
        "2147483647 + 1",
        "@9999-12-31 + 1 day",
        "@0001 - 1 year",
        "@2024 + 99999999999999999999 years",
        "1 / 0.0",
        "0.ln()",
    ],
)
def test_what_overflows_is_empty(text: str, definitions: Definitions) -> None:
    assert evaluate(text, PATIENT, definitions) == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("(" * 500 + "1" + ")" * 500, InvalidExpression),
        ("9" * 5000, InvalidExpression),
        ("name" + ".repeat($this" * 60 + ")" * 60, UnsupportedExpression),
        ("'x'.matches('(((a{0,50}){0,50}){0,50}){0,50}')", UnsupportedExpression),
        ("'x'.matches('" + "(" * 60 + ")" * 60 + "')", UnsupportedExpression),
    ],
)
def test_what_is_too_large_is_refused_when_compiling(
    text: str, error: type[Exception], definitions: Definitions
) -> None:
    with pytest.raises(error):
        evaluate(text, PATIENT, definitions)


def test_nested_type_tests_are_compiled_once(definitions: Definitions) -> None:
    text = "(" * 80 + "Patient.name" + ".first() as HumanName)" * 80
    assert evaluate(text + ".given.count() = 2000", PATIENT, definitions)[0].value is True
