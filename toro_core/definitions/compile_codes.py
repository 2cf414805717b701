"""Expand the value sets of required bindings: https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

__all__ = ["Expander", "expand", "hierarchies"]

_FREE: Final = (
    "http://hl7.org/fhir",
    "http://terminology.hl7.org/",
    "http://unitsofmeasure.org",
    "https://www.usps.com/",
    "urn:oid:2.16.840.1.113883.6.238",  # race and ethnicity of the CDC
)
"""Systems whose codes may be shipped."""
_LICENSED: Final = ("http://hl7.org/fhir/sid/icd", "http://hl7.org/fhir/sid/cvx", "http://hl7.org/fhir/sid/ndc")
_PARENTS: Final = frozenset({"parent", "subsumedBy"})
"""Properties of a concept that name one above it."""

_LEANED_ON: Final = 1_000
"""Larger systems of extensible bindings are not worth their room."""

Codes = set[tuple[str, str]]


def expand(
    required: Iterable[str], expander: Expander, *, leaned_on: Iterable[str] = (), shipped: bool = True
) -> dict[str, Any]:
    """Return the codes of each value set by system; those that are not enumerated (mime types, units) are `open`.

    Of the value sets that extensible bindings lean on only the systems they hold whole are kept: what else their systems have is
    a code for what they lack. What is `shipped` with Toro holds no code of a system whose codes are licensed.
    """
    complete: dict[str, dict[str, list[str]]] = {}
    unknown: dict[str, list[str]] = {}
    for url in required:
        found = expander.codes(url)
        if found and (not shipped or all(_is_free(system) for system, _ in found)):
            complete[url] = _by_system(found)
        else:
            unknown[url] = expander.systems(url)
    leaning = {}
    for url in leaned_on:
        whole = _by_system((s, code) for s, code in expander.codes(url) or () if not shipped or _is_free(s))
        kept = {s: codes for s, codes in whole.items() if expander.is_whole(s, codes) and len(codes) <= _LEANED_ON}
        if kept:
            leaning[url] = kept
    return {"valueSets": complete, "open": unknown, **({"leanedOn": leaning} if leaning else {})}


def _by_system(codes: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for system, code in sorted(codes):
        found.setdefault(system, []).append(code)
    return found


def _is_free(system: str) -> bool:
    return system.startswith(_FREE) and not system.startswith(_LICENSED)


class Expander:
    """Expands what whole code systems, lists, hierarchies and other value sets make up.

    `known` are known expansions: value set -> {"complete": bool, "codes": {system: {code: display}}}.
    """

    def __init__(
        self, value_sets: Iterable[dict[str, Any]], code_systems: Iterable[dict[str, Any]], known: dict[str, Any]
    ) -> None:
        self._sets = {v["url"]: v for v in value_sets}
        self._systems = {c["url"]: c for c in code_systems if c.get("content") == "complete"}
        self._known = known

    def codes(self, url: str, above: tuple[str, ...] = ()) -> Codes | None:
        """Return all codes, or None where they cannot be enumerated."""
        if url in self._known and self._known[url]["complete"]:
            return {(system, code) for system, codes in self._known[url]["codes"].items() for code in codes}
        if url not in self._sets or url in above:
            return None
        compose = self._sets[url].get("compose")
        if compose is None:
            contains = self._sets[url].get("expansion", {}).get("contains", ())
            return {(c["system"], c["code"]) for c in contains} or None
        included = self._all(compose.get("include", ()), (*above, url))
        excluded = self._all(compose.get("exclude", ()), (*above, url))
        return None if included is None or excluded is None else included - excluded

    def systems(self, url: str) -> list[str]:
        """Return the code systems a value set draws on directly."""
        compose = self._sets.get(url, {}).get("compose", {})
        return sorted({include["system"] for include in compose.get("include", ()) if "system" in include})

    def is_whole(self, system: str, codes: Iterable[str]) -> bool:
        """Say whether these are all codes of a system that is known completely."""
        concepts = self._systems.get(system, {}).get("concept")
        return concepts is not None and set(_codes(concepts)) <= set(codes)

    def _all(self, parts: Iterable[dict[str, Any]], above: tuple[str, ...]) -> Codes | None:
        found: Codes = set()
        for part in parts:
            codes = self._part(part, above)
            if codes is None:
                return None
            found |= codes
        return found

    def _part(self, part: dict[str, Any], above: tuple[str, ...]) -> Codes | None:
        """Return what is in the part's system and in each of its value sets."""
        both: list[Codes | None] = [self.codes(url.partition("|")[0], above) for url in part.get("valueSet", ())]
        if "system" in part:
            both.append(self._of_system(part))
        found = [codes for codes in both if codes is not None]
        return set.intersection(*found) if found and len(found) == len(both) else None

    def _of_system(self, part: dict[str, Any]) -> Codes | None:
        system = part["system"]
        if "concept" in part:
            return {(system, concept["code"]) for concept in part["concept"]}
        concepts = self._systems.get(system, {}).get("concept")
        if concepts is None:
            return None
        filters = part.get("filter", ())
        if not filters:
            return {(system, code) for code in _codes(concepts)}
        if len(filters) > 1 or filters[0]["op"] not in {"is-a", "descendent-of"}:
            return None
        top = _find(concepts, filters[0]["value"])
        below = {(system, code) for code in _codes(top.get("concept", ()))} if top else set()
        return below | {(system, filters[0]["value"])} if top and filters[0]["op"] == "is-a" else below


def _codes(concepts: Iterable[dict[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", ()))


def _find(concepts: Iterable[dict[str, Any]], code: str) -> dict[str, Any] | None:
    for concept in concepts:
        found = concept if concept["code"] == code else _find(concept.get("concept", ()), code)
        if found:
            return found
    return None


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
