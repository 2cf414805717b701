"""Quantities and the units they are compared by: http://hl7.org/fhirpath/N1/#quantity

Units are UCUM codes, read exactly: a factor and powers of base units. Years and months of the calendar are units of their
own, since they are no fixed number of days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeAlias

__all__ = ["CALENDAR", "Dimensions", "Quantity", "canonical", "product", "quotient", "ratio"]

Dimensions: TypeAlias = "tuple[tuple[str, int], ...]"
"""Base units and their powers, in order of the names, none of power 0."""
_Unit: TypeAlias = "tuple[Fraction, dict[str, int]]"

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
    unit = _calendar(quantity.unit) or _parsed(quantity.unit)
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


def _calendar(word: str) -> _Unit | None:
    if word not in CALENDAR:
        return None
    same = CALENDAR[word]
    return _parsed(same) if same else (Fraction(12 if word == "year" else 1), {"calendar month": 1})


_PREFIXES: Final = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip
_METRIC: Final[dict[str, tuple[str, str]]] = {
    "m": ("1", "m"),
    "s": ("1", "s"),
    "g": ("1", "g"),
    "K": ("1", "K"),
    "A": ("1", "A"),
    "cd": ("1", "cd"),
    "mol": ("1", "mol"),
    "rad": ("1", ""),
    "L": ("0.001", "m3"),
    "l": ("0.001", "m3"),
    "N": ("1000", "g.m.s-2"),
    "J": ("1000", "g.m2.s-2"),
    "W": ("1000", "g.m2.s-3"),
    "Pa": ("1000", "g.m-1.s-2"),
    "bar": ("100000000", "g.m-1.s-2"),
    "m[Hg]": ("133322387.415", "g.m-1.s-2"),
    "m[H2O]": ("9806650", "g.m-1.s-2"),
    "Hz": ("1", "s-1"),
    "Bq": ("1", "s-1"),
    "C": ("1", "A.s"),
    "V": ("1000", "g.m2.s-3.A-1"),
    "Ohm": ("1000", "g.m2.s-3.A-2"),
    "kat": ("1", "mol.s-1"),
    "U": ("1/60000000", "mol.s-1"),
    "eq": ("1", "mol"),
    "osm": ("1", "mol"),
    "cal": ("4184", "g.m2.s-2"),
    "t": ("1000000", "g"),
    "u": ("1.66053906660e-24", "g"),
    "Gy": ("1", "m2.s-2"),
    "Sv": ("1", "m2.s-2"),
    "[iU]": ("1", "[iU]"),
    "[IU]": ("1", "[iU]"),
}
_FIXED: Final[dict[str, tuple[str, str]]] = {
    "%": ("1/100", ""),
    "10*": ("10", ""),
    "10^": ("10", ""),
    "min": ("60", "s"),
    "h": ("3600", "s"),
    "d": ("86400", "s"),
    "wk": ("604800", "s"),
    "mo": ("2629800", "s"),
    "a": ("31557600", "s"),
    "[in_i]": ("0.0254", "m"),
    "[ft_i]": ("0.3048", "m"),
    "[yd_i]": ("0.9144", "m"),
    "[mi_i]": ("1609.344", "m"),
    "[lb_av]": ("453.59237", "g"),
    "[oz_av]": ("28.349523125", "g"),
    "[st_av]": ("6350.29318", "g"),
    "[gr]": ("0.06479891", "g"),
    "[ppth]": ("1/1000", ""),
    "[ppm]": ("1/1000000", ""),
    "[ppb]": ("1/1000000000", ""),
    "[gal_us]": ("0.003785411784", "m3"),
    "[qt_us]": ("0.000946352946", "m3"),
    "[pt_us]": ("0.000473176473", "m3"),
    "[foz_us]": ("0.0000295735295625", "m3"),
    "[arb'U]": ("1", "[arb'U]"),
}
_TOKEN = re.compile(r"([./()])|\{[^}]*\}|(\d+)(?![*^\d])|((?:\[[^\]]*\]|[^\s./(){}\[\]+\-\d]|\d+[*^])+)([+-]?\d+)?")
_POWER = re.compile(r"([a-zA-Z]+|\[[^\]]*\])(-?\d+)?")
_LONGEST: Final = 200
_HIGHEST: Final = 99


def _parsed(code: str) -> _Unit | None:
    """Read a UCUM term; None where it is malformed or has an atom that is not known here."""
    if code in ("", "1"):
        return Fraction(1), {}
    if len(code) > _LONGEST:
        return None
    tokens, at = [], 0
    while at < len(code):
        token = _TOKEN.match(code, at)
        if token is None:
            return None
        tokens.append(token)
        at = token.end()
    try:
        return _Terms(tokens).read()
    except (IndexError, KeyError, ValueError):
        return None


class _Terms:
    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def read(self) -> _Unit:
        unit = self._term()
        if self._at < len(self._tokens):
            raise ValueError
        return unit

    def _term(self) -> _Unit:
        unit: _Unit = Fraction(1), {}
        operator: str | None = "."
        if self._symbol() == "/":
            operator = self._next()
        while True:
            unit = _times(unit, self._component(), -1 if operator == "/" else 1)
            if self._symbol() not in (".", "/"):
                return unit
            operator = self._next()

    def _component(self) -> _Unit:
        token = self._tokens[self._at]
        self._at += 1
        symbol, number, atom, exponent = token.groups()
        if symbol == "(":
            unit = self._term()
            if self._next() != ")":
                raise ValueError
        elif symbol:
            raise ValueError
        else:
            unit = (Fraction(number or 1), {}) if atom is None else _raised(_atom(atom), int(exponent or 1))
        while self._at < len(self._tokens) and self._tokens[self._at][0].startswith("{"):
            self._at += 1
        return unit

    def _symbol(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def _next(self) -> str | None:
        symbol: str | None = self._tokens[self._at][1]
        self._at += 1
        return symbol


def _atom(name: str) -> _Unit:
    if name in _FIXED:
        return _unit(*_FIXED[name])
    if name in _METRIC:
        return _unit(*_METRIC[name])
    for length in (2, 1):
        if name[:length] in _PREFIXES and name[length:] in _METRIC:
            factor, powers = _unit(*_METRIC[name[length:]])
            return factor * Fraction(10) ** _PREFIXES[name[:length]], powers
    raise KeyError(name)


def _unit(factor: str, bases: str) -> _Unit:
    powers = {found[1]: int(found[2] or 1) for base in bases.split(".") if (found := _POWER.fullmatch(base))}
    return Fraction(factor), powers or ({bases: 1} if bases else {})


def _times(left: _Unit, right: _Unit, sign: int) -> _Unit:
    factor, powers = left
    powers = dict(powers)
    for base, power in right[1].items():
        powers[base] = powers.get(base, 0) + sign * power
    return (factor * right[0] if sign > 0 else factor / right[0]), powers


def _raised(unit: _Unit, power: int) -> _Unit:
    if abs(power) > _HIGHEST:
        raise ValueError
    return unit[0] ** power, {base: found * power for base, found in unit[1].items()}
