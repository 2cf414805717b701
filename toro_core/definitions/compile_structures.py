"""Compile StructureDefinition snapshots: https://hl7.org/fhir/R4/structuredefinition.html"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["structures"]

_FHIR_TYPE: Final = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
_KINDS: Final = {"resource": "resource", "complex-type": "complex", "primitive-type": "primitive"}
_SYSTEM: Final = "http://hl7.org/fhirpath/System."


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
    return rows


def _element(element: dict[str, Any], has_children: bool, kind: str) -> str:
    path: str = element["path"]
    if "contentReference" in element:
        types = [element["contentReference"].rpartition("#")[2]]
    elif has_children:
        types = [path]
    elif kind == "resource" and path.count(".") == 1 and path.endswith(".id"):
        types = ["id"]  # the snapshots say string
    else:
        types = [_type(found) for found in element["type"]]
    text = f"{element['min']}..{element['max']} {'|'.join(types)}"
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        text += f" {binding['valueSet'].partition('|')[0]}"
    return text


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
