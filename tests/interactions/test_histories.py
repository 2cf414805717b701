"""History of a resource, a type and the system over REST. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from tests.interactions.conftest import Live

    OpenLive: TypeAlias = Callable[..., AbstractAsyncContextManager[Live]]


def _patient(id_: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, **more}


async def _tell(live: Live) -> list[str]:
    """Store some versions and return when each was, a millisecond or more apart."""
    found = []
    for resource in (
        _patient("a"),
        {"resourceType": "Organization", "id": "o", "name": "x"},
        _patient("a", active=True),
        _patient("b"),
    ):
        found.append((await live.put(resource))["meta"]["lastUpdated"])
        await asyncio.sleep(0.005)
    assert (await live.http.delete("/fhir/Patient/a")).status_code == 204
    history = (await live.http.get("/fhir/Patient/a/_history")).json()
    return [*found, history["entry"][0]["response"]["lastModified"]]


async def _versions(live: Live, path: str) -> list[str]:
    """Walk a history and return its versions, the oldest first."""
    found: list[str] = []
    url = f"/fhir/{path}"
    while url:
        answer = await live.http.get(url)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [
            f"{entry['fullUrl'].partition('/fhir/')[2]}/{entry['response']['etag'][3:-1]}"
            for entry in page.get("entry", [])
        ]
        first = "_page=" not in str(answer.request.url)
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        assert ("total" in page) == (first and not url)
    return found[::-1]


async def test_histories_of_types_and_of_all_are_in_commit_order(live: Live) -> None:
    await _tell(live)
    everything = ["Patient/a/1", "Organization/o/1", "Patient/a/2", "Patient/b/1", "Patient/a/3"]
    patients = [name for name in everything if name.startswith("Patient")]
    for count in ("", "?_count=1", "?_count=2"):
        assert await _versions(live, f"_history{count}") == everything
        assert await _versions(live, f"Patient/_history{count}") == patients
    assert await _versions(live, "Organization/_history") == ["Organization/o/1"]
    assert await _versions(live, "Observation/_history") == []


async def test_an_entry_says_which_request_made_it(live: Live) -> None:
    await _tell(live)
    entries = (await live.http.get("/fhir/_history")).json()["entry"]
    said = [(one["request"]["method"], one["request"]["url"], one["response"]["status"]) for one in entries]
    assert said == [
        ("DELETE", "Patient/a", "204"),
        ("POST", "Patient", "201"),
        ("PUT", "Patient/a", "200"),
        ("POST", "Organization", "201"),
        ("POST", "Patient", "201"),
    ]
    assert ["resource" in one for one in entries] == [False, True, True, True, True]
    for one in entries[1:]:
        assert one["response"]["etag"] == f'W/"{one["resource"]["meta"]["versionId"]}"'
        assert one["response"]["lastModified"] == one["resource"]["meta"]["lastUpdated"]


async def test_since_and_at_cut_a_history_in_time(live: Live) -> None:
    first, _, third, fourth, fifth = await _tell(live)
    for path in ("Patient/_history", "Patient/a/_history", "_history"):
        everything = await _versions(live, path)
        assert await _versions(live, f"{path}?_since={first}") == everything
        assert await _versions(live, f"{path}?_since={first[:10]}") == everything
        late = [name for name in everything if name in ("Patient/a/2", "Patient/b/1", "Patient/a/3")]
        assert await _versions(live, f"{path}?_since={third}") == late
        assert await _versions(live, f"{path}?_since={third}&_count=1") == late
        assert await _versions(live, f"{path}?_since=2999-01-01") == []
        current = [name for name in everything if name in ("Organization/o/1", "Patient/a/2")]
        assert await _versions(live, f"{path}?_at={third}") == current
        assert await _versions(live, f"{path}?_at={third}&_count=1") == current
        assert await _versions(live, f"{path}?_at=2001") == []
        assert await _versions(live, f"{path}?_at={first[:4]}") == everything
    assert await _versions(live, f"_history?_at={fourth}") == ["Organization/o/1", "Patient/a/2", "Patient/b/1"]
    assert await _versions(live, f"_history?_at={fifth}") == ["Organization/o/1", "Patient/b/1", "Patient/a/3"]


@pytest.mark.parametrize(
    "query", ["_since=yesterday", "_at=2024-13", "_since=2024-01-01T00:00:00+01:00", "_count=0", "x=1"]
)
async def test_what_cannot_be_understood_is_refused(live: Live, query: str) -> None:
    for path in ("Patient/_history", "_history"):
        answer = await live.http.get(f"/fhir/{path}?{query}")
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["diagnostics"]


async def test_what_never_existed_has_no_history_at_any_time(live: Live) -> None:
    await live.put(_patient("a"))
    for query in ("", "?_since=2000", "?_since=2999", "?_at=2001"):
        assert (await live.http.get(f"/fhir/Patient/a/_history{query}")).status_code == 200
        assert (await live.http.get(f"/fhir/Patient/b/_history{query}")).status_code == 404


async def test_a_page_belongs_to_its_own_history(live: Live) -> None:
    await _tell(live)
    page = (await live.http.get("/fhir/Patient/_history?_count=1")).json()["link"][1]["url"].partition("_page=")[2]
    for path in ("_history", "Patient/a/_history", "Organization/_history", "Patient"):
        assert (await live.http.get(f"/fhir/{path}?_page={page}")).status_code == 400
    assert (await live.http.get(f"/fhir/Patient/_history?_page={page}&_since=2020")).status_code == 400
    assert (await live.http.get(f"/fhir/Patient/_history?_page={page}")).status_code == 200


async def test_histories_of_types_need_the_scope_to_search_and_leave_out_what_has_none(live: Live) -> None:
    await _tell(live)
    expected = {
        "system/Patient.s": ["Patient/a/1", "Patient/a/2", "Patient/b/1", "Patient/a/3"],
        "system/Organization.rs": ["Organization/o/1"],
        "system/Patient.s?_id=b system/Organization.s": ["Organization/o/1", "Patient/b/1"],
    }
    for scope, versions in expected.items():
        await live.come_in(scope)
        assert await _versions(live, "_history?_count=1") == versions
        patients = await live.http.get("/fhir/Patient/_history")
        assert patients.status_code == (200 if "Patient" in scope else 403)
    await live.come_in("system/Patient.r")
    for path in ("_history", "Patient/_history"):
        assert (await live.http.get(f"/fhir/{path}")).status_code == 403


async def test_a_bundle_may_ask_for_the_history_of_a_type(live: Live) -> None:
    times = await _tell(live)
    urls = [
        "Patient/_history",
        f"Patient/_history?_since={times[3]}&_count=1",
        "Patient/a/_history?_at=2001",
        "Patient/_history?x=1",
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in urls],
    }
    entries = (await live.http.post("/fhir", json=bundle)).json()["entry"]
    assert [entry["response"]["status"][:3] for entry in entries] == ["200", "200", "200", "400"]
    assert [len(entry["resource"].get("entry", ())) for entry in entries[:3]] == [4, 1, 0]
    assert "/fhir/Patient/_history?_page=" in entries[1]["resource"]["link"][1]["url"]


async def test_a_bundle_excludes_versions_as_an_update_by_itself_does(live: Live) -> None:
    await live.put(_patient("a"))
    for kind, statuses in (("batch", ["412", "412", "200", "201"]), ("transaction", None)):
        bundle = {
            "resourceType": "Bundle",
            "type": kind,
            "entry": [
                {"resource": _patient(id_), "request": {"method": "PUT", "url": f"Patient/{id_}", "ifNoneMatch": tags}}
                for id_, tags in (("a", "*"), ("a", 'W/"1"'), ("a", 'W/"9"'), ("z", "*"))
            ],
        }
        answer = await live.http.post("/fhir", json=bundle)
        if statuses is None:
            assert answer.status_code in (400, 412)
        else:
            assert [entry["response"]["status"][:3] for entry in answer.json()["entry"]] == statuses
    only = {"resource": _patient("z"), "request": {"method": "PUT", "url": "Patient/z", "ifNoneMatch": "*"}}
    answer = await live.http.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": [only]})
    assert answer.status_code == 412


async def test_of_many_that_only_create_one_does(live: Live) -> None:
    async def create(n: int) -> int:
        resource = _patient("raced", identifier=[{"value": str(n)}])
        answer = await live.http.put("/fhir/Patient/raced", json=resource, headers={"if-none-match": "*"})
        return answer.status_code

    statuses = await asyncio.gather(*map(create, range(16)))
    assert sorted(statuses) == [201] + [412] * 15
    assert await _versions(live, "Patient/_history") == ["Patient/raced/1"]


async def test_what_is_not_exposed_is_in_no_history(open_live: OpenLive) -> None:
    async with open_live(expose="published") as live:
        for path in ("_history", "Patient/_history"):
            assert (await live.http.get(f"/fhir/{path}")).status_code == 405
        bundle = {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": "Patient/_history"}}],
        }
        entry = (await live.http.post("/fhir", json=bundle)).json()["entry"][0]
        assert entry["response"]["status"][:3] == "405"
