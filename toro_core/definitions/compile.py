"""Compile FHIR packages into the compact facts that `catalog.py` loads. The same packages give the same bytes."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from toro_core import json
from toro_core.definitions.catalog import Definitions
from toro_core.definitions.compile_codes import Expander, expand, hierarchies
from toro_core.definitions.compile_guides import Package, compile_guide, name_of, version_of
from toro_core.definitions.compile_profiles import PackageUnusable
from toro_core.definitions.compile_search import any_target, search_parameters
from toro_core.definitions.compile_structures import structures
from toro_core.definitions.compile_summaries import summaries

__all__ = ["PackageUnusable", "compile_packages", "read_package", "write"]

_KINDS: Final = (
    "StructureDefinition",
    "SearchParameter",
    "ValueSet",
    "CodeSystem",
    "CompartmentDefinition",
)


def read_package(path: Path) -> Package:
    """Read the conformance resources of an HL7 package by type, in the order of their URLs; "manifest" holds package.json.

    Raises PackageUnusable.
    """
    found: Package = {kind: [] for kind in (*_KINDS, "manifest")}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                folder, _, name = member.name.partition("/")
                kind = "manifest" if name == "package.json" else name.partition("-")[0]
                if folder == "package" and kind in found and (content := archive.extractfile(member)):
                    found[kind].append(json.loads(content.read()))
    except (tarfile.TarError, EOFError, zlib.error, json.InvalidJson) as error:
        raise PackageUnusable(f"{path.name} cannot be read; give an HL7 package (.tgz).") from error
    for kind in _KINDS:
        found[kind].sort(key=lambda resource: str(resource["url"]))
    if not found["manifest"]:
        raise PackageUnusable(f"{path.name} has no package/package.json; give an HL7 package (.tgz).")
    return found


def compile_packages(packages: Sequence[Package], expansions: dict[str, Any]) -> dict[str, bytes]:
    """Compile the FHIR core package and the guides that follow it into files by their path below the data folder.

    `expansions` are known expansions, value set -> {"complete": bool, "codes": {system: {code: display}}}.
    """
    core, *guides = packages
    by_root = structures(core["StructureDefinition"])
    types = {
        name: rows for name, rows in by_root.items() if rows[name]["kind"] != "resource" or "abstract" in rows[name]
    }
    resources = sorted(by_root.keys() - types.keys())
    search, shared = search_parameters(core["SearchParameter"], resources)
    files: dict[str, Any] = {
        "types.json": {"structures": {k: v for _, rows in sorted(types.items()) for k, v in rows.items()}},
        "hierarchies.json": hierarchies(core["CodeSystem"]),
        "summaries.json": summaries(core["StructureDefinition"]),
        "codes.json": expand(
            _bound(by_root), Expander(core["ValueSet"], core["CodeSystem"], expansions), leaned_on=_bound(by_root, "~")
        ),
    }
    for name in resources:
        files[f"resources/{name}.json"] = {"structures": by_root[name], "search": search[name]}
    for guide in guides:
        found, _ = search_parameters(guide["SearchParameter"], resources)
        own = {
            name: {code: row for code, row in rows.items() if code not in search[name] and code not in shared}
            for name, rows in found.items()
        }
        for name in (name for name, rows in own.items() if rows):
            files[f"resources/{name}.json"].setdefault("guides", {})[name_of(guide)] = own[name]
    index: dict[str, Any] = {
        "fhirVersion": core["manifest"][0]["version"],
        "packages": [f"{name_of(package)}#{version_of(package)}" for package in packages],
        "resources": resources,
        "anyTarget": any_target(resources),
        "search": shared,
        "patientCompartment": _compartment(core["CompartmentDefinition"], search),
        "profiles": _profiles(guides, resources),
    }
    written = {name: _bytes(content) for name, content in sorted(files.items())}
    for package in packages:
        so_far = {"index.json": _bytes({"digest": "", **index}), **written}
        known = Definitions(so_far.__getitem__)
        facts = compile_guide(package, known, beside=[core], expansions=expansions, shipped=True)
        name = f"packages/{name_of(package)}.json"
        written[name] = _bytes(facts)
        index["packageFiles"] = [*index.get("packageFiles", []), name]
    written = dict(sorted(written.items()))
    digest = hashlib.sha256(_bytes(index))
    for name, data in written.items():
        digest.update(name.encode() + b"\0" + data)
    return {"index.json": _bytes({"digest": f"sha256:{digest.hexdigest()}", **index}), **written}


def write(files: dict[str, bytes], folder: Path) -> None:
    """Write the files into `folder` and remove any other JSON file below it."""
    for path in folder.rglob("*.json"):
        if path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _bytes(content: Any) -> bytes:
    return json.pretty(json.dumps(content), indent=1) + b"\n"


def _bound(by_root: dict[str, dict[str, Any]], mark: str = "") -> list[str]:
    """Return the value sets that some element requires, or with the mark `~` those of extensible bindings."""
    texts = (t for rows in by_root.values() for row in rows.values() for t in row.get("elements", {}).values())
    parts = {part for text in texts for part in text.split(" ")[2:] if part != "optional"}
    return sorted(part.removeprefix("~") for part in parts if part.startswith("~") == bool(mark))


def _compartment(definitions: list[dict[str, Any]], search: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    patient = next(d for d in definitions if d["url"] == "http://hl7.org/fhir/CompartmentDefinition/patient")
    rows = {
        row["code"]: [code for code in row.get("param", ()) if code in search[row["code"]]]
        for row in patient["resource"]
    }
    return {name: sorted(codes) for name, codes in sorted(rows.items()) if codes}


def _profiles(guides: list[Package], resources: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for guide in guides:
        for definition in guide["StructureDefinition"]:
            if definition["type"] in resources and definition.get("derivation") == "constraint":
                found.setdefault(definition["type"], []).append(definition["url"])
    return {name: sorted(urls) for name, urls in sorted(found.items())}
