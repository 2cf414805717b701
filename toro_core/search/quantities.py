"""FHIR quantities as rows and as searches: in the unit published, and in the canonical unit of their system.

https://hl7.org/fhir/R4/search.html#quantity
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from math import inf, nextafter
from typing import Any, Final, TypeAlias

from toro_core.search.numbers import GREATEST, Bounds, to_float
from toro_core.search.plan import Prefix, Quantity
from toro_core.search.ucum import UCUM, canonical
from toro_core.storage import QuantityRow

__all__ = ["CURRENCIES", "money_rows", "quantity_rows", "range_rows", "searched"]

CURRENCIES: Final = "urn:iso:std:iso:4217"
_FARTHEST: Final = 300
"""Powers of ten beyond which a value is not converted."""
_new: Final = tuple.__new__
"""Makes a row in half the time that the row's own constructor takes."""


def searched(param: str, prefix: Prefix, wanted: Bounds, system: str, code: str | None) -> Quantity:
    """Return what finds such values: canonical ones where the system has such."""
    low, high = wanted
    unit = canonical(code) if system == UCUM and code else None
    if unit is not None:
        low, high, code = (low + unit.offset) * unit.factor, (high + unit.offset) * unit.factor, unit.code
    return Quantity(param=param, prefix=prefix, low=to_float(low), high=to_float(high), system=system, code=code)


def quantity_rows(param: str, value: Any) -> list[QuantityRow]:
    """Make the rows of a Quantity, Age, Duration, Count or Distance; the one in a canonical unit, if any, is the last."""
    get = value.get
    number: Any = get("value")
    is_whole = number.__class__ is int
    if not is_whole and number.__class__ is not Decimal:
        return []
    name, alias, system, code, scale = _unit(get("system", ""), get("code", ""), get("unit", ""))
    comparator = get("comparator")
    # A quotient of whole numbers is rounded once, to the nearest float; that is quicker than to make one of a Decimal.
    is_near = is_whole or abs(number.adjusted()) < _FARTHEST
    top, bottom = number.as_integer_ratio() if is_near else (0, 0)
    published = _quotient(top, bottom) if is_near else to_float(number)
    low, high = _spread(comparator, published) if comparator else (published, published)
    rows = [_new(QuantityRow, (param, "", name, low, high))]
    if alias:
        rows.append(_new(QuantityRow, (param, "", alias, low, high)))
    if scale is None:
        if system:
            rows.append(_new(QuantityRow, (param, system, code, low, high)))
    elif is_near:
        canonical_code, factor, plus, divisor = scale
        amount = _quotient(factor * top + plus * bottom, divisor * bottom)
        low, high = _spread(comparator, amount) if comparator else (amount, amount)
        rows.append(_new(QuantityRow, (param, system, canonical_code, low, high)))
    return rows


def range_rows(param: str, value: Any) -> Iterator[QuantityRow]:
    """Make the rows of a Range whose ends have one unit, or units that can be compared."""
    ends = [value.get("low") or {}, value.get("high") or {}]
    sides = [quantity_rows(param, end) for end in ends]
    if not any(sides):
        return
    for system, code in dict.fromkeys((row.system, row.code) for side in sides for row in side):
        lows, highs = ([row for row in side if (row.system, row.code) == (system, code)] for side in sides)
        if (lows or not sides[0]) and (highs or not sides[1]):
            low, high = lows[0].low if lows else -GREATEST, highs[0].high if highs else GREATEST
            yield QuantityRow(param, system, code, low, high)


def money_rows(param: str, value: Any) -> Iterator[QuantityRow]:
    """Make the rows of Money."""
    number = value.get("value")
    if number is not None:
        amount = to_float(number)
        currency = value.get("currency", "")
        yield QuantityRow(param, "", currency, amount, amount)
        if currency:
            yield QuantityRow(param, CURRENCIES, currency, amount, amount)


_Scale: TypeAlias = tuple[str, int, int, int]
"""A canonical unit: its code, factor, addend and divisor, all whole numbers: value in it = (factor * value + addend) / divisor."""
_Unit: TypeAlias = tuple[str, str, str, str, _Scale | None]
"""What quantities of one unit have in common: the name it is published under and another one or "", system, code and scale."""


@lru_cache(maxsize=2000)
def _unit(system: str, code: str, text: str) -> _Unit:
    alias = text if code and text != code else ""
    scale = _scale(code) if system == UCUM and code else None
    return code or text, alias, system, code, scale


def _scale(code: str) -> _Scale | None:
    unit = canonical(code)
    if unit is None:
        return None
    top = unit.factor.numerator * unit.offset.denominator
    plus = unit.offset.numerator * unit.factor.numerator
    return unit.code, top, plus, unit.factor.denominator * unit.offset.denominator


def _quotient(top: int, bottom: int) -> float:
    try:
        return top / bottom
    except OverflowError:
        return GREATEST if top > 0 else -GREATEST


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
