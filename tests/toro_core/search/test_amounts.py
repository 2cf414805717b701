"""Every prefix at every precision, for numbers and quantities."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.json import dumps, loads
from toro_core.search.evaluate import matches
from toro_core.search.extract import Extractor
from toro_core.search.numbers import GREATEST, InvalidNumber, bounds, to_float
from toro_core.search.parse import SearchParser
from toro_core.search.plan import Prefix
from toro_core.search.query import Parameter
from toro_core.search.ucum import UCUM
from toro_core.storage import Key, Rows

PREFIXES: tuple[Prefix, ...] = get_args(Prefix)

# By search value: values beside and on its edges, and the prefixes that find each.
TABLE: dict[str, dict[str, str]] = {
    "100": {
        "89": "ne lt le eb",
        "90": "ne lt le eb ap",
        "99": "ne lt le eb ap",
        "99.4999": "ne lt le eb ap",
        "99.5": "eq lt le eb ap",
        "99.9999": "eq lt le eb ap",
        "100": "eq ge le ap",
        "100.0": "eq ge le ap",
        "100.0001": "eq gt ge sa ap",
        "100.4999": "eq gt ge sa ap",
        "100.5": "ne gt ge sa ap",
        "110": "ne gt ge sa ap",
        "111": "ne gt ge sa",
    },
    "100.00": {
        "99.9949": "ne lt le eb ap",
        "99.995": "eq lt le eb ap",
        "100": "eq ge le ap",
        "100.0049": "eq gt ge sa ap",
        "100.005": "ne gt ge sa ap",
    },
    "1e2": {
        "94.9": "ne lt le eb ap",
        "95": "eq lt le eb ap",
        "104.9": "eq gt ge sa ap",
        "105": "ne gt ge sa ap",
    },
    "1.0e2": {"94.9": "ne lt le eb ap", "95": "eq lt le eb ap", "105": "ne gt ge sa ap"},
    "5.40e-3": {
        "0.0053949": "ne lt le eb ap",
        "0.005395": "eq lt le eb ap",
        "0.0054": "eq ge le ap",
        "0.005405": "ne gt ge sa ap",
    },
    "0": {
        "-0.5": "eq lt le eb ap",
        "-0.6": "ne lt le eb",
        "0": "eq ge le ap",
        "0.4": "eq gt ge sa ap",
        "0.5": "ne gt ge sa ap",
        "0.51": "ne gt ge sa",
    },
    "-2": {
        "-2.5": "eq lt le eb ap",
        "-2.6": "ne lt le eb",
        "-2": "eq ge le ap",
        "-1.5": "ne gt ge sa ap",
    },
}
CASES = [(value, found, prefixes) for value, rows in TABLE.items() for found, prefixes in rows.items()]


@pytest.fixture(scope="module")
def parser(extractor: Extractor) -> SearchParser:
    return SearchParser(extractor)


def finds(parser: SearchParser, resource_type: str, code: str, value: str, rows: Rows) -> bool:
    criterion = parser.parse(resource_type, [Parameter(code=code, values=(value,))]).criterion
    return matches(criterion, Key(resource_type, "1"), 0, rows)


def rows_of(extractor: Extractor, resource: dict[str, Any]) -> Rows:
    return extractor.rows(loads(dumps(resource)))


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
@pytest.mark.parametrize(("value", "found", "prefixes"), CASES)
def test_every_prefix_of_a_number_at_every_precision(
    prefix: str, value: str, found: str, prefixes: str, extractor: Extractor, parser: SearchParser
) -> None:
    resource = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": Decimal(found)}]}
    rows = rows_of(extractor, resource)
    expected = (prefix or "eq") in prefixes.split()
    assert finds(parser, "RiskAssessment", "probability", prefix + value, rows) == expected


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
@pytest.mark.parametrize(("value", "found", "prefixes"), CASES)
def test_every_prefix_of_a_quantity_at_every_precision_in_any_unit(
    prefix: str, value: str, found: str, prefixes: str, extractor: Extractor, parser: SearchParser
) -> None:
    quantity = {"value": Decimal(found), "unit": "milligrams", "system": UCUM, "code": "mg"}
    rows = rows_of(extractor, {"resourceType": "Observation", "valueQuantity": quantity})
    expected = (prefix or "eq") in prefixes.split()
    asked = prefix + value
    for unit in ("", f"|{UCUM}|mg", "||mg", "||milligrams"):
        assert finds(parser, "Observation", "value-quantity", asked + unit, rows) == expected, unit
    number, _, exponent = value.partition("e")
    grams = f"{prefix}{number}e{int(exponent or 0) - 3}|{UCUM}|g"
    if len(number.lstrip("-")) > 1 and "e" not in value:  # a single digit with an exponent has another precision
        assert finds(parser, "Observation", "value-quantity", grams, rows) == expected


@pytest.mark.parametrize(
    "unit", [f"|{UCUM}|kg", f"|{UCUM}|mL", f"|{UCUM}|[foo]", "|http://other|mg", "||kg", f"|{UCUM}|milligrams"]
)
@pytest.mark.parametrize("prefix", ["", "gt", "le"])
def test_no_unit_matches_another_by_number_alone(
    unit: str, prefix: str, extractor: Extractor, parser: SearchParser
) -> None:
    quantity = {"value": 100, "unit": "milligrams", "system": UCUM, "code": "mg"}
    rows = rows_of(extractor, {"resourceType": "Observation", "valueQuantity": quantity})
    found = finds(parser, "Observation", "value-quantity", f"{prefix}100{unit}", rows)
    assert found == (unit == f"|{UCUM}|kg" and prefix == "le"), "kilograms compare as grams do"


@pytest.mark.parametrize(
    ("comparator", "prefixes"),
    [("<", "ne lt le eb"), ("<=", "ne ge lt le"), (">=", "ne gt ge le"), (">", "ne gt ge sa")],
)
def test_a_comparator_stands_for_all_values_it_allows(
    comparator: str, prefixes: str, extractor: Extractor, parser: SearchParser
) -> None:
    quantity = {"value": 100, "comparator": comparator, "system": UCUM, "code": "mg"}
    rows = rows_of(extractor, {"resourceType": "Observation", "valueQuantity": quantity})
    for prefix in PREFIXES:
        if prefix != "ap":
            for asked in (f"{prefix}100", f"{prefix}0.100|{UCUM}|g"):
                assert finds(parser, "Observation", "value-quantity", asked, rows) == (prefix in prefixes.split())


@pytest.mark.parametrize(
    "text", ["", "x", "1.", ".5", "1e", "--1", "1,5", "٣", "nan", "inf", "0x10", "9" * 61, "1e1000", "1 2"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidNumber):
        bounds("eq", text)


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_floats_keep_the_order_of_the_numbers(one: Decimal, other: Decimal) -> None:
    if one <= other:
        assert to_float(one) <= to_float(other)
    assert abs(to_float(one)) <= GREATEST


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=3))
def test_a_number_lies_within_the_range_it_stands_for(value: Decimal) -> None:
    low, high = bounds("eq", str(value))
    assert low <= Fraction(value) < high
    assert high - low == Fraction(1, 1000)


@given(
    st.decimals(min_value=0, max_value=10**6, places=2),
    st.sampled_from(
        [("mg", "g", 3), ("g", "kg", 3), ("mL", "L", 3), ("ug/L", "mg/L", 3), ("mm", "m", 3), ("L", "mL", -3)]
    ),
)
def test_equal_amounts_in_different_units_find_each_other(value: Decimal, units: tuple[str, str, int]) -> None:
    from toro_core.search.quantities import quantity_rows, searched

    unit, other, power = units
    rows = Rows(quantities=tuple(quantity_rows("q", {"value": value, "system": UCUM, "code": unit})))
    strict: tuple[Prefix, ...] = ("gt", "lt")
    loose: tuple[Prefix, ...] = ("ge", "le")
    for prefix in loose:
        wanted = searched("q", prefix, bounds(prefix, str(value.scaleb(-power))), UCUM, other)
        assert matches(wanted, Key("Observation", "1"), 0, rows)
    for prefix in strict:
        wanted = searched("q", prefix, bounds(prefix, str(value.scaleb(-power))), UCUM, other)
        assert not matches(wanted, Key("Observation", "1"), 0, rows)
