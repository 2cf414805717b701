"""The loaded definitions: an immutable catalogue that reads a type's file when the type is first asked for.

Files below `data/`, written by `compile.py`: `index.json`, `types.json` (data types and abstract types), `codes.json`,
`hierarchies.json`, `summaries.json`, `resources/TYPE.json` and one `packages/NAME.json` for the profiles of each package.

An element is one string: `1..1 code http://hl7.org/fhir/ValueSet/observation-status`, that is cardinality, types joined by `|`,
the value set its codes have to be of, `optional` where text alone will do, and after `~` that of an extensible binding. What a
Reference may lead to stands in parentheses: `0..1 Reference(Group,Patient)`.

Past 250 lines because every kind of fact is looked up in this one catalogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, TypeVar, cast

from toro_core import json
from toro_core.definitions.facts import (
    Choice,
    ComponentFacts,
    ElementFacts,
    InvariantFacts,
    SearchParameterFacts,
    StructureFacts,
)
from toro_core.definitions.packages import PackageFacts, invariants, newest_first
from toro_core.definitions.profile_facts import ProfileFacts

__all__ = ["Definitions", "load"]

T = TypeVar("T")


def load(folder: Traversable | None = None) -> Definitions:
    """Load the definitions that come with Toro, or those compiled into `folder`."""
    source = folder or files("toro_core.definitions") / "data"
    return Definitions(lambda name: source.joinpath(*name.split("/")).read_bytes())


class Definitions:
    """The facts of one set of packages. Never changes; reads and parses each type once, on first use."""

    __slots__ = (
        "_added",
        "_codes",
        "_derived",
        "_extra",
        "_index",
        "_parsed",
        "_raw",
        "_read_bytes",
        "_search",
        "_value_sets",
        "digest",
        "fhir_version",
        "packages",
        "resource_types",
        "search_digest",
    )

    fhir_version: Final[str]
    digest: Final[str]
    """Names the content: equal digests mean equal facts."""
    search_digest: Final[str]
    """Names what search goes by: the content without added packages, and their search parameters."""
    resource_types: Final[frozenset[str]]
    """The concrete resource types."""

    packages: Final[tuple[PackageFacts, ...]]
    """The packages whose profiles and extensions are known, the newest version first."""

    def __init__(self, read: Callable[[str], bytes], added: Sequence[bytes] = ()) -> None:
        """Read the index of compiled facts, each file by its path, and take `added` packages beside those that come with them."""
        self._read_bytes = read
        self._index: dict[str, Any] = self._read("index.json")
        self._raw: dict[str, dict[str, Any]] = {}
        self._parsed: dict[str, StructureFacts] = {}
        self._search: dict[str, Mapping[str, SearchParameterFacts]] = {}
        self._codes: dict[str, frozenset[str]] = {}
        self._derived: dict[Callable[[Definitions], Any], Any] = {}
        self._value_sets: dict[str, Any] | None = None
        own = [PackageFacts(read(name)) for name in self._index.get("packageFiles", ())]
        more = [PackageFacts(data) for data in added]
        self.packages = tuple(newest_first(more + own))
        self._added = newest_first(more)
        self._extra: dict[str, dict[str, Any]] = {}
        self.fhir_version = self._index["fhirVersion"]
        self.digest = _digest(self._index["digest"], [package.digest for package in more])
        searching = (package for package in more if package.search_rows())
        self.search_digest = _digest(self._index["digest"], [p.label + p.search_rows().decode() for p in searching])
        self.resource_types = frozenset(self._index["resources"])

    def structure(self, name: str) -> StructureFacts:
        """Return a resource, data type or backbone element; raises KeyError where there is none."""
        if name not in self._parsed:
            self._parsed[name] = self._parse(name)
        return self._parsed[name]

    def is_a(self, name: str, base: str) -> bool:
        """Say whether a type is `base` or derives from it."""
        current: str | None = name
        while current is not None and current != base:
            current = self.structure(current).base
        return current is not None

    def search_parameters(self, resource_type: str) -> Mapping[str, SearchParameterFacts]:
        """Return the parameters of a resource type by code; those of every resource are among them. Raises KeyError."""
        if resource_type not in self._search:
            if resource_type not in self.resource_types:
                raise KeyError(resource_type)
            built_in = self._file(resource_type).get("guides", {})
            rows: dict[str, Any] = {}
            for package in reversed(self.packages):  # the newest comes last, and counts
                rows |= package.search(resource_type) if package in self._added else built_in.get(package.name, {})
            rows |= self.own_search(resource_type)
            self._search[resource_type] = {c: self._parameter(c, row) for c, row in sorted(rows.items())}
        return self._search[resource_type]

    def search_count(self, package: PackageFacts) -> int:
        """Return how many search parameters a package brings, counted type by type."""
        if package in self._added:
            return package.search_count()
        if package.name == str(self._index["packages"][0]).partition("#")[0]:
            return len(self._index["search"]) + sum(len(self._file(name)["search"]) for name in self.resource_types)
        return sum(len(self._file(name).get("guides", {}).get(package.name, {})) for name in self.resource_types)

    def own_search(self, resource_type: str) -> Mapping[str, dict[str, Any]]:
        """Return the rows of R4's own search parameters of a type, which no package replaces. Raises KeyError."""
        return {**self._index["search"], **self._file(resource_type)["search"]}

    def compartment(self, resource_type: str) -> tuple[str, ...]:
        """Return the parameters that put a resource into a patient's compartment; none where it is never in one."""
        return tuple(self._index["patientCompartment"].get(resource_type, ()))

    def codes(self, value_set: str) -> frozenset[str] | None:
        """Return all codes of a value set, of whatever system, or None where they are not enumerated."""
        if value_set not in self._codes:
            systems = self._enumerated().get(value_set)
            if systems is None:
                return None
            self._codes[value_set] = frozenset(code for codes in systems.values() for code in codes)
        return self._codes[value_set]

    def systems(self, value_set: str) -> Mapping[str, str]:
        """Return the system of each code of a value set; left out are codes of several systems and what is not enumerated."""
        found: dict[str, str | None] = {}
        for system, codes in self._enumerated().get(value_set, {}).items():
            found |= {code: None if code in found else system for code in codes}
        return {code: system for code, system in found.items() if system is not None}

    def enumerated(self, value_set: str) -> Mapping[str, Sequence[str]] | None:
        """Return the codes of a value set by system, or None where they are not enumerated."""
        return cast("Mapping[str, Sequence[str]] | None", self._enumerated().get(value_set))

    def below(self, system: str) -> Mapping[str, Sequence[str]] | None:
        """Return the codes one step below each code of a system; None where the system is flat or not known."""
        return cast("Mapping[str, Sequence[str]] | None", self._kept("hierarchies.json").get(system))

    def summary(self, structure: str) -> frozenset[str] | None:
        """Return the elements of a structure's summary; None where all of them are."""
        found = self._kept("summaries.json")["summary"].get(structure)
        return None if found is None else frozenset(found)

    def modifiers(self, structure: str) -> frozenset[str]:
        """Return the elements that modify the meaning of others."""
        return frozenset(self._kept("summaries.json")["modifiers"].get(structure, ()))

    def profiles(self, resource_type: str) -> tuple[str, ...]:
        """Return the profiles of the guides that come with Toro on a resource type: canonicals without version."""
        return tuple(self._index["profiles"].get(resource_type, ()))

    def supported_profiles(self, resource_type: str) -> tuple[str, ...]:
        """Return the profiles of the loaded guides and of added packages on a resource type."""
        added = (url for package in self._added for url, name in package.types().items() if name == resource_type)
        return tuple(dict.fromkeys((*self.profiles(resource_type), *added)))

    def with_packages(self, added: Sequence[bytes]) -> Definitions:
        """Return these definitions with compiled packages beside their own."""
        return Definitions(self._read_bytes, added)

    def profile(self, canonical: str) -> ProfileFacts | None:
        """Return a profile or extension definition: the version the canonical names, else the newest that is loaded."""
        url, _, version = canonical.partition("|")
        for package in self.packages:
            found = package.profile(url)
            if found is not None and version in ("", found.version):
                return found
        return None

    def profile_types(self) -> dict[str, str]:
        """Return the type each loaded profile constrains, by canonical without version."""
        found: dict[str, str] = {}
        for package in self.packages:
            found = {**package.types(), **found}
        return found

    def value_set(self, url: str) -> Mapping[str, frozenset[str]] | None:
        """Return the codes of a value set by system, or None where they are not enumerated."""
        systems = self._enumerated().get(url)
        if systems is not None:
            return {system: frozenset(codes) for system, codes in systems.items()}
        found = (package.value_set(url) for package in self.packages)
        return next((codes for codes in found if codes is not None), None)

    def leaned_on(self, url: str) -> Mapping[str, frozenset[str]] | None:
        """Return by system the codes of the systems that the value set of an extensible binding holds whole; None for none."""
        found = self._kept("codes.json").get("leanedOn", {}).get(url)
        if found is not None:
            return {system: frozenset(codes) for system, codes in found.items()}
        more = (package.leaned_on(url) for package in self.packages)
        return next((codes for codes in more if codes is not None), None)

    def _enumerated(self) -> dict[str, Any]:
        if self._value_sets is None:
            self._value_sets = self._kept("codes.json")["valueSets"]
        return self._value_sets

    def derived(self, build: Callable[[Definitions], T]) -> T:
        """Return build(self), made once and kept as long as these definitions: for what others compile from them."""
        if build not in self._derived:
            self._derived[build] = build(self)
        return cast(T, self._derived[build])

    def _kept(self, name: str) -> dict[str, Any]:
        if name not in self._extra:
            self._extra[name] = self._read(name)
        return self._extra[name]

    def _read(self, name: str) -> dict[str, Any]:
        return json.loads(self._read_bytes(name))

    def _file(self, root: str) -> dict[str, Any]:
        """Return the content of the file that holds the type `root`."""
        name = f"resources/{root}.json" if root in self.resource_types else "types.json"
        if name not in self._raw:
            self._raw[name] = self._read(name)
        return self._raw[name]

    def _parse(self, name: str) -> StructureFacts:
        row = self._file(name.partition(".")[0])["structures"][name]
        base = row.get("base")
        elements = dict(self.structure(base).elements) if base else {}
        rules = row.get("invariants", {})
        for key, text in row.get("elements", {}).items():
            element = _element(key, text, invariants(rules, key) if rules else ())
            elements[element.name] = element
        for dropped in [element.name for element in elements.values() if element.max == 0]:
            del elements[dropped]
        members = {choice.json_name: (element, choice) for element in elements.values() for choice in element.choices}
        return StructureFacts(
            name=name,
            kind=row["kind"],
            base=base,
            elements=elements,
            members=members,
            invariants=invariants(rules, "") if rules else (),
        )

    def _parameter(self, code: str, row: dict[str, Any]) -> SearchParameterFacts:
        targets = tuple(row.get("targets", ()))
        return SearchParameterFacts(
            code=code,
            type=row["type"],
            url=row["url"],
            expression=row["expression"],
            targets=tuple(self._index["anyTarget"]) if targets == ("*",) else targets,
            components=tuple(ComponentFacts(**component) for component in row.get("components", ())),
        )


def _digest(own: str, added: Sequence[str]) -> str:
    """Name own facts and added ones together, in whatever order these were added."""
    if not added:
        return own
    parts = "".join(sorted(added))
    return f"sha256:{hashlib.sha256((own + parts).encode()).hexdigest()}"


def _element(key: str, text: str, invariants: tuple[InvariantFacts, ...]) -> ElementFacts:
    cardinality, types, *more = text.split(" ")
    low, _, high = cardinality.partition("..")
    return ElementFacts(
        name=key.removesuffix("[x]"),
        choices=tuple(_choice(key, found) for found in types.split("|")),
        min=int(low),
        max=None if high == "*" else int(high),
        value_set=next((part for part in more if part != "optional" and part[0] != "~"), None),
        leans_on=next((part[1:] for part in more if part[0] == "~"), None),
        code_optional="optional" in more,
        invariants=invariants,
    )


def _choice(key: str, text: str) -> Choice:
    type_name, _, narrowed = text.removesuffix(")").partition("(")
    name = key.removesuffix("[x]")
    json_name = name if name == key else name + type_name[0].upper() + type_name[1:]
    return Choice(json_name=json_name, type=type_name, targets=tuple(narrowed.split(",")) if narrowed else ())
