"""Rows are what the plain way makes, however often the extractor has seen a value before."""

from __future__ import annotations

import gzip
import itertools
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toro_core.search.plain import compared, plain_rows
from toro_core.definitions import load
from toro_core.json import dumps, loads
from toro_core.search.extract import Extractor
from toro_core.search.ucum import UCUM
from toro_core.synthetic import generate

_ARCHIVE = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "curated.tar.xz"
_EXTRACTOR = Extractor(load(), ["https://toro.example/fhir"])
_TYPES = (
    "ActivityDefinition",
    "Appointment",
    "ChargeItem",
    "Condition",
    "Encounter",
    "Group",
    "Invoice",
    "MedicationRequest",
    "MolecularSequence",
    "Observation",
    "Patient",
    "RiskAssessment",
    "Substance",
    "ValueSet",
)
"""Between them they index every data type."""

_texts = st.sampled_from(["", "a", "Zoë  Ünal", "x" * 70, "ﬁ", "http://s|1"])
_codes = st.sampled_from(["final", "male", "1", "2", "z" * 65])
_uris = st.sampled_from(["http://s", "http://s|1.0", "urn:x", "http://" + "p" * 70])
_moments = st.sampled_from(
    ["2024", "2024-02", "2024-02-29", "2023-02-29", "2024-01-01T10:00:00Z", "2024-01-01T10:00:00.5+14:00", "x"]
)
_references = st.sampled_from(
    [
        "Patient/1",
        "Patient/2",
        "Group/1",
        "https://toro.example/fhir/Patient/1",
        "Patient/1/_history/3",
        "https://other.example/Patient/9",
        "#c",
        "urn:uuid:x",
        "Patient?x=y",
    ]
)
_decimals = st.sampled_from([Decimal(text) for text in ("0", "36.6", "36.60", "-1E+3", "1E+400", "3.70E-7")])
_numbers = st.one_of(st.integers(-5, 200), st.just(10**400), _decimals)


def _members(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


_coding = _members(system=_uris, code=_codes, display=_texts)
_concept = _members(coding=st.lists(_coding, min_size=1, max_size=3), text=_texts)
_identifier = _members(system=_uris, value=_codes, type=_concept)
_quantity = _members(
    value=_numbers,
    comparator=st.sampled_from(["<", "<=", ">", ">="]),
    unit=st.sampled_from(["mg", "milligrams", ""]),
    system=st.sampled_from([UCUM, UCUM, "http://s"]),
    code=st.sampled_from(["mg", "Cel", "[degF]", "/min", "[foo]", "a"]),
)
_range = _members(low=_quantity, high=_quantity)
_period = _members(start=_moments, end=_moments)
_OF = {
    **dict.fromkeys(("code", "id"), _codes),
    **dict.fromkeys(("string", "markdown"), _texts),
    **dict.fromkeys(("uri", "url", "oid", "uuid", "canonical"), _uris),
    **dict.fromkeys(("date", "dateTime", "instant"), _moments),
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), _quantity),
    **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), st.integers(0, 3)),
    "boolean": st.booleans(),
    "decimal": _decimals,
    "CodeableConcept": _concept,
    "Coding": _coding,
    "ContactPoint": _members(system=st.sampled_from(["phone", "email"]), value=_texts),
    "Identifier": _identifier,
    "Money": _members(value=_numbers, currency=st.just("EUR")),
    "Period": _period,
    "Range": _range,
    "Reference": _members(reference=_references, type=st.sampled_from(["Patient", "Group"]), identifier=_identifier),
    "Timing": _members(event=st.lists(_moments, min_size=1, max_size=2), repeat=_members(boundsPeriod=_period)),
}


@st.composite
def _resources(draw: st.DrawFn) -> dict[str, Any]:
    """Make a resource with values, repeated ones among them, where its search parameters look."""
    resource_type = draw(st.sampled_from(_TYPES))
    cells = _EXTRACTOR.layout(resource_type).cells
    types = {branch.path: branch.type for cell in cells for branch in cell.branches if branch.run is None}
    places = sorted(path for path in types if path[:-1] not in types and types[path] in _OF)
    resource: dict[str, Any] = {"resourceType": resource_type, "id": "x"}
    for path in draw(st.lists(st.sampled_from(places), max_size=8)):
        _put(draw, resource, path, draw(st.lists(_OF[types[path]], min_size=1, max_size=3)))
    return resource


def _put(draw: st.DrawFn, node: dict[str, Any], path: tuple[str, ...], values: list[Any]) -> None:
    member, *rest = path
    if not rest:
        node[member] = values[0] if len(values) == 1 and draw(st.booleans()) else values
        return
    inner = node.setdefault(member, [{}])
    if isinstance(inner, list) and draw(st.booleans()):
        inner.append({})
    last = inner[-1] if isinstance(inner, list) else inner
    if isinstance(last, dict):
        _put(draw, last, tuple(rest), values)


@settings(max_examples=200)
@given(st.lists(_resources(), min_size=1, max_size=3))
def test_rows_are_those_that_are_made_the_plain_way(resources: list[dict[str, Any]]) -> None:
    for resource in resources:
        assert compared(_EXTRACTOR.rows(resource)) == compared(plain_rows(_EXTRACTOR, resource))


def test_the_rows_of_whole_records_are_those_that_are_made_the_plain_way() -> None:
    _agree(loads(dumps(resource)) for resource in generate(patients=2))


@pytest.mark.slow
def test_the_rows_of_real_resources_are_those_that_are_made_the_plain_way() -> None:
    if not _ARCHIVE.exists():
        pytest.skip(f"{_ARCHIVE.name} is not in ../shared/data")
    _agree(_curated(300))


def _agree(resources: Iterator[dict[str, Any]]) -> None:
    for resource in resources:
        made, expected = compared(_EXTRACTOR.rows(resource)), compared(plain_rows(_EXTRACTOR, resource))
        assert made == expected, (resource["resourceType"], resource.get("id"))


def _curated(each: int) -> Iterator[dict[str, Any]]:
    """Read the first resources of each type."""
    with tarfile.open(_ARCHIVE) as members:
        for member in members:
            if member.name.endswith(".ndjson.gz") and (opened := members.extractfile(member)):
                with gzip.open(opened) as lines:
                    yield from map(loads, itertools.islice(lines, each))
