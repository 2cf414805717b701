"""Compile StructureDefinition snapshots: https://hl7.org/fhir/R4/structuredefinition.html"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["bound_value_set", "constraints", "leaned_on", "structures", "targets"]

_FHIR_TYPE: Final = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
_KINDS: Final = {"resource": "resource", "complex-type": "complex", "primitive-type": "primitive"}
_SYSTEM: Final = "http://hl7.org/fhirpath/System."
_MAXIMUM: Final = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
_BEST_PRACTICE: Final = "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice"
_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
_EVERYWHERE: Final = frozenset(
    {"dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "ele-1", "ext-1", "ref-1", "sqty-1", "txt-1", "txt-2"}
)
"""Constraints that the validator checks by itself, not as expressions."""


def structures(definitions: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each type its structures by name, the type itself first; only elements that its base has not."""
    roots = {d["type"]: d for d in definitions if d["kind"] in _KINDS and d.get("derivation") != "constraint"}
    own = {name: _structures(definition) for name, definition in roots.items()}
    return {name: {key: _without_inherited(row, own) for key, row in rows.items()} for name, rows in own.items()}


def _structures(definition: dict[str, Any]) -> dict[str, Any]:
    root: str = definition["type"]
    kind = _KINDS[definition["kind"]]
    elements = definition["snapshot"]["element"]
    parents = {e["path"].rpartition(".")[0] for e in elements}
    base = definition.get("baseDefinition", "").rpartition("/")[2]
    rows: dict[str, Any] = {root: {"kind": kind, **({"base": base} if base else {})}}
    if definition["abstract"]:
        rows[root]["abstract"] = True
    for element in elements[1:]:
        path: str = element["path"]
        if path in parents:
            rows[path] = {"kind": "backbone", "base": element["type"][0]["code"]}
        parent, _, name = path.rpartition(".")
        if kind == "primitive" and name == "value":
            continue  # a primitive's value is the JSON value itself, not a member
        rows[parent].setdefault("elements", {})[name] = _element(element, path in parents, kind)
    for element in elements:
        path = element["path"]
        carrier, at = (path, "") if path in rows else (path.rpartition(".")[0], path.rpartition(".")[2])
        for key, row in constraints(element).items():
            rows[carrier].setdefault("invariants", {})[key] = {**({"at": at} if at else {}), **row}
    return rows


def constraints(element: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return what an element's constraints demand by key; best practice is left out, and what the validator knows by itself."""
    return {
        c["key"]: {**({"severity": "warning"} if c["severity"] == "warning" else {}), "expression": c["expression"]}
        for c in element.get("constraint", ())
        if c["key"] not in _EVERYWHERE
        and "expression" in c
        and not any(e["url"] == _BEST_PRACTICE and e.get("valueBoolean") for e in c.get("extension", ()))
    }


def bound_value_set(element: dict[str, Any]) -> tuple[str | None, bool]:
    """Return the value set outside of which no code is allowed, and whether a code is required at all.

    It is that of a required binding, or of a weaker binding the largest one, which still allows text alone.
    """
    binding = element.get("binding", {})
    required = binding.get("strength") == "required"
    largest = next((e["valueCanonical"] for e in binding.get("extension", ()) if e["url"] == _MAXIMUM), None)
    canonical = binding.get("valueSet") if required else largest
    return (canonical.partition("|")[0] if canonical else None), required


def leaned_on(element: dict[str, Any]) -> str | None:
    """Return the value set of an extensible binding: whose codes have to be used where one applies."""
    binding = element.get("binding", {})
    canonical = binding.get("valueSet") if binding.get("strength") == "extensible" else None
    return canonical.partition("|")[0] if canonical else None


def targets(type_: dict[str, Any], types_of: Mapping[str, str]) -> tuple[str, ...]:
    """Return the resource types a Reference may lead to; none where any will do or where a profile is not known.

    `types_of` says for a profile's canonical which type it constrains.
    """
    found = set()
    for canonical in type_.get("targetProfile", ()):
        url = canonical.partition("|")[0]
        name = types_of.get(url) or (url.removeprefix(_CORE) if url.startswith(_CORE) else None)
        if name in (None, "Resource"):
            return ()
        found.add(name)
    return tuple(sorted(found))


def _element(element: dict[str, Any], has_children: bool, kind: str) -> str:
    path: str = element["path"]
    if "contentReference" in element:
        types = [element["contentReference"].rpartition("#")[2]]
    elif has_children:
        types = [path]
    elif kind == "resource" and path.count(".") == 1 and path.endswith(".id"):
        types = ["id"]  # the snapshots say string
    else:
        types = [_type(found) + _narrowed(found) for found in element["type"]]
    text = f"{element['min']}..{element['max']} {'|'.join(types)}"
    value_set, required = bound_value_set(element)
    if value_set:
        text += f" {value_set}" if required else f" {value_set} optional"
    if leaning := leaned_on(element):
        text += f" ~{leaning}"
    return text


def _narrowed(found: dict[str, Any]) -> str:
    if found["code"] == "Reference":
        names = targets(found, {})
    else:
        names = tuple(url.removeprefix(_CORE) for url in found.get("profile", ()))
    return f"({','.join(names)})" if names else ""


def _type(found: dict[str, Any]) -> str:
    code: str = found["code"]
    if not code.startswith(_SYSTEM):
        return code
    said = (e["valueUrl"] for e in found.get("extension", ()) if e["url"] == _FHIR_TYPE)
    return next(said, code.removeprefix(_SYSTEM).lower())


def _without_inherited(row: dict[str, Any], own: dict[str, dict[str, Any]]) -> dict[str, Any]:
    inherited: dict[str, str] = {}
    base = row.get("base")
    while base:
        inherited = {**own[base][base].get("elements", {}), **inherited}
        base = own[base][base].get("base")
    elements = {name: text for name, text in row.get("elements", {}).items() if inherited.get(name) != text}
    return {**row, "elements": elements} if elements else {key: row[key] for key in row if key != "elements"}
