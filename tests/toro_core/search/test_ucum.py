from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.search import ucum
from toro_core.search.ucum import canonical

# Pairs of codes and how many of the second the first is.
EQUAL: list[tuple[str, str, str]] = [
    ("g", "mg", "1000"),
    ("kg", "[lb_av]", "100000000/45359237"),
    ("mg/dL", "g/L", "1/100"),
    ("mg/dL", "ug/mL", "10"),
    ("mmol/L", "umol/mL", "1"),
    ("10*3/uL", "10*9/L", "1"),
    ("10^3/uL", "/nL", "1"),
    ("L", "dm3", "1"),
    ("l", "L", "1"),
    ("mm[Hg]", "kPa", "133322/1000000"),
    ("cm[H2O]", "Pa", "980665/10000"),
    ("/min", "Hz", "1/60"),
    ("{beats}/min", "/min", "1"),
    ("mL/min/{1.73_m2}", "mL/min", "1"),
    ("ng/mL{FEU}", "ug/L", "1"),
    ("%", "1", "1/100"),
    ("[in_i]", "cm", "254/100"),
    ("[ft_i]", "[in_i]", "12"),
    ("h", "min", "60"),
    ("wk", "d", "7"),
    ("a", "mo", "12"),
    ("kat", "U", "60000000"),
    ("m[IU]/L", "u[iU]/mL", "1"),
    ("kg/m2", "g/cm2", "1/10"),
    ("(mg/dL).h", "mg.h/dL", "1"),
    ("mg/(24.h)", "mg/d", "1"),
    ("m2.m-2", "1", "1"),
    ("[gal_us]", "L", "3785411784/1000000000"),
    ("deg", "'", "60"),
]
ALONE = ["[pH]", "B", "[iU]", "[CFU]", "mol", "C"]
UNKNOWN = [
    "",
    "x",
    "mg/",
    "/",
    "mg//dL",
    "(mg",
    "mg)",
    "0",
    "m 2",
    "mg{",
    "}",
    "[foo]",
    "da",
    "kmin",
    "μg",
    "m" * 200,
    "10*3/",
    "m999",
]


@pytest.mark.parametrize(("one", "other", "times"), EQUAL)
def test_units_of_one_dimension_have_one_canonical_unit(one: str, other: str, times: str) -> None:
    left, right = canonical(one), canonical(other)
    assert left is not None
    assert right is not None
    assert left.code == right.code
    assert left.factor / right.factor == Fraction(times)


def test_dimensions_that_differ_do_not_mix() -> None:
    codes = ["g", "m", "s", "K", "mol", "L", "g/L", "mol/L", "/min", "1", "Pa", "U", *ALONE[:4]]
    found = [unit.code for code in codes if (unit := canonical(code))]
    assert len(set(found)) == len(codes)


def test_temperatures_have_another_zero() -> None:
    def kelvins(value: str, code: str) -> Fraction:
        unit = canonical(code)
        assert unit is not None
        assert unit.code == "K"
        return (Fraction(value) + unit.offset) * unit.factor

    assert kelvins("37", "Cel") == Fraction("310.15")
    assert kelvins("98.6", "[degF]") == kelvins("37", "Cel")
    assert kelvins("-40", "[degF]") == kelvins("-40", "Cel")
    assert canonical("Cel/s") is None, "a difference is no temperature"


@pytest.mark.parametrize("code", UNKNOWN)
def test_what_is_no_known_unit_has_no_canonical_form(code: str) -> None:
    assert canonical(code) is None


@pytest.mark.parametrize("code", ["(" * 50 + "m" + ")" * 49, "[lb_av]99." * 9 + "m", "2147483647." * 8 + "m"])
def test_long_expressions_are_read_or_refused_at_once(code: str) -> None:
    canonical(code)


def test_every_unit_of_the_tables_is_defined_by_known_units() -> None:
    for name in (*ucum._METRIC, *ucum._PLAIN, *ucum._BASES, *ucum._ARBITRARY, *ucum._SPECIAL):
        unit = canonical(name)
        assert unit is not None, name
        assert unit.factor > 0, name


atoms = st.sampled_from(
    ["m", "mg", "kg", "s", "min", "L", "dL", "mol", "mmol", "mm[Hg]", "[iU]", "%", "10*3", "[in_i]", "{x}"]
)
powers = st.sampled_from(["", "2", "-1"])
factors = st.builds(lambda atom, power: atom + (power if atom not in {"10*3", "{x}", "%"} else ""), atoms, powers)
# Three of them keep under the length to which codes are read.
products = st.lists(factors, min_size=1, max_size=3).map(".".join)


@given(products, products)
def test_a_quotient_is_a_product_with_the_inverse(top: str, bottom: str) -> None:
    whole, over = canonical(top), canonical(bottom)
    quotient, back = canonical(f"{top}/({bottom})"), canonical(f"{top}/({bottom}).({bottom})")
    assert whole is not None
    assert over is not None
    assert quotient is not None
    assert back is not None
    assert quotient.factor == whole.factor / over.factor
    assert (back.code, back.factor) == (whole.code, whole.factor)


@given(products)
def test_a_canonical_unit_is_its_own_canonical_unit(code: str) -> None:
    unit = canonical(code)
    assert unit is not None
    again = canonical(unit.code)
    assert again is not None
    assert (again.code, again.factor, again.offset) == (unit.code, Fraction(1), Fraction(0))


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(code: str) -> None:
    canonical(code)
