"""Numbers as FHIR searches them: with the precision they are written in. https://hl7.org/fhir/R4/search.html#number"""

from __future__ import annotations

import re
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from toro_core.search.plan import Prefix

__all__ = ["GREATEST", "Bounds", "InvalidNumber", "bounds", "to_float"]

GREATEST: Final = sys.float_info.max
"""What stands for an end that is open, or farther than a float reaches; its negative at the lower end."""

_PATTERN: Final = re.compile(r"[+-]?(\d{1,60})(\.\d{1,60})?([eE][+-]?\d{1,3})?", re.ASCII)


class InvalidNumber(ValueError):
    """The text is no number, or one of absurd length."""


class Bounds(NamedTuple):
    """What a prefix compares with: [low, high) for eq and ne, [low, high] for ap, else one number, both low and high."""

    low: Fraction
    high: Fraction


def bounds(prefix: Prefix, text: str) -> Bounds:
    """Return the bounds of a number under a prefix. Raises InvalidNumber.

    `100` stands for [99.5, 100.5) and `100.00` for [99.995, 100.005) where equality is asked for, and for itself elsewhere. A
    single digit with an exponent counts as two digits, as in the specification's example: `1e2` stands for [95, 105).
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise InvalidNumber
    value = Fraction(Decimal(text))
    if prefix not in {"eq", "ne", "ap"}:
        return Bounds(value, value)
    whole, fraction, exponent = match.groups()
    place = -len(fraction[1:]) if fraction else 0
    if exponent:
        place += int(exponent[1:]) - (len(whole) == 1 and not fraction)
    half = Fraction(10) ** place / 2
    if prefix == "ap":
        half = max(half, abs(value) / 10)
    return Bounds(value - half, value + half)


def to_float(value: Fraction | Decimal | int) -> float:
    """Return the nearest finite float."""
    try:
        number = float(value)
    except OverflowError:
        return GREATEST if value > 0 else -GREATEST
    if -GREATEST <= number <= GREATEST:
        return number
    return GREATEST if value > 0 else -GREATEST
