"""Units of measure read exactly, by the grammar of UCUM over a small own table: https://ucum.org/ucum"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, TypeAlias

__all__ = ["Unit", "read_unit"]

Unit: TypeAlias = "tuple[Fraction, dict[str, int]]"
"""A factor and the powers of base units."""

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


def read_unit(code: str) -> Unit | None:
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

    def read(self) -> Unit:
        unit = self._term()
        if self._at < len(self._tokens):
            raise ValueError
        return unit

    def _term(self) -> Unit:
        unit: Unit = Fraction(1), {}
        operator: str | None = "."
        if self._symbol() == "/":
            operator = self._next()
        while True:
            unit = _times(unit, self._component(), -1 if operator == "/" else 1)
            if self._symbol() not in (".", "/"):
                return unit
            operator = self._next()

    def _component(self) -> Unit:
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


def _atom(name: str) -> Unit:
    if name in _FIXED:
        return _unit(*_FIXED[name])
    if name in _METRIC:
        return _unit(*_METRIC[name])
    for length in (2, 1):
        if name[:length] in _PREFIXES and name[length:] in _METRIC:
            factor, powers = _unit(*_METRIC[name[length:]])
            return factor * Fraction(10) ** _PREFIXES[name[:length]], powers
    raise KeyError(name)


def _unit(factor: str, bases: str) -> Unit:
    powers = {found[1]: int(found[2] or 1) for base in bases.split(".") if (found := _POWER.fullmatch(base))}
    return Fraction(factor), powers or ({bases: 1} if bases else {})


def _times(left: Unit, right: Unit, sign: int) -> Unit:
    factor, powers = left
    powers = dict(powers)
    for base, power in right[1].items():
        powers[base] = powers.get(base, 0) + sign * power
    return (factor * right[0] if sign > 0 else factor / right[0]), powers


def _raised(unit: Unit, power: int) -> Unit:
    if abs(power) > _HIGHEST:
        raise ValueError
    return unit[0] ** power, {base: found * power for base, found in unit[1].items()}
