from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest

from toro_core import json
from toro_core.definitions import load
from toro_core.definitions.compile import PackageUnusable, compile_packages, read_package, write

ROOT = Path(__file__).resolve().parents[3]
SPEC = ROOT.parent / "shared" / "spec"
DATA = ROOT / "toro_core" / "definitions" / "data"


def structure(name: str, kind: str, base: str | None, *elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": f"http://hl7.org/fhir/StructureDefinition/{name}",
        "type": name,
        "kind": kind,
        "abstract": False,
        **({"baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{base}"} if base else {}),
        "snapshot": {"element": [{"path": name, "min": 0, "max": "*"}, *elements]},
        **more,
    }


def element(path: str, *types: str, low: int = 0, high: str = "1", **more: Any) -> dict[str, Any]:
    return {"path": path, "min": low, "max": high, "type": [{"code": t} for t in types], "definition": "prose", **more}


ROCKET = structure(
    "Rocket",
    "resource",
    "Resource",
    element("Rocket.id", "http://hl7.org/fhirpath/System.String"),
    element(
        "Rocket.state",
        "code",
        low=1,
        binding={"strength": "required", "valueSet": "http://example.org/ValueSet/state|1"},
    ),
    element("Rocket.length[x]", "string", "Mass"),
    element("Rocket.stage", "BackboneElement", high="*"),
    element("Rocket.stage.mass", "Mass"),
    {"path": "Rocket.stage.next", "min": 0, "max": "*", "contentReference": "#Rocket.stage"},
)
CORE = [
    structure(
        "Resource", "resource", None, element("Resource.id", "http://hl7.org/fhirpath/System.String"), abstract=True
    ),
    structure("Element", "complex-type", None, element("Element.id", "string"), abstract=True),
    structure("BackboneElement", "complex-type", "Element", element("BackboneElement.id", "string")),
    structure("Mass", "complex-type", "Element", element("Mass.id", "string"), element("Mass.value", "string")),
    structure("string", "primitive-type", "Element", element("string.id", "string"), element("string.value", "x")),
    structure("id", "primitive-type", "string"),
    structure("code", "primitive-type", "string"),
    ROCKET,
    {
        "resourceType": "SearchParameter",
        "id": "rocket-length",
        "url": "http://example.org/SearchParameter/rocket-length",
        "code": "length",
        "type": "string",
        "base": ["Rocket"],
        "expression": "Plane.length | (Rocket.length as string) | Rocket.length.as(Mass)",
    },
    {
        "resourceType": "ValueSet",
        "url": "http://example.org/ValueSet/state",
        "compose": {"include": [{"system": "http://hl7.org/fhir/state"}]},
    },
    {
        "resourceType": "CodeSystem",
        "url": "http://hl7.org/fhir/state",
        "content": "complete",
        "concept": [{"code": "up", "display": "prose", "concept": [{"code": "high"}]}, {"code": "down"}],
    },
    {
        "resourceType": "CompartmentDefinition",
        "url": "http://hl7.org/fhir/CompartmentDefinition/patient",
        "resource": [{"code": "Rocket", "param": ["length", "unknown"]}],
    },
]
PROFILE = structure("Rocket", "resource", "Rocket", derivation="constraint") | {"url": "http://example.org/red-rocket"}


def package(path: Path, resources: list[dict[str, Any]], shuffled: int = 0) -> Path:
    named = {f"package/{r['resourceType']}-{i}.json": r for i, r in enumerate(resources)}
    named |= {
        "package/package.json": {"name": path.stem, "version": "1.0"},
        "package/example/Patient-1.json": {"id": "1"},
    }
    members = list(named.items())
    random.Random(shuffled).shuffle(members)  # noqa: S311  # any order will do
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            data = json.dumps(content)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_a_package_is_compiled_and_loaded(tmp_path: Path) -> None:
    core = read_package(package(tmp_path / "core.tgz", CORE))
    guide = read_package(package(tmp_path / "guide.tgz", [PROFILE]))
    write(compile_packages([core, guide], {}), tmp_path / "data")
    definitions = load(tmp_path / "data")
    rocket = definitions.structure("Rocket")
    assert list(rocket.members) == ["id", "state", "lengthString", "lengthMass", "stage"]
    assert rocket.elements["id"].choices[0].type == "id"
    assert definitions.structure("Rocket.stage").elements["next"].choices[0].type == "Rocket.stage"
    assert list(definitions.structure("Rocket.stage").members) == ["id", "mass", "next"]
    assert definitions.codes("http://example.org/ValueSet/state") == frozenset({"up", "high", "down"})
    assert definitions.search_parameters("Rocket")["length"].expression == (
        "Rocket.length.ofType(string) | Rocket.length.ofType(Mass)"
    )
    assert definitions.compartment("Rocket") == ("length",)
    assert definitions.profiles("Rocket") == ("http://example.org/red-rocket",)
    assert not any(b"prose" in path.read_bytes() for path in (tmp_path / "data").rglob("*.json"))


def test_the_order_of_files_in_a_package_changes_nothing(tmp_path: Path) -> None:
    compiled = [compile_packages([read_package(package(tmp_path / "core.tgz", CORE, n))], {}) for n in range(4)]
    assert all(files == compiled[0] for files in compiled)


def test_a_changed_fact_changes_the_digest(tmp_path: Path) -> None:
    before = compile_packages([read_package(package(tmp_path / "core.tgz", CORE))], {})
    changed = {
        "http://example.org/ValueSet/state": {"complete": True, "codes": {"http://hl7.org/fhir/state": {"up": "Up"}}}
    }
    after = compile_packages([read_package(package(tmp_path / "core.tgz", CORE))], changed)
    digests = {json.loads(files["index.json"])["digest"] for files in (before, after)}
    assert len(digests) == 2


def test_codes_that_may_not_be_shipped_or_not_be_listed_stay_open(tmp_path: Path) -> None:
    for include in (
        {"system": "http://snomed.info/sct", "concept": [{"code": "1"}]},
        {"system": "http://hl7.org/fhir/state", "filter": [{"property": "code", "op": "regex", "value": "up"}]},
        {"system": "urn:ietf:bcp:13"},
    ):
        value_set = {
            "resourceType": "ValueSet",
            "url": "http://example.org/ValueSet/state",
            "compose": {"include": [include]},
        }
        resources = [r for r in CORE if r["resourceType"] != "ValueSet"] + [value_set]
        files = compile_packages([read_package(package(tmp_path / "core.tgz", resources))], {})
        assert json.loads(files["codes.json"]) == {"valueSets": {}, "open": {value_set["url"]: [include["system"]]}}


def test_files_of_an_earlier_compilation_are_removed(tmp_path: Path) -> None:
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "Old.json").write_text("{}")
    write({"index.json": b"{}\n"}, tmp_path)
    assert [p.name for p in tmp_path.rglob("*.json")] == ["index.json"]


def test_an_archive_that_is_no_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.tgz"
    with tarfile.open(path, "w:gz"):
        pass
    with pytest.raises(PackageUnusable, match=r"package/package\.json"):
        read_package(path)


@pytest.mark.skipif(not SPEC.exists(), reason="the HL7 packages are not beside the repository")
def test_the_committed_facts_are_those_of_the_packages() -> None:
    packages = [SPEC / "packages" / f"{name}.tgz" for name in ("hl7.fhir.r4.core-4.0.1", "hl7.fhir.us.core-6.1.0")]
    names = ("us-core-6.1.0", "us-core-6.1.0-fallback", "r4-required")
    expansions: dict[str, Any] = {}
    for name in names:
        expansions |= json.loads((SPEC / "expansions" / f"{name}.json").read_bytes())
    fresh = compile_packages([read_package(path) for path in packages], expansions)
    assert fresh == {p.relative_to(DATA).as_posix(): p.read_bytes() for p in DATA.rglob("*.json")}


@pytest.mark.skipif(not SPEC.exists(), reason="the HL7 packages are not beside the repository")
def test_own_expansions_agree_with_the_known_ones() -> None:
    core = read_package(SPEC / "packages" / "hl7.fhir.r4.core-4.0.1.tgz")
    known: Any = json.loads((SPEC / "expansions" / "r4-required.json").read_bytes())
    sets: Any = json.loads(compile_packages([core], {})["codes.json"])["valueSets"]
    both = [url for url in sets if url in known and known[url]["complete"]]
    assert len(both) > 90
    for url in both:
        assert sets[url] == {s: sorted(c) for s, c in known[url]["codes"].items()}, url
