"""Every must-support element and every SHALL search of US Core 6.1.0 finds something in twenty synthetic patients.

One test is generated for each profile from the machine-readable list beside the repository; without it they skip.
"""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from toro_core.synthetic import generate

Json = dict[str, Any]

LIST = Path(__file__).parents[4] / "shared" / "spec" / "us-core-6.1.0-must-support.json"
UNSERVED = {"MedicationDispense", "QuestionnaireResponse"}
GROUPS = (
    [group for group in json.loads(LIST.read_text())["groups"] if group["resource"] not in UNSERVED]
    if LIST.exists()
    else []
)
each_profile = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group["profile_url"].rsplit("/", 1)[1])

pytestmark = pytest.mark.skipif(not GROUPS, reason="the must-support list is not there: ../shared/spec")


@pytest.fixture(scope="module")
def records() -> list[Json]:
    return list(generate(20))


def claiming(records: list[Json], group: Json) -> list[Json]:
    """Give the resources that claim a group's profile."""
    return [r for r in records if group["profile_url"] in r.get("meta", {}).get("profile", [])]


def children(node: Json, name: str) -> list[Any]:
    """Give the values of a member; `value[x]` stands for any type's."""
    if name.endswith("[x]"):
        found = [value for key, value in node.items() if re.fullmatch(re.escape(name[:-3]) + "[A-Z].*", key)]
    else:
        found = [node[name]] if name in node else []
    return [item for value in found for item in (value if isinstance(value, list) else [value])]


def is_real(value: Any) -> bool:
    """Tell a value from one that only says why it is absent."""
    return not isinstance(value, dict) or bool(set(value) - {"extension", "id"})


def at(node: Any, path: str, slices: dict[str, Json], prefix: str) -> Iterator[Any]:
    """Yield the values at a path such as `component:systolic.valueQuantity.value`."""
    if not path:
        if is_real(node):
            yield node
        return
    if not isinstance(node, dict):
        return
    step, _, rest = path.partition(".")
    name, _, slice_name = step.partition(":")
    discriminator = slices.get(f"{prefix}.{name}:{slice_name}") if slice_name else None
    if slice_name and discriminator is None:
        # slices of a choice are by type, and the name already says the type
        assert name.startswith(("value", "effective")), path
    for child in children(node, name):
        if discriminator is None or in_slice(child, discriminator):
            yield from at(child, rest, slices, f"{prefix}.{name}")


def in_slice(node: Json, discriminator: Json) -> bool:
    kind = discriminator["type"]
    inner = list(at(node, discriminator.get("path", ""), {}, ""))
    if kind == "patternCodeableConcept":
        wanted = {(discriminator["system"], discriminator["code"])}
    elif kind == "requiredBinding":
        wanted = {(value["system"], value["code"]) for value in discriminator["values"]}
    elif kind == "patternCoding":
        return any((c["system"], c["code"]) == (discriminator["system"], discriminator["code"]) for c in inner)
    elif kind == "patternIdentifier":
        return any(identifier["system"] == discriminator["system"] for identifier in inner)
    elif kind == "value":
        return all(value["value"] in at(node, value["path"], {}, "") for value in discriminator["values"])
    else:
        raise AssertionError(kind)
    return any((c.get("system"), c.get("code")) in wanted for concept in inner for c in concept["coding"])


def typed(path: str, kind: str) -> str:
    return path.replace("[x]", kind)


@each_profile
def test_every_must_support_element_slice_and_extension_occurs(records: list[Json], group: Json) -> None:
    resources = claiming(records, group)
    needs = group["must_supports"]
    kind = group["resource"]
    slices = {s["slice_id"]: s["discriminator"] for s in needs["slices"] if s["discriminator"]["type"] != "type"}
    assert resources
    missing = []
    for extension in needs["extensions"]:
        if not any(e["url"] == extension["url"] for r in resources for e in at(r, extension["path"], {}, "")):
            missing.append(extension["id"])
    for piece in needs["slices"]:
        discriminator = piece["discriminator"]
        if discriminator["type"] == "type":
            path = typed(piece["path"], discriminator["code"])
            found = any(True for r in resources for _ in at(r, path, {}, ""))
        else:
            found = any(in_slice(n, discriminator) for r in resources for n in at(r, piece["path"], {}, ""))
        if not found:
            missing.append(piece["slice_id"])
    for element in needs["elements"]:
        values = [value for r in resources for value in at(r, element["path"], slices, kind)]
        fixed = element.get("fixed_value")
        if not values or (fixed is not None and fixed not in values):
            missing.append(element["path"])
    assert missing == []


@each_profile
def test_every_must_support_reference_leads_to_each_profile_it_may(records: list[Json], group: Json) -> None:
    profiles = {f"{r['resourceType']}/{r['id']}": r.get("meta", {}).get("profile", []) for r in records}
    unserved = {"http://hl7.org/fhir/us/core/StructureDefinition/us-core-questionnaireresponse"}
    for element in group["must_supports"]["elements"]:
        if "target_profiles" not in element:
            continue
        references = {v["reference"] for r in claiming(records, group) for v in at(r, element["path"], {}, "")}
        reached = {profile for reference in references for profile in profiles[reference]}
        assert set(element["target_profiles"]) - unserved <= reached, element["path"]


def extracted(resource: Json, definition: Json) -> list[Any]:
    values = []
    for path in definition["paths"]:
        found = list(at(resource, path, {}, "")) or list(at(resource, path + "[x]", {}, ""))
        values += found
    return values


def asked(value: Any) -> Iterator[str]:
    """Yield what a client would write to find a value."""
    if is_time(value):
        yield f"ge{date.fromisoformat(value[:10]) - timedelta(days=1)}"
    elif isinstance(value, str):
        yield value
    elif "reference" in value:
        yield value["reference"]
    elif "coding" in value:
        yield from (f"{coding['system']}|{coding['code']}" for coding in value["coding"])
    elif "start" in value:
        yield f"ge{date.fromisoformat(value['start'][:10]) - timedelta(days=1)}"
    elif "family" in value:
        yield value["family"].lower()
    elif "city" in value:
        yield value["city"]
    elif "code" in value:
        yield f"{value['system']}|{value['code']}"
    elif "value" in value:
        yield f"{value['system']}|{value['value']}"


def is_time(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d(T|$)", value) is not None


def matches(value: Any, query: str) -> bool:
    """Judge one stored value by one search value, by the rules of R4 search."""
    if query.startswith("ge") and is_time(query[2:]):
        latest = value.get("end", "9999") if isinstance(value, dict) else value
        return str(latest)[:10] >= query[2:]
    if isinstance(value, str):
        return value == query or value.lower().startswith(query.lower())
    if "reference" in value:
        return bool(value["reference"] == query)
    if "coding" in value:
        return any(f"{c.get('system')}|{c['code']}" == query for c in value["coding"])
    if "family" in value or "city" in value:
        words = [word for part in value.values() for word in (part if isinstance(part, list) else [part])]
        return any(isinstance(word, str) and word.lower().startswith(query.lower()) for word in words)
    return f"{value.get('system')}|{value.get('code', value.get('value'))}" == query


@each_profile
def test_every_shall_search_has_a_hit(records: list[Json], group: Json) -> None:
    resources = claiming(records, group)
    for search in (s for s in group["searches"] if s["expectation"] == "SHALL"):
        definitions = {
            name: {"paths": ["id"]} if name == "_id" else group["search_definitions"][name] for name in search["names"]
        }
        queries = next(
            (
                {name: next(asked(values[0])) for name, values in found.items()}
                for resource in resources
                if all((found := {name: extracted(resource, d) for name, d in definitions.items()}).values())
            ),
            None,
        )
        assert queries, search["names"]
        hits = [
            r
            for r in resources
            if all(any(matches(v, queries[name]) for v in extracted(r, d)) for name, d in definitions.items())
        ]
        assert hits, queries


@pytest.mark.parametrize(
    "group",
    [group for group in GROUPS if group["search_definitions"].get("category", {}).get("values")],
    ids=lambda group: group["profile_url"].rsplit("/", 1)[1],
)
def test_a_category_that_clients_ask_for_by_name_occurs(records: list[Json], group: Json) -> None:
    definition = group["search_definitions"]["category"]
    found = {
        coding["code"]
        for resource in claiming(records, group)
        for concept in extracted(resource, definition)
        for coding in concept["coding"]
    }
    assert found & set(definition["values"])
