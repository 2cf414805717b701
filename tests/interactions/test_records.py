"""Whole records over REST: what Synthea's Bundles load is what $everything gives back; content posted is content read."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.interactions.conftest import Live

_ARCHIVE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "synthea-r4-2019.tar.xz"


def _smallest(number: int, of: int) -> list[bytes]:
    """Return the smallest Bundles among the first of the archive."""
    if not _ARCHIVE.exists():
        pytest.skip(f"{_ARCHIVE.name} is not in ../shared/data")
    found: list[bytes] = []
    with tarfile.open(_ARCHIVE) as members:
        for member in members:
            if member.name.endswith(".json") and (opened := members.extractfile(member)):
                found.append(opened.read())
            if len(found) == of:
                break
    return sorted(found, key=len)[:number]


async def _everything(http: httpx.AsyncClient, patient: str, query: str) -> list[str]:
    names = []
    url = f"/fhir/Patient/{patient}/$everything{query}"
    while url:
        page = (await http.get(url)).json()
        names += [entry["fullUrl"].rpartition("/fhir/")[2] for entry in page["entry"] if "fullUrl" in entry]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return names


async def test_a_synthea_bundle_comes_back_as_its_patients_record(live: Live) -> None:
    loaded: list[set[str]] = []
    for body in _smallest(2, of=12):
        answer = await live.http.post("/fhir", content=body, headers={"content-type": "application/fhir+json"})
        assert answer.status_code == 200, answer.text[:1000]
        locations = [entry["response"]["location"].split("/") for entry in answer.json()["entry"]]
        loaded.append({f"{parts[-4]}/{parts[-3]}" for parts in locations})
    for names in loaded:
        (patient,) = (name.partition("/")[2] for name in names if name.startswith("Patient/"))
        for query in ("", "?_count=50"):
            found = await _everything(live.http, patient, query)
            assert len(found) == len(set(found))
            assert set(found) == names


async def test_content_is_stored_and_read_as_it_is(live: Live) -> None:
    content = os.urandom(100_001)
    await live.put({"resourceType": "Patient", "id": "1"})
    headers = {"content-type": "image/png", "x-security-context": "Patient/1"}
    created = await live.http.post("/fhir/Binary", content=content, headers=headers)
    assert (created.status_code, created.content) == (201, b"")
    name = "/".join(created.headers["location"].split("/")[-4:-2])
    read = await live.http.get(f"/fhir/{name}", headers={"accept": "image/*"})
    assert read.content == content
    assert read.headers["content-type"] == "image/png"
    assert read.headers["x-security-context"] == "Patient/1"
    assert read.headers["content-length"] == str(len(content))
    resource = (await live.http.get(f"/fhir/{name}", headers={"accept": "application/fhir+json"})).json()
    assert (resource["contentType"], resource["securityContext"]) == ("image/png", {"reference": "Patient/1"})
    form = {"content-type": "text/plain; charset=utf-8", "prefer": "return=representation"}
    updated = await live.http.put(f"/fhir/{name}", content=b'{"no": "resource"}', headers=form)
    assert updated.json()["meta"]["versionId"] == "2"
    again = await live.http.get(f"/fhir/{name}", headers={"accept": "*/*"})
    assert (again.content, again.headers["content-type"]) == (b'{"no": "resource"}', "text/plain; charset=utf-8")
    past = await live.http.get(f"/fhir/{name}/_history/1", headers={"accept": "*/*"})
    assert past.content == content


async def test_what_a_browser_would_run_is_to_be_saved(live: Live) -> None:
    page = await live.http.post("/fhir/Binary", content=b"<script>", headers={"content-type": "text/html"})
    read = await live.http.get(
        f"{page.headers['location'].rpartition('/_history')[0]}", headers={"accept": "text/html"}
    )
    assert read.headers["content-disposition"] == "attachment"
    assert read.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {"content-type": "image/png"}, 400),
        (b"x", {"content-type": "nonsense"}, 415),
        (b"x" * 800_000, {"content-type": "image/png"}, 413),
        (b"x", {"content-type": "application/fhir+json"}, 400),
        (b"{}", {"content-type": "application/fhir+json"}, 400),
    ],
)
async def test_content_that_cannot_be_stored_is_refused(
    open_live: Callable[..., AbstractAsyncContextManager[Live]], content: bytes, headers: dict[str, str], status: int
) -> None:
    async with open_live(max_body=1_000_000) as live:
        answer = await live.http.post("/fhir/Binary", content=content, headers=headers)
        assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")


async def test_a_document_is_stored_where_bundles_are_exposed(live: Live) -> None:
    composition: dict[str, Any] = {
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "type": {"text": "note"},
        "subject": {"reference": "Patient/1"},
        "date": "2024-05-06",
        "author": [{"reference": "Patient/1"}],
        "title": "Note",
    }
    await live.put({"resourceType": "Patient", "id": "1"})
    await live.put(composition)
    made = await live.http.get("/fhir/Composition/c/$document?persist=true")
    assert made.status_code == 200
    assert made.headers["location"].endswith(f"/fhir/Bundle/{made.json()['id']}/_history/1")
    stored = await live.http.get(f"/fhir/Bundle/{made.json()['id']}")
    assert stored.content == made.content
