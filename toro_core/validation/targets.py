"""Which resource types a Reference leads to, and whether it may. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

import re
from typing import Any, Final

from toro_core.validation.context import Context
from toro_core.validation.findings import Layer, Problem, Problems
from toro_core.validation.members import ValueCheck

__all__ = ["target_check"]

_TYPED: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?$")


def target_check(allowed: tuple[str, ...], types: frozenset[str], layer: Layer = "base") -> ValueCheck:
    """Return a check that a Reference leads to a resource of an allowed type, as far as the reference tells."""
    fine = frozenset(allowed)
    text = f"leads to a resource of another type than {', '.join(allowed)}; refer to one of these."

    def run(value: Any, context: Context) -> Problems | None:
        if type(value) is not dict:
            return None
        reference = value.get("reference")
        if type(reference) is str:
            head = reference.partition("/")[0]
            found = head if head in types else _far(reference, context, types)
        else:
            found = value.get("type")
        if not isinstance(found, str) or found in fine or found not in types:
            return None
        return [Problem("value", text, layer=layer)]

    return run


def _far(reference: str, context: Context, types: frozenset[str]) -> Any:
    """Return the type where the reference is an address elsewhere, of a contained resource or of an entry."""
    resolved = context.resolve(reference)
    if resolved is not None:
        return resolved.get("resourceType")
    typed = _TYPED.search(reference)
    return typed[1] if typed is not None and typed[1] in types else None
