"""`toro import` loses nothing of the shared sample data, compared digit for digit, and searches of it answer known counts.

The comparison reads JSON with the standard library and keeps numbers as text and members in order. The counts were taken once by
plain look-ups in the files, without anything of the project.
"""

from __future__ import annotations

import gzip
import itertools
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from toro_core.access import Access
from toro_core.auth.scopes import grants_of
from toro_core.caller import Caller
from toro_core.definitions import load
from toro_core.plugins import open_storage
from toro_core.search.extract import Extractor
from toro_core.search.paging import PageTokens
from toro_core.search.parse import SearchParser
from toro_core.search.url import parse_query
from toro_core.searching import Search, Searcher
from toro_core.storage import Key

SHARED = Path(__file__).resolve().parents[3] / "shared"
CURATED = SHARED / "data" / "curated.tar.xz"
REFERENCE = SHARED / "spec" / "reference-data"

IN_CURATED = {
    "Patient?gender=female": 123,
    "Patient?gender:not=female": 109,
    "Patient?birthdate=lt1950": 44,
    "Patient?birthdate=1970,1971": 5,
    "Patient?race=urn:oid:2.16.840.1.113883.6.238|2106-3": 138,
    "Patient?deceased=true": 18,
    "Patient?name=b": 31,
    "Patient?address-state:exact=MA": 172,
    "Patient?_has:Condition:patient:clinical-status=active": 202,
    "Observation?code=http://loinc.org|8867-4": 1016,
    "Observation?category=laboratory&status=final": 5498,
    "Observation?date=ge2019-06&date=lt2020-02-29": 476,
    "Observation?date=2020": 659,
    "Observation?component-code-value-quantity=http://loinc.org|8480-6$ge140": 222,
    "Observation?combo-code=8462-4": 1082,
    "Observation?code=8302-2&value-quantity=gt1.7|http://unitsofmeasure.org|m": 367,
    "Observation?code=8867-4&patient.gender=female": 718,
    "Observation?value-quantity:missing=true": 11271,
    "Observation?code:text=body": 3204,
    "Condition?clinical-status=active,recurrence": 670,
    "Condition?onset-date=sa2015": 402,
    "Encounter?class=AMB": 2825,
    "Encounter?date=2019": 97,
    "Immunization?status=completed&date=ge2018": 1421,
    "MedicationRequest?status=active&intent=order": 924,
    "DiagnosticReport?category=LAB": 736,
    "DocumentReference?status=current&type=http://loinc.org|34117-2": 30,
    "ServiceRequest?patient.birthdate=ge1990": 22,
    "Practitioner?_has:Encounter:practitioner:class=AMB": 103,
}
IN_REFERENCE = {
    "Patient?gender=female": 1,
    "Patient?gender:not=female": 3,
    "Patient?birthdate=lt1950": 2,
    "Patient?race=urn:oid:2.16.840.1.113883.6.238|2106-3": 2,
    "Patient?deceased=true": 1,
    "Patient?name=b": 2,
    "Patient?address-state:exact=MA": 2,
    "Patient?_has:Condition:patient:clinical-status=active": 2,
    "Observation?code=http://loinc.org|8867-4": 3,
    "Observation?category=laboratory&status=final": 12,
    "Observation?date=ge2019-06&date=lt2020-02-29": 3,
    "Observation?date=2020": 5,
    "Observation?combo-code=8462-4": 4,
    "Observation?value-quantity:missing=true": 171,
    "Observation?code:text=body": 12,
    "Condition?clinical-status=active,recurrence": 9,
    "Condition?onset-date=sa2015": 4,
    "Encounter?class=AMB": 177,
    "Encounter?date=2019": 1,
    "MedicationRequest?status=active&intent=order": 2,
    "DiagnosticReport?category=LAB": 2,
    "Practitioner?_has:Encounter:practitioner:class=AMB": 5,
}


def exactly(text: str | bytes) -> Any:
    """Parse an object into its members in order, and numbers into their digits as bytes, which equal no text."""
    return json.loads(text, parse_float=str.encode, parse_int=str.encode, object_pairs_hook=tuple)


def without_the_servers(resource: Any) -> Any:
    """Leave out what is the server's: the id, and versionId and lastUpdated in meta."""
    kept = []
    for name, value in resource:
        if name == "meta":
            value = tuple((inner, what) for inner, what in value if inner not in {"versionId", "lastUpdated"})
        if name != "id" and not (name == "meta" and not value):
            kept.append((name, value))
    return tuple(kept)


def member(resource: Any, name: str) -> Any:
    return next((value for each, value in resource if each == name), None)


async def compare(storage_url: str, sources: Iterable[Any]) -> Counter[str]:
    """Read every resource back and compare; return how many there are of each type."""
    counted: Counter[str] = Counter()
    async with open_storage(storage_url) as storage:
        sources = iter(sources)
        while chunk := list(itertools.islice(sources, 1000)):
            keys = [Key(member(source, "resourceType"), member(source, "id")) for source in chunk]
            for key, source, stored in zip(keys, chunk, await storage.read_many(keys), strict=True):
                assert stored is not None, f"{key} is not there"
                read = exactly(stored.json)
                assert member(read, "id") == key.id
                assert without_the_servers(read) == without_the_servers(source), f"{key} is another"
                counted[key.type] += 1
    return counted


async def totals(storage_url: str, searches: Iterable[str]) -> dict[str, int | None]:
    """Ask for nothing but totals."""
    extractor = Extractor(load(), [])
    parser = SearchParser(extractor)
    caller = Caller(client_id="me", grants=grants_of(("system/*.rs",)))
    found = {}
    async with open_storage(storage_url) as storage:
        searcher = Searcher(storage, extractor, parser, Access(parser.constraint), PageTokens(storage), page_size=50)
        for search in searches:
            type_, _, query = search.partition("?")
            asked = Search(type=type_, parameters=parse_query(f"{query}&_summary=count"))
            found[search] = (await searcher.search(caller, asked)).total
    return found


def printed(output: str) -> dict[str, int]:
    """Read the counts a command prints: a number and a type a line."""
    lines = (line.split() for line in output.splitlines())
    return {words[1]: int(words[0]) for words in lines if len(words) == 2}


@pytest.mark.skipif(not CURATED.is_file(), reason="the shared sample data is not there")
async def test_the_curated_data_is_imported_without_loss_and_answers_known_counts(place: Any, tmp_path: Path) -> None:
    with tarfile.open(CURATED) as archive:
        archive.extractall(tmp_path, filter="data")
    done = place.toro("import", tmp_path / "curated")
    assert done.returncode == 0, done.stderr
    assert "45232 resources" in done.stdout

    def sources() -> Iterator[Any]:
        for path in sorted((tmp_path / "curated").iterdir()):
            with gzip.open(path) as lines:
                yield from map(exactly, lines)

    counted = await compare(place.storage, sources())
    assert counted.total() == 45_232
    assert printed(done.stdout) == counted
    assert await totals(place.storage, IN_CURATED) == IN_CURATED


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the shared reference data is not there")
async def test_the_reference_data_is_imported_without_loss_and_answers_known_counts(place: Any) -> None:
    done = place.toro("import", REFERENCE)
    assert done.returncode == 0, done.stderr
    sources = [source for path in sorted(REFERENCE.glob("*.json")) for source in entries(exactly(path.read_bytes()))]
    counted = await compare(place.storage, sources)
    assert counted.total() == 749
    assert printed(done.stdout) == counted
    assert await totals(place.storage, IN_REFERENCE) == IN_REFERENCE


def entries(document: Any) -> list[Any]:
    """Return the resources of a Bundle, with references among its entries as they are known afterwards."""
    if member(document, "resourceType") != "Bundle":
        return [document]
    found = [(member(entry, "fullUrl"), member(entry, "resource")) for entry in member(document, "entry")]
    names = {url: f"{member(resource, 'resourceType')}/{member(resource, 'id')}" for url, resource in found}

    def known(reference: Any) -> Any:
        return names.get(reference, reference) if isinstance(reference, str) else renamed(reference)

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(one) for one in value]
        if isinstance(value, tuple):
            return tuple((name, known(inner) if name == "reference" else renamed(inner)) for name, inner in value)
        return value

    return [renamed(resource) for _, resource in found]


def test_the_comparison_sees_what_a_loss_looks_like() -> None:
    one = exactly('{"a":[1.0,{"b":"1"}],"c":1e3,"id":"x","meta":{"versionId":"1"}}')
    assert without_the_servers(one) == without_the_servers(exactly('{"id":"y","a":[1.0,{"b":"1"}],"c":1e3}'))
    for other in (
        '{"a":[1.00,{"b":"1"}],"c":1e3}',
        '{"a":[1.0,{"b":1}],"c":1e3}',
        '{"c":1e3,"a":[1.0,{"b":"1"}]}',
        '{"a":[1.0,{"b":"1"}],"c":1000}',
        '{"a":[1.0,{"b":"1"}],"c":1e3,"meta":{"source":"x"}}',
    ):
        assert without_the_servers(one) != without_the_servers(exactly(other))
