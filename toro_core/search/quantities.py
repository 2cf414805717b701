"""FHIR quantities as rows and as searches: in the unit published, and in the canonical unit of their system.

https://hl7.org/fhir/R4/search.html#quantity
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import inf, nextafter
from typing import Any, Final

from toro_core.search.numbers import GREATEST, Bounds, to_float
from toro_core.search.plan import Prefix, Quantity
from toro_core.search.ucum import UCUM, canonical
from toro_core.storage import QuantityRow

__all__ = ["CURRENCIES", "money_rows", "quantity_rows", "range_rows", "searched"]

CURRENCIES: Final = "urn:iso:std:iso:4217"
_FARTHEST: Final = 300
"""Powers of ten beyond which a value is not converted."""


def searched(param: str, prefix: Prefix, wanted: Bounds, system: str, code: str | None) -> Quantity:
    """Return what finds such values: canonical ones where the system has such."""
    low, high = wanted
    unit = canonical(code) if system == UCUM and code else None
    if unit is not None:
        low, high, code = (low + unit.offset) * unit.factor, (high + unit.offset) * unit.factor, unit.code
    return Quantity(param=param, prefix=prefix, low=to_float(low), high=to_float(high), system=system, code=code)


def quantity_rows(param: str, value: Any) -> Iterator[QuantityRow]:
    """Make the rows of a Quantity, Age, Duration, Count or Distance."""
    number = _number(value)
    if number is None:
        return
    comparator = value.get("comparator", "")
    yield from _rows(param, value, _spread(comparator, to_float(number)), number, comparator)


def range_rows(param: str, value: Any) -> Iterator[QuantityRow]:
    """Make the rows of a Range whose ends have one unit, or units that can be compared."""
    ends = [value.get("low") or {}, value.get("high") or {}]
    sides = [list(quantity_rows(param, end)) for end in ends]
    if not any(sides):
        return
    for system, code in dict.fromkeys((row.system, row.code) for row in sides[0] + sides[1]):
        lows, highs = ([row for row in side if (row.system, row.code) == (system, code)] for side in sides)
        if (lows or not sides[0]) and (highs or not sides[1]):
            low, high = lows[0].low if lows else -GREATEST, highs[0].high if highs else GREATEST
            yield QuantityRow(param, system, code, low, high)


def money_rows(param: str, value: Any) -> Iterator[QuantityRow]:
    """Make the rows of Money."""
    number = _number(value)
    if number is not None:
        amount = to_float(number)
        currency = value.get("currency", "")
        yield QuantityRow(param, "", currency, amount, amount)
        if currency:
            yield QuantityRow(param, CURRENCIES, currency, amount, amount)


def _rows(
    param: str, value: Any, published: tuple[float, float], number: Decimal | int, comparator: str
) -> Iterator[QuantityRow]:
    system, code, unit = value.get("system", ""), value.get("code", ""), value.get("unit", "")
    yield QuantityRow(param, "", code or unit, *published)
    if unit and code and unit != code:
        yield QuantityRow(param, "", unit, *published)
    if not system:
        return
    known = canonical(code) if system == UCUM and code else None
    if known is None:
        yield QuantityRow(param, system, code, *published)
    elif not isinstance(number, Decimal) or abs(number.adjusted()) < _FARTHEST:
        amount = to_float((Fraction(number) + known.offset) * known.factor)
        yield QuantityRow(param, system, known.code, *_spread(comparator, amount))


def _number(value: Any) -> Decimal | int | None:
    number = value.get("value")
    return number if isinstance(number, Decimal | int) and not isinstance(number, bool) else None


def _spread(comparator: str, number: float) -> tuple[float, float]:
    """Return the values that `<5` may stand for."""
    match comparator:
        case "<":
            return -GREATEST, nextafter(number, -inf)
        case "<=":
            return -GREATEST, number
        case ">=":
            return number, GREATEST
        case ">":
            return nextafter(number, inf), GREATEST
        case _:
            return number, number
