"""Conversions: http://hl7.org/fhirpath/N1/#conversion"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from toro_core.fhirpath import numbers, quantities
from toro_core.fhirpath.building import Call, Function, single
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.quantities import CALENDAR, Quantity
from toro_core.fhirpath.scalar import ANYTHING, TEXT, scalar
from toro_core.fhirpath.temporal import DAY, Temporal, parse_date_time, parse_time
from toro_core.fhirpath.typed import Typed, made
from toro_core.fhirpath.values import BOOLEAN, DATE, DATE_TIME, DECIMAL, INTEGER, QUANTITY, STRING, TIME, Items, Value

__all__ = ["CONVERSIONS"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,100}(?:\.[0-9]{1,100})?")
_QUANTITY = re.compile(r"([+-]?[0-9]{1,100}(?:\.[0-9]{1,100})?)\s*(?:'([^']+)'|([a-z]+))?")
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "0.0"})


def _to_boolean(value: Value) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return bool(value) if value in (0, 1) else None
    if not isinstance(value, str):
        return None
    text = value.lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _to_integer(value: Value) -> int | None:
    if isinstance(value, int):
        return int(value)
    return numbers.integer(int(value)) if isinstance(value, str) and _INTEGER.fullmatch(value) else None


def _to_decimal(value: Value) -> Decimal | None:
    if isinstance(value, int | Decimal):
        return Decimal(value)
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def _to_string(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _to_date(value: Value) -> Temporal | None:
    found = _date_time(value)
    return Temporal("Date", found.fields[:DAY]) if found else None


def _to_date_time(value: Value) -> Temporal | None:
    found = _date_time(value)
    return Temporal("DateTime", found.fields, found.offset) if found else None


def _date_time(value: Value) -> Temporal | None:
    found = parse_date_time(value) if isinstance(value, str) else value
    return found if isinstance(found, Temporal) and found.kind != "Time" else None


def _to_time(value: Value) -> Temporal | None:
    found = parse_time(value) if isinstance(value, str) else value
    return found if isinstance(found, Temporal) and found.kind == "Time" else None


def _to_quantity(value: Value, unit: str | None = None) -> Quantity | None:
    found = _quantity(value)
    if found is None or unit is None or unit == found.unit:
        return found
    here, there = quantities.canonical(found), quantities.canonical(Quantity(Decimal(1), unit))
    if here is None or there is None or here[1] != there[1]:
        return None
    converted = _divided(here[0] / there[0])
    return None if converted is None else Quantity(converted, unit)


def _divided(value: Fraction) -> Decimal | None:
    found = numbers.divide(Decimal(value.numerator), Decimal(value.denominator))
    return None if found is None else Decimal(found)


def _quantity(value: Value) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    if isinstance(value, int | Decimal):
        return Quantity(Decimal(value), "1")
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    number, unit, word = match.groups()
    if word is not None and word.removesuffix("s") not in CALENDAR:
        return None
    return Quantity(Decimal(number), unit or (word.removesuffix("s") if word else "1"))


_TARGETS: Final[Mapping[str, tuple[str, Callable[..., Any]]]] = {
    "Boolean": (BOOLEAN, _to_boolean),
    "Integer": (INTEGER, _to_integer),
    "Decimal": (DECIMAL, _to_decimal),
    "String": (STRING, _to_string),
    "Date": (DATE, _to_date),
    "DateTime": (DATE_TIME, _to_date_time),
    "Time": (TIME, _to_time),
    "Quantity": (QUANTITY, _to_quantity),
}


def _converts(name: str, convert: Callable[..., Any]) -> Function:
    def build(call: Call) -> Typed:
        value = single(call, call.of)
        unit = single(call, call.argument(0)) if call.arguments else None

        def run(items: Items, scope: Scope) -> Items:
            found = value(items, scope)
            if found is None:
                return []
            if isinstance(found, dict):
                return [False]
            return [(convert(found, unit(items, scope)) if unit else convert(found)) is not None]

        return made(run, call.of)

    return Function(build, 0, 1 if name == "Quantity" else 0)


CONVERSIONS: Final[Mapping[str, Function]] = {
    **{f"to{name}": scalar(ANYTHING, type_, convert) for name, (type_, convert) in _TARGETS.items()},
    "toQuantity": scalar(ANYTHING, QUANTITY, _to_quantity, TEXT, optional=1),
    **{f"convertsTo{name}": _converts(name, convert) for name, (_, convert) in _TARGETS.items()},
}
