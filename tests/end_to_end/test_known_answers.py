"""Searches whose answers are known: from the generator's own records, by brute force."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unicodedata import combining, normalize

import httpx
import pytest

Json = dict[str, Any]

LIST = Path(__file__).parents[3] / "shared" / "spec" / "us-core-6.1.0-must-support.json"
UNSERVED = {"MedicationDispense", "QuestionnaireResponse"}
GROUPS = (
    [group for group in json.loads(LIST.read_text())["groups"] if group["resource"] not in UNSERVED]
    if LIST.exists()
    else []
)


def everything(partner: httpx.Client, resource_type: str, query: dict[str, str] | None = None) -> list[Json]:
    """Return all that a search finds, from every page."""
    answer = partner.get(resource_type, params={"_count": "500"} | (query or {}))
    found: list[Json] = []
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [entry["resource"] for entry in page.get("entry", ())]
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            return found
        answer = partner.get(following[0])


def names(resources: list[Json]) -> list[str]:
    return sorted(resource["id"] for resource in resources)


def test_every_record_of_the_generator_is_served_as_it_was_made(
    partner: httpx.Client, records: dict[str, Json]
) -> None:
    served = {
        f"{resource['resourceType']}/{resource['id']}": resource
        for resource_type in sorted({record["resourceType"] for record in records.values()})
        for resource in everything(partner, resource_type)
    }
    for name, record in records.items():
        stored = served[name]
        assert {"versionId", "lastUpdated"} <= set(stored["meta"])
        meta = {key: value for key, value in stored["meta"].items() if key not in ("versionId", "lastUpdated")}
        assert {**stored, "meta": meta} == {**record, "meta": record.get("meta", {})}, name


Holds = Callable[[Json], bool]


def period(resource: Json) -> tuple[datetime, datetime]:
    start, end = (datetime.fromisoformat(resource["period"][edge]) for edge in ("start", "end"))
    return start, end + timedelta(seconds=1)


YEAR = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
DAY = (datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC))

# https://hl7.org/fhir/R4/search.html#prefix: how a stored interval [a, b) compares with the searched one [low, high).
PREFIXES: dict[str, Callable[[datetime, datetime, datetime, datetime], bool]] = {
    "": lambda a, b, low, high: low <= a and b <= high,
    "eq": lambda a, b, low, high: low <= a and b <= high,
    "ne": lambda a, b, low, high: not (low <= a and b <= high),
    "gt": lambda a, b, low, high: b > high,
    "lt": lambda a, b, low, high: a < low,
    "ge": lambda a, b, low, high: b > high or (low <= a and b <= high),
    "le": lambda a, b, low, high: a < low or (low <= a and b <= high),
    "sa": lambda a, b, low, high: a >= high,
    "eb": lambda a, b, low, high: b <= low,
}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(("text", "bounds"), [("2024", YEAR), ("2024-03-01", DAY)])
def test_dates_compare_as_the_specification_says(
    partner: httpx.Client, prefix: str, text: str, bounds: tuple[datetime, datetime]
) -> None:
    expected = [
        resource for resource in everything(partner, "Encounter") if PREFIXES[prefix](*period(resource), *bounds)
    ]
    assert names(everything(partner, "Encounter", {"date": f"{prefix}{text}"})) == names(expected)


def codes(concept: Json | list[Json]) -> set[str]:
    concepts = concept if isinstance(concept, list) else [concept]
    return {coding["code"] for one in concepts for coding in one.get("coding", ())}


def words(resource: Json) -> list[str]:
    return [
        word
        for name in resource.get("name", ())
        for part in ("family", "given", "prefix", "suffix", "text")
        for word in (name.get(part, []) if isinstance(name.get(part, []), list) else [name[part]])
    ]


def plain(word: str) -> str:
    """Take case and accents off."""
    return "".join(letter for letter in normalize("NFD", word.lower()) if not combining(letter))


CASES: list[tuple[str, dict[str, str], Holds]] = [
    ("Patient", {"gender": "female"}, lambda r: r.get("gender") == "female"),
    ("Patient", {"birthdate": "lt1980"}, lambda r: "0" < r.get("birthDate", "")[:4] < "1980"),
    ("Patient", {"name": "a"}, lambda r: any(plain(word).startswith("a") for word in words(r))),
    ("Patient", {"deceased": "true"}, lambda r: "deceasedDateTime" in r or r.get("deceasedBoolean") is True),
    ("Practitioner", {"active": "true"}, lambda r: r.get("active") is True),
    ("Observation", {"category": "vital-signs"}, lambda r: "vital-signs" in codes(r.get("category", []))),
    ("Observation", {"code": "http://loinc.org|8867-4"}, lambda r: "8867-4" in codes(r["code"])),
    ("Observation", {"code": "8867-4,8480-6", "status": "final"}, lambda r: bool(codes(r["code"]) & {"8867-4", "8480-6"})),
    ("Condition", {"clinical-status": "active"}, lambda r: "active" in codes(r.get("clinicalStatus", {}))),
    ("Condition", {"category": "encounter-diagnosis"}, lambda r: "encounter-diagnosis" in codes(r.get("category", []))),
    ("Appointment", {"status": "booked"}, lambda r: r["status"] == "booked"),
    ("Appointment", {"date": "ge2025-07-01"}, lambda r: r.get("start", "")[:10] >= "2025-07-01"),
    ("MedicationRequest", {"intent": "order", "status": "active"}, lambda r: (r["intent"], r["status"]) == ("order", "active")),
    ("Immunization", {"status": "completed"}, lambda r: r["status"] == "completed"),
    ("DocumentReference", {"category": "clinical-note"}, lambda r: "clinical-note" in codes(r.get("category", []))),
    ("DiagnosticReport", {"category": "LAB"}, lambda r: "LAB" in codes(r.get("category", []))),
    ("Coverage", {"status": "active"}, lambda r: r["status"] == "active"),
    ("Organization", {"name": "lake"}, lambda r: r["name"].lower().startswith("lake")),
    ("ServiceRequest", {"status": "active,completed"}, lambda r: r["status"] in ("active", "completed")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource_type", "query", "holds"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_search_finds_exactly_what_it_describes(
    partner: httpx.Client, resource_type: str, query: dict[str, str], holds: Holds
) -> None:
    expected = [one for one in everything(partner, resource_type) if holds(one)]
    assert expected
    assert names(everything(partner, resource_type, query)) == names(expected)


@pytest.mark.parametrize("resource_type", ["Observation", "Condition", "Encounter", "DocumentReference", "Appointment"])
def test_each_patients_record_is_found_by_the_patient(partner: httpx.Client, resource_type: str) -> None:
    by_patient: dict[str, list[Json]] = {}
    for resource in everything(partner, resource_type):
        subjects = [resource.get("subject", {})] + [one.get("actor", {}) for one in resource.get("participant", ())]
        for subject in {one["reference"] for one in subjects if one.get("reference", "").startswith("Patient/")}:
            by_patient.setdefault(subject, []).append(resource)
    assert len(by_patient) >= 20
    for patient, resources in by_patient.items():
        assert names(everything(partner, resource_type, {"patient": patient})) == names(resources)


def children(node: Json, name: str) -> list[Any]:
    """Give the values of an element; `effective` stands for any type's too."""
    found = [node[name]] if name in node else []
    found += [value for key, value in node.items() if re.fullmatch(re.escape(name) + "[A-Z][A-Za-z]*", key)]
    return [item for value in found for item in (value if isinstance(value, list) else [value])]


def at(node: Any, path: str) -> Iterator[Any]:
    """Yield the values at a path such as `period` or `participant.actor`."""
    if not path:
        yield node
    elif isinstance(node, dict):
        step, _, rest = path.partition(".")
        for child in children(node, step):
            yield from at(child, rest)


def asked(value: Any) -> str | None:
    """Write a stored value as a client would ask for it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"ge{value}" if re.match(r"\d{4}-\d\d-\d\d", value) else value
    for inner in ("reference", "family", "city", "start"):
        if inner in value:
            return f"ge{value['start']}" if inner == "start" else str(value[inner])
    if value.get("coding"):
        return f"{value['coding'][0]['system']}|{value['coding'][0]['code']}"
    code = value.get("code", value.get("value"))
    return f"{value['system']}|{code}" if code and "system" in value else None


@pytest.mark.skipif(not GROUPS, reason="the list of US Core's searches is not beside the repository: ../shared/spec")
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group["profile_url"].rsplit("/", 1)[1])
def test_every_shall_search_of_us_core_has_a_hit(partner: httpx.Client, records: dict[str, Json], group: Json) -> None:
    claiming = [
        record
        for record in records.values()
        if record["resourceType"] == group["resource"]
        and group["profile_url"] in record.get("meta", {}).get("profile", ())
    ]
    for search in (search for search in group["searches"] if search["expectation"] == "SHALL"):
        for record in claiming:
            query: dict[str, str] = {}
            for name in search["names"]:
                paths = ["id"] if name == "_id" else group["search_definitions"][name]["paths"]
                values = [found for path in paths for value in at(record, path) if (found := asked(value))]
                query |= {name: values[0]} if values else {}
            if len(query) == len(search["names"]):
                break
        else:
            pytest.fail(f"no synthetic record has all of {search['names']}")
        for answer in (
            partner.get(group["resource"], params=query | {"_count": "500"}),
            partner.post(f"{group['resource']}/_search", data=query | {"_count": "500"}),
        ):
            assert answer.status_code == 200, (query, answer.text)
            hits = {entry["resource"]["id"] for entry in answer.json().get("entry", ())}
            assert record["id"] in hits, query
