"""Compile a package's profiles, extensions and value sets into the one file that `packages.py` loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from toro_core.definitions.catalog import Definitions
from toro_core.definitions.compile_codes import Expander, expand
from toro_core.definitions.compile_profiles import profile, types_of
from toro_core.definitions.compile_search import search_parameters

__all__ = ["Package", "compile_guide", "name_of", "version_of"]

_FEW: Final = 3

Package = dict[str, list[dict[str, Any]]]
"""The conformance resources of a package by type, and "manifest": package.json."""


def name_of(package: Package) -> str:
    """Return the package's name, as in `hl7.fhir.us.core`."""
    return str(package["manifest"][0]["name"])


def version_of(package: Package) -> str:
    """Return the package's version, as in `6.1.0`."""
    return str(package["manifest"][0]["version"])


def compile_guide(
    package: Package,
    known: Definitions,
    *,
    beside: Sequence[Package] = (),
    expansions: dict[str, Any] | None = None,
    shipped: bool = False,
) -> dict[str, Any]:
    """Return the facts of a package; `beside` are packages whose value sets and code systems its own may draw on.

    Raises PackageUnusable where a profile has no snapshot or constrains what R4 has not.
    """
    definitions = [d for d in package["StructureDefinition"] if d.get("derivation") == "constraint"]
    types = known.profile_types() | types_of(definitions)
    rows = {
        definition["url"]: profile(definition, known, types)
        for definition in definitions
        if "snapshot" in definition or not shipped  # the two examples in the FHIR core package have none
    }
    newer = set() if shipped else {value_set["url"] for value_set in package["ValueSet"]}

    def bound(key: str) -> list[str]:
        return sorted({row[key] for found in rows.values() for row in found["elements"].values() if key in row})

    required = [url for url in bound("valueSet") if url in newer or known.value_set(url) is None]
    leaned_on = [url for url in bound("leansOn") if url in newer or known.leaned_on(url) is None]

    sources = [*reversed(beside), package]
    expander = Expander(
        (value_set for source in sources for value_set in source["ValueSet"]),
        (system for source in sources for system in source["CodeSystem"]),
        expansions or {},
    )
    for definition in definitions:
        if definition["url"] in rows and (codes := _subject(definition, expander)):
            rows[definition["url"]]["codes"] = [list(code) for code in sorted(codes)]
    return {
        "name": name_of(package),
        "version": version_of(package),
        "profiles": dict(sorted(rows.items())),
        **({} if shipped else _search(package, known)),
        **expand(required, expander, leaned_on=leaned_on, shipped=shipped),
    }


def _search(package: Package, known: Definitions) -> dict[str, Any]:
    """Return the search parameters by type and code, under `Resource` those of every type; R4's own are never replaced."""
    parts = {
        facts.url: {"code": facts.code, "type": facts.type}
        for name in known.resource_types
        for facts in known.search_parameters(name).values()
    }
    found, shared = search_parameters(package["SearchParameter"], sorted(known.resource_types), parts)
    own = {name: {c: row for c, row in rows.items() if c not in known.own_search(name)} for name, rows in found.items()}
    own["Resource"] = {c: row for c, row in shared.items() if c not in known.own_search("Patient")}
    search = {name: rows for name, rows in sorted(own.items()) if rows}
    return {"search": search} if search else {}


def _subject(definition: dict[str, Any], expander: Expander) -> set[tuple[str, str]]:
    """Return the codes that say what a resource of this profile is about, where there are but a few."""
    found: set[tuple[str, str]] = set()
    for element in definition["snapshot"]["element"]:
        if element["path"] in {f"{definition['type']}.code", f"{definition['type']}.code.coding"}:
            pattern: dict[str, Any] = next(
                (element[key] for key in element if key.startswith(("fixed", "pattern"))), {}
            )
            found |= {
                (c["system"], c["code"]) for c in pattern.get("coding", [pattern]) if {"system", "code"} <= c.keys()
            }
    binding = _element(definition, "code").get("binding", {})
    bound = expander.codes(binding.get("valueSet", "").partition("|")[0]) or set()
    return found or (bound if len(bound) <= _FEW else set())


def _element(definition: dict[str, Any], name: str) -> dict[str, Any]:
    path = f"{definition['type']}.{name}"
    return next((e for e in definition["snapshot"]["element"] if e["path"] == path), {})
