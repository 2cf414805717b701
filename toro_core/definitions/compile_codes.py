"""Expand the value sets of required bindings: https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

__all__ = ["expand", "hierarchies"]

_FREE: Final = ("http://hl7.org/fhir", "http://terminology.hl7.org/", "http://unitsofmeasure.org")
"""Systems whose codes may be shipped."""
_PARENTS: Final = frozenset({"parent", "subsumedBy"})
"""Properties of a concept that name one above it."""


def expand(
    required: Iterable[str],
    value_sets: Iterable[dict[str, Any]],
    code_systems: Iterable[dict[str, Any]],
    known: dict[str, Any],
) -> dict[str, Any]:
    """Return the codes of each value set by system; those that are not enumerated (mime types, units) are `open`."""
    sets = {v["url"]: v for v in value_sets}
    systems = {c["url"]: c for c in code_systems if c["content"] == "complete"}
    complete: dict[str, dict[str, list[str]]] = {}
    unknown: dict[str, list[str]] = {}
    for url in required:
        compose = sets.get(url, {}).get("compose", {})
        if url in known and known[url]["complete"]:
            found: dict[str, list[str]] | None = {s: list(codes) for s, codes in known[url]["codes"].items()}
        else:
            found = _enumerate(compose, systems)
        if found and all(system.startswith(_FREE) for system in found):
            complete[url] = {system: sorted(set(codes)) for system, codes in sorted(found.items())}
        else:
            unknown[url] = sorted({include["system"] for include in compose.get("include", ()) if "system" in include})
    return {"valueSets": complete, "open": unknown}


def _enumerate(compose: dict[str, Any], systems: dict[str, Any]) -> dict[str, list[str]] | None:
    """Enumerate whole code systems and listed codes; None where a value set needs more than that."""
    found: dict[str, list[str]] = {}
    if "exclude" in compose:
        return None
    for include in compose.get("include", ()):
        system = include.get("system")
        if "filter" in include or "valueSet" in include or not ("concept" in include or system in systems):
            return None
        concepts = include["concept"] if "concept" in include else systems[system].get("concept", ())
        found.setdefault(system, []).extend(_codes(concepts))
    return found


def _codes(concepts: Iterable[dict[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", ()))


def hierarchies(code_systems: Iterable[dict[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """Return by complete code system the codes below each code that has any, one step down; flat systems are left out."""
    found: dict[str, dict[str, list[str]]] = {}
    for system in code_systems:
        if system["content"] == "complete" and system["url"].startswith(_FREE):
            below: dict[str, set[str]] = {}
            for parent, child in _steps(system.get("concept", ()), None):
                below.setdefault(parent, set()).add(child)
            if below:
                found[system["url"]] = {parent: sorted(children) for parent, children in sorted(below.items())}
    return dict(sorted(found.items()))


def _steps(concepts: Iterable[dict[str, Any]], parent: str | None) -> Iterator[tuple[str, str]]:
    for concept in concepts:
        code: str = concept["code"]
        if parent is not None:
            yield parent, code
        for found in concept.get("property", ()):
            if found["code"] in _PARENTS and "valueCode" in found:
                yield found["valueCode"], code
        yield from _steps(concept.get("concept", ()), code)
