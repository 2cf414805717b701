"""Compile which elements make a summary: https://hl7.org/fhir/R4/search.html#summary"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["summaries"]


def summaries(definitions: Iterable[dict[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """Return by structure the elements of its summary, and those that modify the meaning of others.

    A structure whose every element belongs to the summary is left out of `summary`, one without modifiers of `modifiers`.
    """
    summary: dict[str, list[str]] = {}
    modifiers: dict[str, list[str]] = {}
    for definition in definitions:
        if definition["kind"] in {"resource", "complex-type"} and definition.get("derivation") != "constraint":
            for path, elements in _by_parent(definition["snapshot"]["element"][1:]).items():
                marked = [name for name, element in elements.items() if element.get("isSummary")]
                if len(marked) < len(elements.keys() - {"id", "extension", "modifierExtension"}):
                    summary[path] = marked
                if modifying := [name for name, element in elements.items() if element.get("isModifier")]:
                    modifiers[path] = modifying
    return {"summary": dict(sorted(summary.items())), "modifiers": dict(sorted(modifiers.items()))}


def _by_parent(elements: Iterable[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for element in elements:
        parent, _, name = element["path"].rpartition(".")
        found.setdefault(parent, {})[name.removesuffix("[x]")] = element
    return found
