"""Compile profiles and extension definitions: what their snapshots demand beyond the type they constrain.

https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from toro_core.definitions.catalog import Definitions
from toro_core.definitions.compile_structures import bound_value_set, constraints, leaned_on, targets
from toro_core.definitions.facts import ElementFacts
from toro_core.errors import ToroError

__all__ = ["PackageUnusable", "profile", "types_of"]

_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"


class PackageUnusable(ToroError):
    """The package cannot be compiled; give HL7 packages (.tgz), the FHIR core package first."""

    reason = "PACKAGE_UNUSABLE"
    issue = "not-supported"


def types_of(definitions: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Say for each profile's canonical which type it constrains."""
    return {definition["url"]: definition["type"] for definition in definitions}


def profile(definition: dict[str, Any], known: Definitions, types: Mapping[str, str]) -> dict[str, Any]:
    """Return the row of one profile; `types` says what target profiles constrain. Raises PackageUnusable.

    The elements are keyed by their id below the root, "" for the root itself; one that demands nothing new is left out.
    """
    if "snapshot" not in definition:
        raise PackageUnusable(
            f"{definition['url']} has a differential only; build the package with snapshots (sushi does) and add it again."
        )
    rows = _Rows(definition, known, types)
    for element in definition["snapshot"]["element"]:
        rows.add(element)
    rows.forget_idle_slicings()
    root = definition["snapshot"]["element"][0]
    contexts = sorted(c["expression"] for c in definition.get("context", ()) if c["type"] == "element")
    return {
        "version": definition.get("version", ""),
        "type": definition["type"],
        **(
            {"contexts": contexts}
            if definition["type"] == "Extension" and len(contexts) == _contexts(definition)
            else {}
        ),
        **({"modifier": True} if root.get("isModifier") else {}),
        "elements": rows.found,
    }


def _contexts(definition: dict[str, Any]) -> int:
    return len(definition.get("context", ()))


class _Rows:
    """The elements of one snapshot, each compared with its base."""

    def __init__(self, definition: dict[str, Any], known: Definitions, types: Mapping[str, str]) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self._url: str = definition["url"]
        self._known = known
        self._types = types
        self._structures: dict[str, str] = {}

    def add(self, element: dict[str, Any]) -> None:
        """Take an element; its parent came before."""
        element_id = element.get("id", element["path"])
        parent, _, step = element_id.rpartition(".")
        if not parent:
            self._structures[step] = element["path"]
            row = self._rules(element, self._own_rules(element["path"]))
            key = ""
        elif step == "value" and self._known.structure(self._structures[parent]).kind == "primitive":
            return  # the JSON value itself
        else:
            key = element_id.partition(".")[2]
            base = self._base(parent, step)
            self._structures[element_id] = self._structure(element, base)
            row = self._row(element, base, sliced=":" in step)
        if row:
            self.found[key] = row

    def forget_idle_slicings(self) -> None:
        """Leave out slicings that say nothing: open, without slices. Snapshots have one on every `extension`."""
        for key in [key for key, row in self.found.items() if row.get("slicing", {}).keys() == {"by"}]:
            if not any(other.startswith(f"{key}:") for other in self.found):
                del self.found[key]["slicing"]
                if not self.found[key]:
                    del self.found[key]

    def _base(self, parent: str, step: str) -> ElementFacts:
        name = step.partition(":")[0].removesuffix("[x]")
        structure = self._structures[parent]
        elements = self._known.structure(structure).elements
        if name not in elements:
            raise PackageUnusable(f"{self._url} constrains {structure}.{name}, which FHIR R4 does not define.")
        return elements[name]

    def _structure(self, element: dict[str, Any], base: ElementFacts) -> str:
        """Name the structure that holds what is below the element."""
        names = [choice.type for choice in base.choices]
        given = [type_["code"] for type_ in element.get("type", ())]
        if names == ["Resource"] and len(given) == 1:
            return str(given[0])
        return next((name for name in given if name in names), names[0])

    def _own_rules(self, structure: str) -> set[str]:
        return {found.key for found in self._known.structure(structure).invariants}

    def _rules(self, element: dict[str, Any], inherited: set[str]) -> dict[str, Any]:
        rules = {key: row for key, row in constraints(element).items() if key not in inherited}
        return {"invariants": rules} if rules else {}

    def _row(self, element: dict[str, Any], base: ElementFacts, *, sliced: bool) -> dict[str, Any]:
        row: dict[str, Any] = {}
        if element["min"] > (0 if sliced else base.min):
            row["min"] = element["min"]
        if element["max"] != "*" and (base.max is None or sliced or int(element["max"]) < base.max):
            row["max"] = int(element["max"])
        row.update(self._typed(element, base))
        for key in element:
            if key.startswith(("fixed", "pattern")):
                row["fixed" if key.startswith("fixed") else "pattern"] = element[key]
        value_set, required = bound_value_set(element)
        if value_set and (value_set, required) != (base.value_set, not base.code_optional):
            row["valueSet"] = value_set
            if not required:
                row["codeOptional"] = True
        if (leaning := leaned_on(element)) and leaning != base.leans_on:
            row["leansOn"] = leaning
        row.update(_limits(element))
        inherited = {found.key for found in base.invariants}
        for choice in base.choices:
            inherited |= self._own_rules(choice.type)
        row.update(self._rules(element, inherited))
        if slicing := element.get("slicing"):
            row["slicing"] = _slicing(slicing)
        return row

    def _typed(self, element: dict[str, Any], base: ElementFacts) -> dict[str, Any]:
        row: dict[str, Any] = {}
        given = {type_["code"]: type_ for type_ in element.get("type", ())}
        names = [choice.type for choice in base.choices]
        if names == ["Resource"] and not given.keys() <= {"Resource"}:
            row["types"] = sorted(given)
            row["profiles"] = [url for type_ in given.values() for url in type_.get("profile", ())]
        if len(names) > 1 and set(given) & set(names) and not set(given) >= set(names):
            row["types"] = [name for name in names if name in given]
        for choice in base.choices:
            type_ = given.get(choice.type, {})
            if choice.type == "Reference":
                found = targets(type_, self._types)
                if found and found != choice.targets:
                    row["targets"] = list(found)
                if profiles := self._target_profiles(type_):
                    row["targetProfiles"] = profiles
            else:
                urls = [url.partition("|")[0] for url in type_.get("profile", ())]
                if urls and tuple(url.removeprefix(_CORE) for url in urls) != choice.targets:
                    row.setdefault("profiles", []).extend(urls)
        return row

    def _target_profiles(self, type_: dict[str, Any]) -> list[str]:
        """Return what a reference's target has to follow one of, unless any resource of an allowed type will do."""
        urls = [url.partition("|")[0] for url in type_.get("targetProfile", ())]
        return urls if any(url in self._types and not _is_type(url, self._types) for url in urls) else []


def _is_type(url: str, types: Mapping[str, str]) -> bool:
    return url == f"{_CORE}{types[url]}"


def _limits(element: dict[str, Any]) -> dict[str, Any]:
    """Return the least and the greatest value, and how long a text may be."""
    found = {}
    for key, value in element.items():
        if key.startswith(("minValue", "maxValue")):
            found[key[:8]] = value
        elif key == "maxLength":
            found[key] = value
    return found


def _slicing(slicing: dict[str, Any]) -> dict[str, Any]:
    return {
        "by": [[d["type"], d["path"]] for d in slicing.get("discriminator", ())],
        **({"rules": slicing["rules"]} if slicing.get("rules", "open") != "open" else {}),
        **({"ordered": True} if slicing.get("ordered") else {}),
    }
