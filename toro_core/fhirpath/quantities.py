"""Quantities and the units they are compared by: http://hl7.org/fhirpath/N1/#quantity

Units are UCUM codes, read exactly: a factor and powers of base units. Years and months of the calendar are units of their
own, since they are no fixed number of days.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeAlias

from toro_core.fhirpath.units import Unit, read_unit

__all__ = ["CALENDAR", "Dimensions", "Quantity", "canonical", "product", "quotient", "ratio"]

Dimensions: TypeAlias = "tuple[tuple[str, int], ...]"
"""Base units and their powers, in order of the names, none of power 0."""

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


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit; `unit` is a UCUM code or a calendar word such as `year`."""

    value: Decimal
    unit: str

    def __str__(self) -> str:
        unit = self.unit if self.unit in CALENDAR else f"'{self.unit}'"
        return f"{self.value:f} {unit}"


def canonical(quantity: Quantity) -> tuple[Fraction, Dimensions] | None:
    """Return value and dimensions in base units; None for a unit that is not known here."""
    unit = _calendar(quantity.unit) or read_unit(quantity.unit)
    if unit is None:
        return None
    factor, powers = unit
    dimensions = tuple(sorted((base, power) for base, power in powers.items() if power))
    return Fraction(quantity.value) * factor, dimensions


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


def _calendar(word: str) -> Unit | None:
    if word not in CALENDAR:
        return None
    same = CALENDAR[word]
    return read_unit(same) if same else (Fraction(12 if word == "year" else 1), {"calendar month": 1})
