"""Arithmetic on decimals and integers: http://hl7.org/fhirpath/N1/#math

What overflows is empty. Integers have 32 bits; decimals are exact up to 38 digits.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final, TypeAlias

from toro_core.fhirpath.building import Function
from toro_core.fhirpath.quantities import Quantity
from toro_core.fhirpath.scalar import NUMBERS, NUMERIC, scalar
from toro_core.fhirpath.values import DECIMAL, INTEGER

__all__ = ["MATH", "Number", "add", "divide", "integer", "modulo", "multiply", "negate", "subtract", "whole_quotient"]

Number: TypeAlias = "int | Decimal"

_DIGITS: Final = 38
_INTEGERS: Final = range(-(2**31), 2**31)


def add(left: Number, right: Number) -> Number | None:
    """Return left + right."""
    return _computed(left, right, int.__add__, decimal.Context.add)


def subtract(left: Number, right: Number) -> Number | None:
    """Return left - right."""
    return _computed(left, right, int.__sub__, decimal.Context.subtract)


def multiply(left: Number, right: Number) -> Number | None:
    """Return left * right."""
    return _computed(left, right, int.__mul__, decimal.Context.multiply)


def divide(left: Number, right: Number) -> Number | None:
    """Return left / right, a decimal; None for a division by zero."""
    return _exact(lambda context: context.divide(Decimal(left), Decimal(right))) if right else None


def whole_quotient(left: Number, right: Number) -> Number | None:
    """Return the integer part of left / right."""
    return _exact(lambda context: _whole(context.divide_int(Decimal(left), Decimal(right)))) if right else None


def modulo(left: Number, right: Number) -> Number | None:
    """Return what is left over by `whole_quotient`."""
    if not right:
        return None
    rest = _exact(lambda context: context.remainder(Decimal(left), Decimal(right)))
    return int(rest) if rest is not None and isinstance(left, int) and isinstance(right, int) else rest


def negate(value: Number | Quantity) -> Number | Quantity:
    """Return -value."""
    return Quantity(value.value.copy_negate(), value.unit) if isinstance(value, Quantity) else _negated(value)


def integer(value: int) -> int | None:
    """Return an integer that FHIRPath has, None for a larger one."""
    return value if value in _INTEGERS else None


def _negated(value: Number) -> Number:
    return value.copy_negate() if isinstance(value, Decimal) else -value


def _computed(
    left: Number,
    right: Number,
    whole: Callable[[int, int], int],
    exact: Callable[[decimal.Context, Decimal, Decimal], Decimal],
) -> Number | None:
    if isinstance(left, int) and isinstance(right, int):
        return integer(whole(left, right))
    return _exact(lambda context: exact(context, Decimal(left), Decimal(right)))


def _exact(compute: Callable[[decimal.Context], Number | None]) -> Number | None:
    """Compute with 38 digits; None where the result is no number or too large."""
    context = decimal.Context(prec=_DIGITS, rounding=ROUND_HALF_UP)
    try:
        return compute(context)
    except (ArithmeticError, ValueError):
        return None


def _whole(value: Decimal) -> Number | None:
    return integer(int(value)) if abs(value.adjusted()) <= _DIGITS else None


def _rounded(rounding: str) -> Callable[[Number], Number | None]:
    return lambda value: _exact(lambda _: _whole(Decimal(value).to_integral_value(rounding)))


def _absolute(value: Number | Quantity) -> Number | Quantity:
    return Quantity(value.value.copy_abs(), value.unit) if isinstance(value, Quantity) else _positive(value)


def _positive(value: Number) -> Number:
    return value.copy_abs() if isinstance(value, Decimal) else abs(value)


def _round(value: Number, digits: Number = 0) -> Number | None:
    if not 0 <= digits <= _DIGITS:
        return None
    return _exact(lambda context: Decimal(value).quantize(Decimal(1).scaleb(-int(digits)), context=context))


def _square_root(value: Number) -> Number | None:
    return _exact(lambda context: context.sqrt(Decimal(value)))


def _natural_logarithm(value: Number) -> Number | None:
    return _exact(lambda context: context.ln(Decimal(value))) if value > 0 else None


def _logarithm(value: Number, base: Number) -> Number | None:
    if value <= 0 or base <= 0 or base == 1:
        return None

    def compute(context: decimal.Context) -> Decimal:
        found = context.divide(context.ln(Decimal(value)), context.ln(Decimal(base)))
        return decimal.Context(prec=_DIGITS - 8).plus(found)  # what division could not give exactly is rounded off

    return _exact(compute)


def _power(value: Number, exponent: Number) -> Number | None:
    found = _exact(lambda context: context.power(Decimal(value), Decimal(exponent)))
    if isinstance(value, int) and isinstance(exponent, int) and exponent >= 0 and isinstance(found, Decimal):
        return _whole(found)
    return found


MATH: Final[Mapping[str, Function]] = {
    "abs": scalar(NUMERIC, None, _absolute),
    "ceiling": scalar(NUMBERS, INTEGER, _rounded(ROUND_CEILING)),
    "floor": scalar(NUMBERS, INTEGER, _rounded(ROUND_FLOOR)),
    "truncate": scalar(NUMBERS, INTEGER, _rounded(ROUND_DOWN)),
    "round": scalar(NUMBERS, DECIMAL, _round, NUMBERS, optional=1),
    "exp": scalar(NUMBERS, DECIMAL, lambda value: _exact(lambda context: context.exp(Decimal(value)))),
    "ln": scalar(NUMBERS, DECIMAL, _natural_logarithm),
    "log": scalar(NUMBERS, DECIMAL, _logarithm, NUMBERS),
    "power": scalar(NUMBERS, None, _power, NUMBERS),
    "sqrt": scalar(NUMBERS, DECIMAL, _square_root),
}
