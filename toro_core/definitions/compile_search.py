"""Compile SearchParameters, type by type: https://hl7.org/fhir/R4/searchparameter.html"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from toro_core.definitions.search_fixes import fixed

__all__ = ["any_target", "search_parameters"]

_SHARED: Final = {"Resource", "DomainResource"}
_CAST: Final = re.compile(r"\(([\w.]+) as (\w+)\)")
_AS: Final = re.compile(r"\.as\((\w+)\)")
_RESOLVES_TO: Final = re.compile(r"\.where\(resolve\(\) is (\w+)\)$")
_PATH_START: Final = re.compile(r"\w+")

Rows = dict[str, dict[str, Any]]
_NEEDED: Final = frozenset({"url", "code", "type", "base", "expression"})


def search_parameters(
    definitions: Iterable[dict[str, Any]],
    resources: Sequence[str],
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[dict[str, Rows], Rows]:
    """Return the parameters of each resource type, and those of every type, by code.

    Left out is what has no expression for the type, and the specification's examples; target `*` stands for any type. The
    components of composites may be `known` ones, by URL, beside the definitions.
    """
    usable = {
        d["url"]: fixed(d) for d in definitions if d.keys() >= _NEEDED and not d.get("id", "").startswith("example")
    }
    parts = {**(known or {}), **usable}
    by_type: dict[str, Rows] = {name: {} for name in resources}
    shared: Rows = {}
    for definition in usable.values():
        for base in definition["base"]:
            rows = shared if base in _SHARED else by_type.get(base)
            if rows is not None and (row := _row(definition, base, parts)):
                if row.get("targets") == any_target(resources):
                    row["targets"] = ["*"]
                rows[definition["code"]] = row
    return {name: dict(sorted(rows.items())) for name, rows in by_type.items()}, dict(sorted(shared.items()))


def any_target(resources: Sequence[str]) -> list[str]:
    """Return the types that a reference to anything may have: Parameters are never stored."""
    return sorted(set(resources) - {"Parameters"})


def _row(definition: dict[str, Any], base: str, parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    alternatives = [_normal(a) for a in _split(definition["expression"])]
    # InsurancePlan-name is written relative to its type
    alternatives = [a if a[0].isupper() or a[0] == "(" else f"{base}.{a}" for a in alternatives]
    alternatives = [a for a in alternatives if _applies(a, base)]
    if not alternatives or any(c["definition"] not in parts for c in definition.get("component", ())):
        return None
    row: dict[str, Any] = {
        "type": definition["type"],
        "url": definition["url"],
        "expression": " | ".join(dict.fromkeys(alternatives)),
    }
    if targets := _targets(definition, alternatives):
        row["targets"] = targets
    if definition["type"] == "composite":
        row["components"] = [_component(c, parts) for c in definition["component"]]
    return row


def _split(expression: str) -> list[str]:
    """Split a union at its top level."""
    parts, depth = [""], 0
    for character in expression:
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _normal(expression: str) -> str:
    """Write casts as ofType: R4 applies them to collections, for which FHIRPath has no `as`."""
    expression = _CAST.sub(r"\1.ofType(\2)", expression)
    return _AS.sub(lambda found: f".ofType({_type(found[1])})", expression)


def _type(name: str) -> str:
    return "dateTime" if name == "DateTime" else name  # Observation-code-value-date misspells it


def _applies(alternative: str, base: str) -> bool:
    start = _PATH_START.match(alternative.lstrip("("))
    return start is not None and (start[0] == base or start[0] in _SHARED)


def _targets(definition: dict[str, Any], alternatives: list[str]) -> list[str]:
    resolved = [_RESOLVES_TO.search(a) for a in alternatives]
    if all(resolved):
        return sorted({found[1] for found in resolved if found})
    return sorted(definition.get("target", ()))


def _component(component: dict[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    definition = parts[component["definition"]]
    expression = " | ".join(_normal(a) for a in _split(component["expression"]))
    return {"code": definition["code"], "type": definition["type"], "expression": expression}
