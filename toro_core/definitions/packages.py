"""The compiled facts of one package: profiles, extension definitions and value sets. Written by `compile_guides.py`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from toro_core import json
from toro_core.definitions.facts import InvariantFacts
from toro_core.definitions.profile_facts import Discriminator, DiscriminatorType, ElementRules, ProfileFacts, Slicing

__all__ = ["PackageFacts", "invariants", "newest_first"]

_NUMBERS: Final = re.compile(r"\d+")


class PackageFacts:
    """One package. Parsed when first asked for anything but its digest; each profile when it is first met."""

    __slots__ = ("_content", "_profiles", "data", "digest")

    def __init__(self, data: bytes) -> None:
        """Take the file's content."""
        self.data: Final = data
        self._content: dict[str, Any] | None = None
        self._profiles: dict[str, ProfileFacts] = {}
        self.digest: Final = hashlib.sha256(data).hexdigest()

    @property
    def name(self) -> str:
        """The package's name, as in `hl7.fhir.us.core`."""
        return str(self._rows()["name"])

    @property
    def version(self) -> str:
        """The package's version, as in `6.1.0`."""
        return str(self._rows()["version"])

    @property
    def label(self) -> str:
        """Name and version, as in `hl7.fhir.us.core#6.1.0`."""
        return f"{self.name}#{self.version}"

    def types(self) -> Mapping[str, str]:
        """Return the type each profile constrains, by the profile's canonical without version."""
        return {url: row["type"] for url, row in self._rows()["profiles"].items()}

    def profile(self, url: str) -> ProfileFacts | None:
        """Return a profile or an extension definition."""
        if url not in self._profiles:
            row = self._rows()["profiles"].get(url)
            if row is None:
                return None
            self._profiles[url] = self._parse(url, row)
        return self._profiles[url]

    def value_set(self, url: str) -> Mapping[str, frozenset[str]] | None:
        """Return the codes of an enumerated value set by system."""
        systems = self._rows()["valueSets"].get(url)
        return None if systems is None else {system: frozenset(codes) for system, codes in systems.items()}

    def leaned_on(self, url: str) -> Mapping[str, frozenset[str]] | None:
        """Return the codes of the systems that a value set of extensible bindings holds whole."""
        systems = self._rows().get("leanedOn", {}).get(url)
        return None if systems is None else {system: frozenset(codes) for system, codes in systems.items()}

    def search(self, resource_type: str) -> Mapping[str, dict[str, Any]]:
        """Return the rows of a type's search parameters by code."""
        search = self._rows().get("search", {})
        return {**search.get("Resource", {}), **search.get(resource_type, {})}

    def search_count(self) -> int:
        """Return how many search parameters there are, type by type."""
        return sum(len(rows) for rows in self._rows().get("search", {}).values())

    def search_rows(self) -> bytes:
        """Return all search parameters as bytes to compare; empty where there are none."""
        return json.dumps(self._rows()["search"]) if "search" in self._rows() else b""

    def _rows(self) -> dict[str, Any]:
        if self._content is None:
            self._content = json.loads(self.data)
        return self._content

    def _parse(self, url: str, row: dict[str, Any]) -> ProfileFacts:
        return ProfileFacts(
            url=url,
            version=row["version"],
            package=self.label,
            type=row["type"],
            contexts=tuple(row.get("contexts", ())),
            modifier=row.get("modifier", False),
            codes=frozenset((system, code) for system, code in row.get("codes", ())),
            root=_tree(row["elements"]),
        )


def newest_first(packages: list[PackageFacts]) -> list[PackageFacts]:
    """Sort packages by version, the newest first; a pre-release comes after its release."""

    def rank(package: PackageFacts) -> tuple[list[int], bool]:
        release, dash, _ = package.version.partition("-")
        return [int(number) for number in _NUMBERS.findall(release)], not dash

    return sorted(packages, key=rank, reverse=True)


class _Node:
    """An element while the tree is put together."""

    __slots__ = ("children", "row", "slices")

    def __init__(self) -> None:
        self.row: dict[str, Any] = {}
        self.children: dict[str, _Node] = {}
        self.slices: dict[str, _Node] = {}

    def below(self, step: str) -> _Node:
        name, colon, slice_name = step.partition(":")
        node = self.children.setdefault(name.removesuffix("[x]"), _Node())
        return node.slices.setdefault(slice_name, _Node()) if colon else node

    def rules(self) -> ElementRules:
        row = self.row
        slicing = row.get("slicing")
        return ElementRules(
            min=row.get("min"),
            max=row.get("max"),
            types=tuple(row.get("types", ())),
            targets=tuple(row.get("targets", ())),
            target_profiles=tuple(row.get("targetProfiles", ())),
            profiles=tuple(row.get("profiles", ())),
            fixed=row.get("fixed"),
            pattern=row.get("pattern"),
            value_set=row.get("valueSet"),
            code_optional=row.get("codeOptional", False),
            leans_on=row.get("leansOn"),
            min_value=row.get("minValue"),
            max_value=row.get("maxValue"),
            max_length=row.get("maxLength"),
            invariants=invariants(row.get("invariants", {}), ""),
            slicing=_slicing(slicing) if slicing else None,
            slices={name: node.rules() for name, node in self.slices.items()},
            children={name: node.rules() for name, node in self.children.items()},
        )


def _tree(elements: Mapping[str, dict[str, Any]]) -> ElementRules:
    root = _Node()
    for key, row in elements.items():
        node = root
        for step in key.split(".") if key else ():
            node = node.below(step)
        node.row = row
    return root.rules()


def _slicing(row: dict[str, Any]) -> Slicing:
    return Slicing(
        discriminators=tuple(Discriminator(type=cast(DiscriminatorType, kind), path=path) for kind, path in row["by"]),
        rules=row.get("rules", "open"),
        ordered=row.get("ordered", False),
    )


def invariants(rows: Mapping[str, dict[str, str]], at: str) -> tuple[InvariantFacts, ...]:
    """Return the invariants at an element, or with "" those of what holds it."""
    return tuple(
        InvariantFacts(
            key=key,
            severity="warning" if row.get("severity") == "warning" else "error",
            expression=row["expression"],
        )
        for key, row in rows.items()
        if row.get("at", "") == at
    )
