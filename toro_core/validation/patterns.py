"""Fixed values and patterns: https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["contains", "pattern_test"]


def contains(value: Any, pattern: Any) -> bool:
    """Say whether a value has at least what the pattern has, items of its arrays in any order."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and contains(value[name], below) for name, below in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(item, below) for item in value) for below in pattern)
    return bool(value == pattern)


def pattern_test(pattern: Any) -> Callable[[Any], bool]:
    """Return a test for one pattern; the usual one, a concept with one code, needs no recursion."""
    match pattern:
        case {"coding": [{"system": str(system), "code": str(code), **more}], **others} if not more and not others:

            def has_code(value: Any) -> bool:
                codings = value.get("coding") if type(value) is dict else None
                if type(codings) is not list:
                    return False
                for coding in codings:
                    if type(coding) is dict and coding.get("code") == code and coding.get("system") == system:
                        return True
                return False

            return has_code
    return lambda value: contains(value, pattern)
