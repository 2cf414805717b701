"""The least and the greatest value that a profile allows, and how long a text may be.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.minValue_x_
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from toro_core.definitions import ElementRules
from toro_core.search.dates import InvalidDate, interval
from toro_core.validation.context import Context
from toro_core.validation.findings import Problem, Problems
from toro_core.validation.members import ValueCheck
from toro_core.validation.wording import Wording

__all__ = ["limit_check"]

_Size: TypeAlias = "tuple[object, Any, Any]"
"""What a value can be compared with, and its bounds: a date covers what its precision leaves open."""


def limit_check(rules: ElementRules, say: Wording) -> ValueCheck:
    """Return a check of a value against its limits; what cannot be compared with them is not judged."""
    tests: list[tuple[Callable[[Any], bool], str]] = []
    if (least := _size(rules.min_value)) is not None:
        kind, low, _ = least
        text = say.text(f"is less than {_written(rules.min_value)}; send that or more.")
        tests.append((lambda value: _below(_size(value), kind, low), text))
    if (greatest := _size(rules.max_value)) is not None:
        other_kind, _, high = greatest
        text = say.text(f"is more than {_written(rules.max_value)}; send that or less.")
        tests.append((lambda value: _above(_size(value), other_kind, high), text))
    if (longest := rules.max_length) is not None:
        text = say.text(f"is longer than {longest} characters; send so many at most.")
        tests.append((lambda value: isinstance(value, str) and len(value) > longest, text))

    def run(value: Any, context: Context) -> Problems | None:
        found = [Problem("value", text, layer="profile") for fails, text in tests if fails(value)]
        return found or None

    return run


def _below(size: _Size | None, kind: object, low: Any) -> bool:
    return size is not None and size[0] == kind and bool(size[2] < low)


def _above(size: _Size | None, kind: object, high: Any) -> bool:
    return size is not None and size[0] == kind and bool(size[1] > high)


def _size(value: Any) -> _Size | None:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return "number", value, value
    if isinstance(value, dict) and isinstance(number := value.get("value"), int | Decimal):
        return (value.get("system"), value.get("code") or value.get("unit")), number, number
    if not isinstance(value, str):
        return None
    if value[2:3] == ":":
        return "time", value, value
    try:
        low, high = interval(value)
    except (InvalidDate, ValueError):
        return None
    return "date", low, high - 1


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('value')} {value.get('unit') or value.get('code') or ''}".strip()
    return str(value)
