"""Quantities and the units they are compared by: http://hl7.org/fhirpath/N1/#quantity

Units are UCUM codes, compared exactly in their canonical form. Years and months of the calendar are units of their own, since
they are no fixed number of days.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from toro_core.search import ucum

__all__ = ["CALENDAR", "Quantity", "canonical", "product", "quotient", "ratio"]

CALENDAR: Final = {
    "year": None,
    "month": None,
    "week": "wk",
    "day": "d",
    "hour": "h",
    "minute": "min",
    "second": "s",
    "millisecond": "ms",
}
"""The calendar's words and the UCUM unit that each equals."""
_MONTHS: Final = {"year": 12, "month": 1}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit; `unit` is a UCUM code or a calendar word such as `year`."""

    value: Decimal
    unit: str

    def __str__(self) -> str:
        unit = self.unit if self.unit in CALENDAR else f"'{self.unit}'"
        return f"{self.value:f} {unit}"


def canonical(quantity: Quantity) -> tuple[Fraction, str] | None:
    """Return value and unit in base units; None for a unit that is not known here."""
    value = Fraction(quantity.value)
    if quantity.unit in _MONTHS:
        return value * _MONTHS[quantity.unit], "calendar month"
    unit = ucum.canonical(CALENDAR.get(quantity.unit) or quantity.unit or "1")
    return None if unit is None else ((value + unit.offset) * unit.factor, unit.code)


def ratio(left: Quantity, right: Quantity) -> tuple[Fraction, Fraction] | None:
    """Return both values in one unit; None where the units cannot be compared."""
    if left.unit == right.unit:
        return Fraction(left.value), Fraction(right.value)
    one, other = canonical(left), canonical(right)
    if one is None or other is None or one[1] != other[1]:
        return None
    return one[0], other[0]


def product(left: str, right: str) -> str:
    """Return the unit of a product."""
    if right == "1" or left == "1":
        return left if right == "1" else right
    return f"{left}.{right}"


def quotient(left: str, right: str) -> str:
    """Return the unit of a quotient."""
    if left == right:
        return "1"
    return left if right == "1" else f"{left}/{_grouped(right)}"


def _grouped(unit: str) -> str:
    return f"({unit})" if "." in unit or "/" in unit else unit
