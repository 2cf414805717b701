from decimal import Decimal

import pytest

from toro_core.fhirpath.errors import InvalidExpression
from toro_core.fhirpath.nodes import (
    Binary,
    Call,
    Constant,
    Empty,
    External,
    Index,
    Member,
    Node,
    Quantity,
    Sign,
    Temporal,
    TypeTest,
    Variable,
)
from toro_core.fhirpath.parser import parse

A, B, C = (Member(None, name) for name in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a.b", Member(A, "b")),
        ("a.`b c`", Member(A, "b c")),
        ("a[0].b", Member(Index(A, Constant(0)), "b")),
        (
            "a.where($this is Patient).first()",
            Call(Call(A, "where", (TypeTest("is", Variable("$this"), "Patient"),)), "first", ()),
        ),
        ("(a as System.String)", TypeTest("as", A, "System.String")),
        ("{}", Empty()),
        ("%resource.a", Member(External("resource"), "a")),
        ("%`vs-x`", External("vs-x")),
        (r"'it\'s \u0041\n'", Constant("it's A\n")),
        ("1.50", Constant(Decimal("1.50"))),
        ("2 years", Constant(Quantity(Decimal(2), "year"))),
        ("4.5 'mg'", Constant(Quantity(Decimal("4.5"), "mg"))),
        ("@2024-02", Constant(Temporal("2024-02"))),
        ("@2024-02-01T10:00:00.5+01:00", Constant(Temporal("2024-02-01T10:00:00.5+01:00"))),
        ("@T10:30", Constant(Temporal("T10:30"))),
        ("-1", Sign("-", Constant(1))),
        ("a.contains(b)", Call(A, "contains", (B,))),
        ("a // rest\n | /* or */ b", Binary("|", A, B)),
    ],
)
def test_each_form_has_its_tree(text: str, tree: Node) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("a implies b or c", "a implies (b or c)"),
        ("a or b and c", "a or (b and c)"),
        ("a xor b or c", "(a xor b) or c"),
        ("a and b in c", "a and (b in c)"),
        ("a contains b = c", "a contains (b = c)"),
        ("a != b < c", "a != (b < c)"),
        ("a >= b | c", "a >= (b | c)"),
        ("a | b as D", "a | (b as D)"),
        ("a + b is D", "(a + b) is D"),
        ("a & b * c", "a & (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a div b mod c", "(a div b) mod c"),
        ("-a * b", "(-a) * b"),
        ("-a.b", "-(a.b)"),
    ],
)
def test_operators_bind_as_the_specification_orders_them(text: str, grouped: str) -> None:
    assert parse(text) == parse(grouped)


@pytest.mark.parametrize(
    "text", ["", "a.", "a b", "1 +", "(a", "a[", "a..b", "and", "a.where(,)", "'open", "#", "a is 1"]
)
def test_what_is_not_fhirpath_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression):
        parse(text)


def test_deep_nesting_is_refused_before_it_exhausts_the_stack() -> None:
    with pytest.raises(InvalidExpression, match="nests deeper"):
        parse("(" * 5000 + "a" + ")" * 5000)
