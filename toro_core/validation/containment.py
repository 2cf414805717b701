"""The rules about contained resources and references to them: dom-2 to dom-5 and ref-1.

https://hl7.org/fhir/R4/references.html#contained
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from toro_core.json import JsonObject
from toro_core.validation.context import Context
from toro_core.validation.findings import Problem, Problems

__all__ = ["check_contained", "check_reference"]


def check_contained(resource: JsonObject) -> Problems | None:
    """Check what a resource with `contained` has to keep to beyond each contained resource's own rules."""
    contained = resource["contained"]
    if not isinstance(contained, list):
        return None
    problems: Problems = []
    used = {text[1:] for text in _strings(resource) if text.startswith("#")}
    for index, one in enumerate(contained):
        if isinstance(one, dict):
            if "contained" in one:
                text = "breaks the rule dom-2: it is nested; contain it in the outermost resource."
                problems.append(Problem("invariant", text, "contained", index, "contained"))
            for rule, text in _broken(one, used):
                problems.append(Problem("invariant", f"breaks the rule {rule}: {text}", index, "contained"))
    return problems or None


def _broken(one: JsonObject, used: set[str]) -> Iterator[tuple[str, str]]:
    name = one.get("id")
    if not (isinstance(name, str) and name in used) and "#" not in _strings(one):
        yield "dom-3", "nothing refers to it; refer to it as #id or leave it out."
    meta = one.get("meta")
    if isinstance(meta, dict):
        if "versionId" in meta or "lastUpdated" in meta:
            yield "dom-4", "it has meta.versionId or meta.lastUpdated; leave them out."
        if "security" in meta:
            yield "dom-5", "it has meta.security; put the labels on the resource that contains it."


def check_reference(reference: Any, context: Context) -> Problems | None:
    """Check that `#id` names a contained resource."""
    if isinstance(reference, str) and reference[:1] == "#" and context.resolve(reference) is None:
        return [Problem("invariant", "breaks the rule ref-1: no contained resource has this id; contain one.")]
    return None


def _strings(resource: JsonObject) -> Iterator[str]:
    waiting: list[Any] = [resource]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            yield value
