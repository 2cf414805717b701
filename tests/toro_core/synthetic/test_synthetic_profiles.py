"""Synthetic records keep the US Core 6.1.0 profiles they claim.

A light check read from the profiles' snapshots: cardinality, fixed and pattern values, slices and required bindings,
and by hand the invariants that the generator could break. It needs the packages beside the repository.
"""

import json
import re
import tarfile
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from toro_core.synthetic import generate

Json = dict[str, Any]

SPEC = Path(__file__).parents[4] / "shared" / "spec"
PACKAGE = SPEC / "packages" / "hl7.fhir.us.core-6.1.0.tgz"

pytestmark = pytest.mark.skipif(
    not PACKAGE.exists(), reason="the US Core package is not there: ../shared/spec/packages"
)


class Profile:
    """A snapshot as a tree of element ids, and the rules that hold at each."""

    def __init__(self, definition: Json) -> None:
        self.url: str = definition["url"]
        self.root: str = definition["snapshot"]["element"][0]["id"]
        self.elements: dict[str, Json] = {e["id"]: e for e in definition["snapshot"]["element"]}
        self.below: dict[str, list[str]] = defaultdict(list)
        self.slices: dict[str, list[str]] = defaultdict(list)
        for key in self.elements:
            parent, _, last = key.rpartition(".")
            if ":" in last:
                self.slices[key.rpartition(":")[0]].append(key)
            elif parent:
                self.below[parent].append(key)


@cache
def profiles() -> dict[str, Profile]:
    found = {}
    with tarfile.open(PACKAGE) as package:
        for member in package:
            if re.fullmatch(r"package/StructureDefinition-[^/]*\.json", member.name):
                stream = package.extractfile(member)
                assert stream is not None
                profile = Profile(json.load(stream))
                found[profile.url] = profile
    return found


@cache
def codes(value_set: str) -> frozenset[tuple[str, str]] | None:
    """Give a value set's codes where the expansions know them all."""
    url = value_set.partition("|")[0]
    for name in ("r4-required.json", "us-core-6.1.0.json", "us-core-6.1.0-fallback.json"):
        found = json.loads((SPEC / "expansions" / name).read_text()).get(url)
        if found and found["complete"] and found["codes"]:
            return frozenset((system, code) for system, listed in found["codes"].items() for code in listed)
    return None


def members(node: Json, name: str) -> list[tuple[str, Any]]:
    """Give a member's values with the key each stands under; a value absent but explained counts as present."""
    keys = [k for k in node if re.fullmatch(re.escape(name[:-3]) + "[A-Z].*", k.lstrip("_"))] if "[x]" in name else []
    if "[x]" not in name:
        keys = [key for key in (name, "_" + name) if key in node][:1]
    elif any(not key.startswith("_") for key in keys):
        keys = [key for key in keys if not key.startswith("_")]
    return [(key, item) for key in keys for item in (node[key] if isinstance(node[key], list) else [node[key]])]


def contains(value: Any, pattern: Any) -> bool:
    """Judge a value by a pattern: https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_"""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(k in value and contains(value[k], v) for k, v in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(item, wanted) for item in value) for wanted in pattern)
    return bool(value == pattern)


def ruled(element: Json, start: str) -> Any:
    return next((value for key, value in element.items() if key.startswith(start)), None)


def bound(value: Any, allowed: frozenset[tuple[str, str]]) -> bool:
    if isinstance(value, str):
        return value in {code for _, code in allowed}
    if not isinstance(value, dict):
        return False
    codings = value.get("coding", [value])
    return any((coding.get("system"), coding.get("code")) in allowed for coding in codings)


def in_slice(profile: Profile, base: Json, key: str, name: str, value: Any) -> bool:
    """Judge by the slicing's discriminators whether a value belongs to a slice."""
    element = profile.elements[key]
    if element["type"][0]["code"] == "Extension":
        urls = element["type"][0].get("profile")
        wanted = urls[0] if urls else profile.elements[key + ".url"]["fixedUri"]
        return bool(value["url"] == wanted)
    for discriminator in base["slicing"]["discriminator"]:
        if discriminator["type"] == "type":
            kinds = {kind["code"][0].upper() + kind["code"][1:] for kind in element["type"]}
            if not any(name.endswith(kind) for kind in kinds):
                return False
            continue
        path = "" if discriminator["path"] == "$this" else discriminator["path"]
        nodes = [value]
        for step in path.split(".") if path else []:
            nodes = [item for node in nodes for _, item in members(node, step)]
        rule = profile.elements.get(f"{key}.{path}" if path else key, element)
        wanted = ruled(rule, "pattern") or ruled(rule, "fixed")
        if wanted is not None:
            if not any(contains(node, wanted) for node in nodes):
                return False
        else:
            allowed = codes(rule["binding"]["valueSet"])
            assert allowed, key
            if not any(bound(node, allowed) for node in nodes):
                return False
    return True


def walk(profile: Profile, key: str, node: Json, problems: list[str]) -> None:
    """Check what stands below one element."""
    for child in profile.below[key]:
        element = profile.elements[child]
        found = members(node, child.rpartition(".")[2])
        count(element, len(found), problems)
        for name, value in found:
            judge(profile, child, name, value, problems)
        for piece in profile.slices[child]:
            inside = [(n, v) for n, v in found if in_slice(profile, element, piece, n, v)]
            count(profile.elements[piece], len(inside), problems)
            for name, value in inside:
                judge(profile, piece, name, value, problems)
        if element.get("slicing", {}).get("rules") == "closed":
            assert all(any(in_slice(profile, element, p, n, v) for p in profile.slices[child]) for n, v in found)


def count(element: Json, number: int, problems: list[str]) -> None:
    highest = element["max"]
    if number < element["min"] or (highest != "*" and number > int(highest)):
        problems.append(f"{element['id']}: {number} of {element['min']}..{highest}")


def judge(profile: Profile, key: str, name: str, value: Any, problems: list[str]) -> None:
    element = profile.elements[key]
    if name.startswith("_"):
        return
    fixed, pattern = ruled(element, "fixed"), ruled(element, "pattern")
    if fixed is not None and value != fixed:
        problems.append(f"{key}: not the fixed value")
    if pattern is not None and not contains(value, pattern):
        problems.append(f"{key}: not of the pattern")
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        allowed = codes(binding["valueSet"])
        if allowed and not bound(value, allowed):
            problems.append(f"{key}: not in {binding['valueSet']}")
    kinds = [kind["code"] for kind in element["type"]] if "type" in element else []
    if name != key.rpartition(".")[2].partition(":")[0] and not any(name.lower().endswith(k.lower()) for k in kinds):
        problems.append(f"{key}: {name} is not among its types")
    if isinstance(value, dict):
        walk(profile, key, value, problems)
        if value.get("url") in profiles() and kinds == ["Extension"]:
            other = profiles()[value["url"]]
            walk(other, other.root, value, problems)


@pytest.fixture(scope="module")
def records() -> list[Json]:
    return list(generate(20))


def test_every_profile_claimed_is_of_us_core_6_1_0(records: list[Json]) -> None:
    claimed = {url for resource in records for url in resource.get("meta", {}).get("profile", [])}
    assert claimed <= set(profiles())


@pytest.mark.parametrize("seed", [1, 2])
def test_every_resource_keeps_the_profile_it_claims(seed: int) -> None:
    broken: dict[str, str] = {}
    for resource in generate(20, seed=seed):
        for url in resource.get("meta", {}).get("profile", []):
            problems: list[str] = []
            walk(profiles()[url], profiles()[url].root, resource, problems)
            broken.update(dict.fromkeys(problems, str(resource["id"])))
    assert broken == {}


def test_the_check_notices_what_is_wrong(records: list[Json]) -> None:
    """A check that never fails proves nothing: break one rule of each kind."""
    pressure = next(r for r in records if r["resourceType"] == "Observation" and "component" in r)
    profile = profiles()[pressure["meta"]["profile"][0]]
    changes: tuple[Json, ...] = (
        {"component": pressure["component"][:1]},
        {"code": {"coding": [{"system": "http://loinc.org", "code": "0-0"}]}},
        {"status": "done"},
        {"category": []},
    )
    for change in changes:
        problems: list[str] = []
        walk(profile, profile.root, pressure | change, problems)
        assert problems, change


def test_invariants_that_snapshots_cannot_express(records: list[Json]) -> None:
    for resource in records:
        kind = resource["resourceType"]
        present = {key.lstrip("_") for key in resource}
        if kind == "DiagnosticReport":
            assert {"effectiveDateTime", "issued"} <= present
        elif kind == "Coverage":
            assert "subscriberId" in present
        elif kind == "PractitionerRole":
            assert {"telecom", "practitioner"} <= present
        elif kind == "MedicationRequest" and resource["intent"] == "order":
            assert "requester" in present
        elif kind == "Condition" and "abatementDateTime" in present:
            assert resource["clinicalStatus"]["coding"][0]["code"] == "resolved"
        elif kind == "Procedure":
            assert "performedDateTime" in present
        elif kind == "Appointment":
            assert {"start", "end"} <= present
        elif kind == "Provenance":
            for agent in resource["agent"]:
                assert "onBehalfOf" in agent or agent["who"]["reference"].startswith("Organization/")
