"""Compile a package's profiles, extensions and value sets into the one file that `packages.py` loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toro_core.definitions.catalog import Definitions
from toro_core.definitions.compile_codes import expand
from toro_core.definitions.compile_profiles import profile, types_of

__all__ = ["Package", "compile_guide", "name_of", "version_of"]

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
    required = sorted(
        {
            row["valueSet"]
            for found in rows.values()
            for row in found["elements"].values()
            if "valueSet" in row and known.value_set(row["valueSet"]) is None
        }
    )
    sources = [package, *beside]
    codes = expand(
        required,
        (v for one in reversed(sources) for v in one["ValueSet"]),
        (c for one in reversed(sources) for c in one["CodeSystem"]),
        expansions or {},
        shipped=shipped,
    )
    return {"name": name_of(package), "version": version_of(package), "profiles": dict(sorted(rows.items())), **codes}


