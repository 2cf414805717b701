"""Constraints as compiled FHIRPath: https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.constraint"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from toro_core.definitions import Definitions, InvariantFacts
from toro_core.errors import ToroError
from toro_core.fhirpath import InvalidExpression, compile_invariant
from toro_core.validation.context import Context
from toro_core.validation.findings import Layer, Problem, Problems
from toro_core.validation.members import ValueCheck

__all__ = ["constraint_check", "shortcut"]

_LONG: Final = 160


def _in_order(period: Any) -> bool:
    """Say whether a period has one end only, or two dates of the same precision and zone in order."""
    start, end = period.get("start"), period.get("end")
    if start is None or end is None:
        return True
    return (
        type(start) is str and type(end) is str and start[19:] == end[19:] and len(start) == len(end) and start <= end
    )


_ABSENT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "data.empty() or contentType.exists()": ("data",),
        "dataAbsentReason.empty() or value.empty()": ("dataAbsentReason",),
        "fullUrl.contains('/_history/').not()": ("fullUrl",),
        "value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()": (
            "component",
        ),
        "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')": ("name", "_name"),
        "probability is decimal implies (probability as decimal) <= 100": ("probabilityDecimal", "_probabilityDecimal"),
        "code.empty() or system.exists()": ("code",),
        "value.empty() or system.exists()": ("value", "_value"),
    }
)
"""Constraints that hold where all of these members are absent.

With some of them the expression is empty then: they speak of what is there.
"""
_PRESENT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "code.empty() or system.exists()": ("system",),
        "value.empty() or system.exists()": ("system",),
        "(component.empty() and hasMember.empty()) implies (dataAbsentReason.exists() or value.exists())": (
            "valueQuantity",
            "valueCodeableConcept",
            "component",
            "dataAbsentReason",
        ),
    }
)
"""Constraints that hold where any of these members is present."""
_UCUM: Final = "http://unitsofmeasure.org"
_IN_UCUM: Final = frozenset(
    f"{path}.system.empty() or {path}.system = '{_UCUM}'"
    for path in ("ofType(Quantity)", "value.ofType(Quantity)", "valueQuantity")
)
"""Constraints that hold of a quantity in units of UCUM."""
_LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "$this is dateTime implies $this.toString().length() >= 10": 10,
        "($this as dateTime).toString().length() >= 8": 8,
    }
)
"""Constraints that hold of a dateTime at least so long; those on a Period mean none of it."""


def shortcut(expression: str) -> Callable[[Any], bool] | None:
    """Return what is cheap to see and makes a constraint hold of a sound value; otherwise its expression decides."""
    if expression == "start.hasValue().not() or end.hasValue().not() or (start <= end)":
        return lambda node: type(node) is dict and _in_order(node)
    if expression in _LENGTHS:
        least = _LENGTHS[expression]
        return lambda value: type(value) is not str or len(value) >= least
    if expression in _IN_UCUM:
        return lambda node: type(node) is dict and node.get("system") == _UCUM
    absent, present = _ABSENT.get(expression, ()), _PRESENT.get(expression, ())
    if not absent and not present:
        return None

    def surely(node: Any) -> bool:
        if type(node) is not dict:
            return False
        for name in present:
            if name in node:
                return True
        for name in absent:
            if name in node:
                return False
        return bool(absent)

    return surely


_SYSTEM_TYPES: Final = re.compile(r"\bis (Boolean|Date|DateTime|Decimal|Integer|String|Time)\b")
"""R4's constraints name FHIRPath's types where they mean FHIR's."""


def _never(node: dict[str, Any]) -> bool:
    return False


def constraint_check(
    facts: tuple[InvariantFacts, ...],
    type_name: str,
    definitions: Definitions,
    layer: Layer = "base",
    *,
    chosen: bool = False,
) -> ValueCheck | None:
    """Return a check that each constraint holds of a value of this type, or None where there are none.

    A constraint that cannot be compiled or evaluated is told as not checked. On an element of several types, of which this is
    the `chosen` one, a constraint that names what the type does not have is about the other types.
    """
    found = (_check(one, type_name, definitions, layer, chosen) for one in facts)
    checks = tuple(check for check in found if check is not None)
    if len(checks) < 2:
        return checks[0] if checks else None

    def run(value: Any, context: Context) -> Problems | None:
        problems: Problems = []
        for check in checks:
            found = check(value, context)
            if found is not None:
                problems += found
        return problems or None

    return run


def _check(
    one: InvariantFacts, type_name: str, definitions: Definitions, layer: Layer, chosen: bool
) -> ValueCheck | None:
    expression = _SYSTEM_TYPES.sub(lambda found: f"is {found[1][0].lower()}{found[1][1:]}", one.expression)
    unchecked = f"has the rule {one.key}, which could not be evaluated; it was not checked."
    try:
        holds = compile_invariant(expression, type_name, definitions)
    except ToroError as error:
        if chosen and isinstance(error, InvalidExpression):
            return None
        return lambda value, context: [Problem("informational", unchecked, severity="information", layer=layer)]
    shown = one.expression if len(one.expression) <= _LONG else f"{one.expression[:_LONG]}…"
    text = f"breaks the rule {one.key}; change it so that this holds: {shown}"

    surely = shortcut(expression)

    def run(value: Any, context: Context) -> Problems | None:
        if surely is not None and surely(value):
            return None
        try:
            held = holds(value, context.environment())
        except ToroError:
            held = None
        if held:
            return None
        if held is None:
            return [Problem("informational", unchecked, severity="information", layer=layer)]
        return [Problem("invariant", text, severity=one.severity, layer=layer)]

    return run
