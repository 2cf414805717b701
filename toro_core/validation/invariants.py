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

__all__ = ["SHORTCUTS", "constraint_check"]

_LONG: Final = 160


def _in_order(period: dict[str, Any]) -> bool:
    """Say whether a period has one end only, or two dates of the same precision and zone in order."""
    start, end = period.get("start"), period.get("end")
    if start is None or end is None:
        return True
    return type(start) is str and type(end) is str and start[19:] == end[19:] and len(start) == len(end) and start <= end


SHORTCUTS: Final[Mapping[str, Callable[[dict[str, Any]], bool]]] = MappingProxyType(
    {
        "att-1": lambda node: "data" not in node,
        "bdl-8": lambda node: "fullUrl" not in node,
        "cpt-2": lambda node: "system" in node or "value" not in node,
        "obs-6": lambda node: "dataAbsentReason" not in node,
        "obs-7": lambda node: "component" not in node,
        "per-1": _in_order,
        "qty-3": lambda node: "system" in node or "code" not in node,
        "ras-2": lambda node: "probabilityDecimal" not in node,
    }
)
"""What is cheap to see and makes a constraint hold; otherwise its expression decides.

They are the commonest ones, and bdl-8 and ras-2, whose expressions are empty where what they speak of is absent.
"""
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
    unchecked = f"has the rule {one.key}, which could not be evaluated; it was not checked."
    try:
        expression = _SYSTEM_TYPES.sub(lambda found: f"is {found[1][0].lower()}{found[1][1:]}", one.expression)
        holds = compile_invariant(expression, type_name, definitions)
    except ToroError as error:
        if chosen and isinstance(error, InvalidExpression):
            return None
        return lambda value, context: [Problem("informational", unchecked, severity="information", layer=layer)]
    shown = one.expression if len(one.expression) <= _LONG else f"{one.expression[:_LONG]}…"
    text = f"breaks the rule {one.key}; change it so that this holds: {shown}"

    surely = SHORTCUTS.get(one.key, _never) if layer == "base" else _never

    def run(value: Any, context: Context) -> Problems | None:
        if type(value) is dict and surely(value):
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
