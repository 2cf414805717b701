"""Equality, equivalence and order of values: http://hl7.org/fhirpath/N1/#equality"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from toro_core.fhirpath import quantities, temporal
from toro_core.fhirpath.errors import EvaluationFailed
from toro_core.fhirpath.quantities import Quantity
from toro_core.fhirpath.temporal import Temporal
from toro_core.fhirpath.values import Value

__all__ = ["all_equal", "all_equivalent", "equal", "key", "order"]

_DEFINITE: Final = {"year": "a", "month": "mo"}


def key(value: Value) -> Hashable:
    """Return what is the same for equal values, so that collections can be compared without looking at all pairs."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "", value  # for Python, True equals 1
    if kind is dict:
        return frozenset((name, key(inner)) for name, inner in value.items())
    if kind is list:
        return tuple(map(key, value))
    if kind is Quantity:
        return quantities.canonical(value) or (Decimal(value.value), value.unit)
    found: Hashable = value
    return found


def equal(left: Value, right: Value) -> bool | None:
    """Say whether two values are equal; None where precision or units leave it open."""
    if type(left) is Temporal and type(right) is Temporal:
        if (left.kind == "Time") != (right.kind == "Time"):
            return False
        found = temporal.compare(left, right)
        return None if found is None else found == 0
    if type(left) is Quantity or type(right) is Quantity:
        ones = _quantities(left, right)
        if ones is None:
            return False
        ratio = quantities.ratio(*ones)
        return None if ratio is None else ratio[0] == ratio[1]
    return key(left) == key(right)


def all_equal(lefts: Sequence[Value], rights: Sequence[Value]) -> bool | None:
    """Compare two collections, order counting; None where either is empty or a pair leaves it open."""
    if not lefts or not rights:
        return None
    if len(lefts) != len(rights):
        return False
    verdicts = [equal(left, right) for left, right in zip(lefts, rights, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


def all_equivalent(lefts: Sequence[Value], rights: Sequence[Value]) -> bool:
    """Compare two collections by `~`, whatever their order."""
    if len(lefts) != len(rights):
        return False
    left_over = list(rights)
    for left in lefts:
        for at, right in enumerate(left_over):
            if _equivalent(left, right):
                del left_over[at]
                break
        else:
            return False
    return True


def order(left: Value, right: Value) -> int | None:
    """Return -1, 0 or 1; None where it is open. Raises EvaluationFailed for values that have no order."""
    if type(left) is Temporal and type(right) is Temporal and (left.kind == "Time") == (right.kind == "Time"):
        return temporal.compare(left, right)
    if (type(left) is str and type(right) is str) or _are_numbers(left, right):
        return int(left > right) - int(left < right)
    ones = _quantities(left, right) if type(left) is Quantity or type(right) is Quantity else None
    if ones is None:
        raise EvaluationFailed("FHIRPath: values of these types have no order; compare values of one type.")
    ratio = quantities.ratio(*ones)
    return None if ratio is None else (ratio[0] > ratio[1]) - (ratio[0] < ratio[1])


def _quantities(left: Value, right: Value) -> tuple[Quantity, Quantity] | None:
    one, other = _quantity(left), _quantity(right)
    return None if one is None or other is None else (one, other)


def _quantity(value: Value) -> Quantity | None:
    if _is_number(value):
        return Quantity(Decimal(value), "1")
    return value if type(value) is Quantity else None


def _are_numbers(left: Value, right: Value) -> bool:
    return _is_number(left) and _is_number(right)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | Decimal) and type(value) is not bool


def _equivalent(left: Any, right: Any) -> bool:
    if type(left) is str and type(right) is str:
        return " ".join(left.casefold().split()) == " ".join(right.casefold().split())
    if _are_numbers(left, right):
        return _rounded_alike(Decimal(left), Decimal(right))
    if type(left) is Quantity or type(right) is Quantity:
        return _quantities_alike(left, right)
    if type(left) is dict and type(right) is dict:
        names = left.keys() | right.keys()
        return all(all_equivalent(_listed(left.get(name)), _listed(right.get(name))) for name in names if name != "id")
    return equal(left, right) is True


def _listed(value: Any) -> list[Any]:
    return value if type(value) is list else [] if value is None else [value]


def _quantities_alike(left: Value, right: Value) -> bool:
    ones = _quantities(left, right)
    if ones is None:
        return False
    one, other = (Quantity(quantity.value, _DEFINITE.get(quantity.unit, quantity.unit)) for quantity in ones)
    if one.unit == other.unit:
        return _rounded_alike(one.value, other.value)
    here, there = quantities.canonical(Quantity(Decimal(1), one.unit)), quantities.canonical(other)
    if here is None or there is None or here[1] != there[1]:
        return False
    moved = there[0] / here[0]
    digits = min(_digits(one.value), _digits(other.value))
    return round(moved, digits) == round(Fraction(one.value), digits)


def _rounded_alike(left: Decimal, right: Decimal) -> bool:
    digits = min(_digits(left), _digits(right))
    return round(Fraction(left), digits) == round(Fraction(right), digits)


def _digits(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
