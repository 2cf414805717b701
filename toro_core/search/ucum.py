"""Units of measure in their canonical form, exactly: https://ucum.org/ucum

A small own table of the units that health records use, and the grammar of UCUM expressions over it. What the table does not
know has no canonical form and is compared with itself alone; so are arbitrary units, each a dimension of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final, TypeAlias

__all__ = ["UCUM", "Canonical", "canonical"]

UCUM: Final = "http://unitsofmeasure.org"

_Dimensions: TypeAlias = tuple[tuple[str, int], ...]
_LONGEST: Final = 100

_PREFIXES: Final = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip
_BASES: Final = ("m", "s", "g", "rad", "K", "C", "cd", "mol")
"""Atoms that stand for themselves. UCUM's mole is a number; here it is a dimension, so that moles are not taken for counts."""
_ARBITRARY: Final = (
    "[iU]", "[arb'U]", "[USP'U]", "[CFU]", "[PFU]", "[TCID_50]", "[CCID_50]", "[EID_50]", "[LD]", "[FFU]", "[BAU]",
    "[AU]", "[HPF]", "[LPF]", "[Amb'a'1'U]", "[D'ag'U]", "[ELU]", "[EU]", "[GPL'U]", "[MPL'U]", "[APL'U]", "[beth'U]", "[todd'U]",
    "[dye'U]", "[smgy'U]", "[bdsk'U]", "[ka'U]", "[knk'U]", "[mclg'U]", "[tb'U]", "[anti'Xa'U]",
)  # fmt: skip
_SPECIAL: Final = ("[pH]", "B", "Np", "B[SPL]", "B[V]", "B[mV]", "[diop]", "bit_s", "[p'diop]", "[hp'_X]", "[hp'_C]")
"""Atoms on another scale than a multiple of others: compared with themselves alone."""
_METRIC: Final = {
    "L": "1 dm3", "l": "1 dm3", "ar": "100 m2", "t": "1000 kg", "eq": "1 mol", "osm": "1 mol", "kat": "1 mol/s",
    "U": "1/60 umol/s", "sr": "1 rad2", "Hz": "1 s-1", "N": "1 kg.m/s2", "Pa": "1 N/m2", "J": "1 N.m", "W": "1 J/s",
    "A": "1 C/s", "V": "1 J/C", "F": "1 C/V", "Ohm": "1 V/A", "S": "1 Ohm-1", "Wb": "1 V.s", "T": "1 Wb/m2",
    "H": "1 Wb/A", "lm": "1 cd.sr", "lx": "1 lm/m2", "Bq": "1 s-1", "Gy": "1 J/kg", "Sv": "1 J/kg", "bar": "100000 Pa",
    "cal": "4.184 J", "cal_th": "4.184 J", "cal_IT": "4.1868 J", "[Cal]": "1000 cal_th", "eV": "1.602176634e-19 J",
    "u": "1.6605402e-24 g", "dyn": "1 g.cm/s2", "erg": "1 dyn.cm", "P": "1 dyn.s/cm2", "St": "1 cm2/s", "G": "1e-4 T",
    "R": "2.58e-4 C/kg", "RAD": "100 erg/g", "REM": "1 RAD", "Ci": "37e9 Bq", "m[H2O]": "9.80665e3 Pa",
    "m[Hg]": "133.3220e3 Pa", "g%": "1 g/dL", "mo_s": "2551442.976 s", "st": "1 m3", "pc": "3.085678e16 m",
    "bit": "1 1", "By": "8 bit", "Bd": "1 s-1", "[hnsf'U]": "1 1", "[CH]": "1 1", "[IU]": "1 [iU]",
}  # fmt: skip
"""Units that take prefixes, each a multiple of others."""
_PLAIN: Final = {
    "%": "1e-2 1", "[ppth]": "1e-3 1", "[ppm]": "1e-6 1", "[ppb]": "1e-9 1", "[pptr]": "1e-12 1", "min": "60 s",
    "h": "60 min", "d": "24 h", "wk": "7 d", "a_t": "365.24219 d", "a_j": "365.25 d", "a_g": "365.2425 d", "a": "1 a_j",
    "mo_j": "1/12 a_j", "mo_g": "1/12 a_g", "mo": "1 mo_j", "atm": "101325 Pa", "[psi]": "4.4482216152605 N/[in_i]2",
    "[in_i]": "2.54 cm", "[in_us]": "1/12 [ft_us]", "[ft_i]": "12 [in_i]", "[ft_us]": "1200/3937 m", "[yd_i]": "3 [ft_i]",
    "[mi_i]": "5280 [ft_i]", "[nmi_i]": "1852 m", "[kn_i]": "1 [nmi_i]/h", "[sin_i]": "1 [in_i]2", "[sft_i]": "1 [ft_i]2",
    "[cin_i]": "1 [in_i]3", "[cft_i]": "1 [ft_i]3", "[gr]": "64.79891 mg", "[lb_av]": "7000 [gr]", "[oz_av]": "1/16 [lb_av]",
    "[dr_av]": "1/16 [oz_av]", "[ston_av]": "2000 [lb_av]", "[stone_av]": "14 [lb_av]", "[oz_tr]": "480 [gr]",
    "[lb_tr]": "12 [oz_tr]", "[dr_ap]": "60 [gr]", "[oz_ap]": "480 [gr]", "[gal_us]": "231 [in_i]3", "[qt_us]": "1/4 [gal_us]",
    "[pt_us]": "1/2 [qt_us]", "[cup_us]": "1/2 [pt_us]", "[foz_us]": "1/8 [cup_us]", "[tbs_us]": "1/2 [foz_us]",
    "[tsp_us]": "1/3 [tbs_us]", "[cup_m]": "240 mL", "[tbs_m]": "15 mL", "[tsp_m]": "5 mL", "[foz_m]": "30 mL",
    "[foz_br]": "28.4130625 mL", "[pt_br]": "568.26125 mL", "[gal_br]": "4546.09 mL", "[drp]": "1/20 mL",
    "[in_i'H2O]": "249.08891 Pa", "[in_i'Hg]": "3386.3788 Pa", "[Ch]": "1/3 mm", "[car_m]": "0.2 g", "deg": "1/180 [pi].rad",
    "'": "1/60 deg", "''": "1/60 '", "gon": "0.9 deg", "circ": "360 deg", "sph": "4 [pi].sr", "[pi]": "3.141592653589793 1",
    "[c]": "299792458 m/s", "[g]": "9.80665 m/s2", "[lbf_av]": "4.4482216152605 N", "[Btu]": "1055.05585262 J",
    "[HP]": "745.69987 W",    "[Lmb]": "1 cd/cm2", "[MET]": "3.5 mL/min/kg", "kgf": "9.80665 N", "[PRU]": "79993200 Pa.s/m3",
    "10*": "10 1", "10^": "10 1",
}  # fmt: skip
"""Units that take no prefixes."""
_OFFSETS: Final = {"Cel": (Fraction(1), Fraction(27315, 100)), "[degF]": (Fraction(5, 9), Fraction(45967, 100))}
"""Temperatures: kelvins are (value + offset) * factor."""

_TOKENS: Final = re.compile(r"\{[^{}]*\}|[()./]|(?:\[[^\[\]]*\]|[^\[\]{}()./\s])+")
_POWER: Final = re.compile(r"(.*?)([+-]?\d{1,2})?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonical:
    """A unit in terms of the bases: canonical value = (value + offset) * factor, in the unit `code`."""

    code: str
    factor: Fraction
    offset: Fraction = Fraction(0)


class _Unknown(Exception):
    """Not an expression over the known units."""


@dataclass(frozen=True, slots=True)
class _Product:
    factor: Fraction = Fraction(1)
    dimensions: _Dimensions = ()

    def times(self, other: _Product, power: int = 1) -> _Product:
        exponents = dict(self.dimensions)
        for base, exponent in other.dimensions:
            exponents[base] = exponents.get(base, 0) + exponent * power
        kept = sorted((base, exponent) for base, exponent in exponents.items() if exponent)
        return _Product(self.factor * other.factor**power, tuple(kept))


@lru_cache(maxsize=4096)
def canonical(code: str) -> Canonical | None:
    """Return the canonical form of a UCUM code, None where it is not known."""
    if code in _OFFSETS:
        factor, offset = _OFFSETS[code]
        return Canonical(code="K", factor=factor, offset=offset)
    try:
        product = _parsed(code)
    except _Unknown:
        return None
    spelled = ".".join(base if exponent == 1 else f"{base}{exponent}" for base, exponent in product.dimensions)
    return Canonical(code=spelled or "1", factor=product.factor)


def _parsed(code: str) -> _Product:
    if len(code) > _LONGEST:
        raise _Unknown
    tokens = _TOKENS.findall(code)
    if "".join(tokens) != code or not tokens:
        raise _Unknown
    tokens.reverse()
    product = _expression(tokens)
    if tokens:
        raise _Unknown
    return product


def _expression(tokens: list[str]) -> _Product:
    """Read products and quotients from the left, up to a closing parenthesis."""
    product = _Product()
    power = 1
    if tokens and tokens[-1] == "/":
        tokens.pop()
        power = -1
    while True:
        product = product.times(_component(tokens), power)
        if not tokens or tokens[-1] not in {".", "/"}:
            return product
        power = 1 if tokens.pop() == "." else -1


def _component(tokens: list[str]) -> _Product:
    part = tokens.pop() if tokens else ")"
    if part == "(":
        product = _expression(tokens)
        if not tokens or tokens.pop() != ")":
            raise _Unknown
        return product
    if part[0] == "{":
        return _Product()
    if part in {")", ".", "/"}:
        raise _Unknown
    if tokens and tokens[-1][0] == "{":
        tokens.pop()  # an annotation means nothing
    return _unit(part)


def _unit(token: str) -> _Product:
    if token.isascii() and token.isdigit():
        if not int(token):
            raise _Unknown
        return _Product(Fraction(int(token)))
    found = _atom(token)
    if found is not None:
        return found
    matched = _POWER.fullmatch(token)
    atom = _atom(matched[1]) if matched and matched[2] else None
    if atom is None or matched is None:
        raise _Unknown
    return _Product().times(atom, int(matched[2]))


@lru_cache(maxsize=1024)
def _atom(name: str) -> _Product | None:
    """Return a unit with or without a metric prefix."""
    found = _plain(name) or _metric(name)
    if found is not None:
        return found
    for length in (1, 2):
        exponent, rest = _PREFIXES.get(name[:length]), name[length:]
        metric = _metric(rest) if exponent is not None and rest else None
        if metric is not None and exponent is not None:
            return _Product(metric.factor * Fraction(10) ** exponent, metric.dimensions)
    return None


def _metric(name: str) -> _Product | None:
    if name in _BASES or name in _ARBITRARY or name in _SPECIAL:
        return _Product(dimensions=((name, 1),))
    return _defined(_METRIC, name)


def _plain(name: str) -> _Product | None:
    return _defined(_PLAIN, name)


def _defined(table: dict[str, str], name: str) -> _Product | None:
    text = table.get(name)
    if text is None:
        return None
    number, _, unit = text.partition(" ")
    numerator, _, denominator = number.partition("/")
    read: Callable[[str], Fraction] = Fraction
    return _Product(read(numerator) / read(denominator or "1")).times(_parsed(unit))
