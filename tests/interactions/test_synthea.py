"""Synthea's transaction Bundles load whole and read back as they were sent: https://synthetichealth.github.io/synthea/

The archives lie beside the repository, in `../shared/data`.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.interactions.conftest import Live

_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def _bundles(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the Bundles of an archive, those that the others refer to first."""
    archive = _DATA / f"{name}.tar.xz"
    if not archive.exists():
        pytest.skip(f"{archive.name} is not in ../shared/data")
    late: list[tuple[str, bytes]] = []
    with tarfile.open(archive) as members:
        for member in members:
            if not member.name.endswith(".json"):
                continue
            opened = members.extractfile(member)
            assert opened is not None
            found = (Path(member.name).name, _corrected(opened.read()))
            if "Information" in member.name:
                yield found
            elif name.endswith("-sample"):
                late.append(found)
            else:
                yield found
    yield from late


def _corrected(body: bytes) -> bytes:
    """Take out what US Core refuses: provider numbers without a valid check digit, and an ethnicity in the place of a race."""
    body = body.replace(b"http://hl7.org/fhir/sid/us-npi", b"http://example.org/provider-number")
    return re.sub(rb'"2135-2"(,\s*"display": "Other")', rb'"2106-3"\1', body)


def _parsed(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal)


def _identities(entries: list[Any], answers: list[Any]) -> dict[str, str]:
    """Return by fullUrl what each entry became."""
    return {
        entry["fullUrl"]: "/".join(answer["response"]["location"].split("/")[-4:-2])
        for entry, answer in zip(entries, answers, strict=True)
    }


async def _load(live: Live, body: bytes, expected: str) -> tuple[list[Any], list[Any]]:
    answer = await live.http.post("/fhir", content=body, headers={"prefer": "return=representation"})
    assert answer.status_code == 200, answer.text[:2000]
    entries, answers = _parsed(body)["entry"], _parsed(answer.content)["entry"]
    assert {entry["response"]["status"] for entry in answers} == {expected}
    return entries, answers


async def _compare(live: Live, entries: list[Any], answers: list[Any], found: dict[str, str]) -> int:
    """Read everything back; return how many references were rewritten."""
    identities = _identities(entries, answers)
    rewritten = 0
    for entry, answer in zip(entries, answers, strict=True):
        name = identities[entry["fullUrl"]]
        read = _parsed((await live.http.get(f"/fhir/{name}")).content)
        assert read == answer["resource"]
        sent = entry["resource"]
        assert f"{sent['resourceType']}/{read['id']}" == name
        rewritten += _same(sent, read, identities | found, top=True)
    return rewritten


def _same(sent: Any, read: Any, links: dict[str, str], *, top: bool = False) -> int:
    """Compare but for id and meta at the top; return how many texts differ as `links` say they should."""
    if isinstance(sent, dict):
        left_out = {"id", "meta"} if top else set()
        assert sent.keys() - left_out == read.keys() - left_out
        assert [key for key in sent if key not in left_out] == [key for key in read if key not in left_out]
        if top and "meta" in sent:
            own = {"versionId", "lastUpdated"}
            assert {k: v for k, v in read["meta"].items() if k not in own} == sent["meta"]
        return sum(_same(sent[key], read[key], links) for key in sent.keys() - left_out)
    if isinstance(sent, list):
        assert len(sent) == len(read)
        return sum(_same(one, other, links) for one, other in zip(sent, read, strict=True))
    if isinstance(sent, str) and sent in links and read != sent:
        assert read == links[sent]
        return 1
    assert (sent, type(sent), str(sent)) == (read, type(read), str(read))
    return 0


@pytest.mark.parametrize("bundles", [3, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_transactions_with_links_between_their_entries_read_back_equal(live: Live, bundles: int) -> None:
    loaded = resources = rewritten = 0
    for _, body in islice(_bundles("synthea-r4-2019"), bundles):
        entries, answers = await _load(live, body, "201 Created")
        rewritten += await _compare(live, entries, answers, {})
        loaded += 1
        resources += len(entries)
    assert rewritten > resources
    if bundles > 3:
        assert (loaded, resources) == (102, 23_738)


@pytest.mark.parametrize("bundles", [1, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_transactions_with_conditional_references_read_back_equal(live: Live, bundles: int) -> None:
    given = list(_bundles("synthea-r4-2021-sample"))
    information = [body for name, body in given if "Information" in name]
    assert len(information) == 2
    patients = [body for name, body in given if "Information" not in name][:bundles]
    found: dict[str, str] = {}
    for body in information if bundles > 1 else [_needed(body, patients[0]) for body in information]:
        found |= await _load_information(live, body)
    rewritten = 0
    for body in patients:
        entries, answers = await _load(live, body, "201 Created")
        rewritten += await _compare(live, entries, answers, found)
    assert rewritten > 100
    assert '"reference":"Practitioner?' not in (await live.http.get("/fhir/Encounter?_count=1000")).text


def _needed(information: bytes, patient: bytes) -> bytes:
    """Keep the entries that a patient's Bundle refers to."""
    bundle = json.loads(information, parse_float=Decimal)
    text = patient.decode()
    entries = [each for each in bundle["entry"] if each["request"].get("ifNoneExist", "no condition") in text]
    return json.dumps(bundle | {"entry": entries}, default=float).encode()


async def _load_information(live: Live, body: bytes) -> dict[str, str]:
    """Load a batch of conditional creates, twice, and return what each condition finds."""
    entries, answers = await _load(live, body, "201 Created")
    again = (await live.http.post("/fhir", content=body)).json()["entry"]
    found: dict[str, str] = {}
    for entry, answer, second in zip(entries, answers, again, strict=True):
        search = entry["request"].get("ifNoneExist")
        assert second["response"]["status"] == ("200 OK" if search else "201 Created")
        if search:
            assert second["response"]["location"] == answer["response"]["location"]
            found[f"{answer['resource']['resourceType']}?{search}"] = (
                f"{answer['resource']['resourceType']}/{answer['resource']['id']}"
            )
    return found
