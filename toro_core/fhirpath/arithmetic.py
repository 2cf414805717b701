"""`+ - * / div mod` on all values that have them: http://hl7.org/fhirpath/N1/#math"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from toro_core.fhirpath import numbers, quantities
from toro_core.fhirpath.durations import moved
from toro_core.fhirpath.errors import EvaluationFailed
from toro_core.fhirpath.quantities import Quantity
from toro_core.fhirpath.scalar import bounded
from toro_core.fhirpath.temporal import Temporal
from toro_core.fhirpath.values import Value

__all__ = ["OPERATIONS", "is_numeric", "negate"]

negate = numbers.negate


def is_numeric(value: Value) -> bool:
    """Say whether a value is a number or quantity."""
    return _is_number(value) or isinstance(value, Quantity)


def _add(left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        bounded(len(left) + len(right))
        return left + right
    if isinstance(left, Temporal) and isinstance(right, Quantity):
        return moved(left, right, 1)
    return _sum("+", numbers.add, left, right)


def _subtract(left: Value, right: Value) -> Value:
    if isinstance(left, Temporal) and isinstance(right, Quantity):
        return moved(left, right, -1)
    return _sum("-", numbers.subtract, left, right)


def _sum(operator: str, compute: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    if _is_number(left) and _is_number(right):
        return compute(left, right)
    ones = _quantities(operator, left, right)
    ratio = quantities.ratio(*ones)
    if ratio is None:
        return None
    unit = quantities.canonical(Quantity(Decimal(1), ones[0].unit))
    other = (
        ones[1].value
        if unit is None
        else _decimal(ratio[1] / unit[0])
        if ones[0].unit != ones[1].unit
        else ones[1].value
    )
    return _quantity(compute(ones[0].value, other), ones[0].unit)


def _multiply(left: Value, right: Value) -> Value:
    if _is_number(left) and _is_number(right):
        return numbers.multiply(left, right)
    one, other = _quantities("*", left, right)
    return _quantity(numbers.multiply(one.value, other.value), quantities.product(one.unit, other.unit))


def _divide(left: Value, right: Value) -> Value:
    if _is_number(left) and _is_number(right):
        return numbers.divide(left, right)
    one, other = _quantities("/", left, right)
    return _quantity(numbers.divide(one.value, other.value), quantities.quotient(one.unit, other.unit))


def _on_numbers(operator: str, compute: Callable[[Any, Any], Any]) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        if not _is_number(left) or not _is_number(right):
            raise _unfit(operator)
        return compute(left, right)

    return apply


def _quantities(operator: str, left: Value, right: Value) -> tuple[Quantity, Quantity]:
    if not is_numeric(left) or not is_numeric(right):
        raise _unfit(operator)
    one, other = (v if isinstance(v, Quantity) else Quantity(Decimal(v), "1") for v in (left, right))
    return one, other


def _quantity(value: Any, unit: str) -> Quantity | None:
    return None if value is None else Quantity(Decimal(value), unit)


def _decimal(value: Fraction) -> Any:
    return numbers.divide(Decimal(value.numerator), Decimal(value.denominator))


def _is_number(value: Value) -> bool:
    return isinstance(value, int | Decimal) and type(value) is not bool


def _unfit(operator: str) -> EvaluationFailed:
    return EvaluationFailed(f"FHIRPath: `{operator}` cannot be applied to values of these types.")


OPERATIONS: Final[Mapping[str, Callable[[Value, Value], Value]]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "div": _on_numbers("div", numbers.whole_quotient),
    "mod": _on_numbers("mod", numbers.modulo),
}
