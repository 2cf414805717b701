"""Many clients at once, and large Bundles."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from toro_core.storage import Storage
from toro_sqlite import open_sqlite

if TYPE_CHECKING:
    from tests.interactions.conftest import Live

    OpenLive: TypeAlias = Callable[..., AbstractAsyncContextManager[Live]]

_CLIENTS = 16


def _counter(number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Basic", "id": "counter", "code": {"text": "c"}}
    return found | {"extension": [{"url": "http://example.org/count", "valueInteger": number}]}


@pytest.mark.parametrize("rounds", [10, pytest.param(500, marks=pytest.mark.slow)])
async def test_read_modify_write_with_if_match_loses_nothing(live: Live, rounds: int) -> None:
    await live.put(_counter(0))
    url = "/fhir/Basic/counter"

    async def client(number: int) -> None:
        for _ in range(rounds):
            while True:
                read = await live.http.get(url)
                count = read.json()["extension"][0]["valueInteger"] + 1
                headers = {"if-match": read.headers["etag"]}
                if number % 2:
                    headers["content-type"] = "application/json-patch+json"
                    patch = [{"op": "replace", "path": "/extension/0/valueInteger", "value": count}]
                    answer = await live.http.patch(url, content=json.dumps(patch), headers=headers)
                else:
                    answer = await live.http.put(url, json=_counter(count), headers=headers)
                if answer.status_code == 200:
                    break
                assert answer.status_code == 412, answer.text
                await asyncio.sleep(number / 320)  # or they keep step, and fifteen of sixteen fail each time

    await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    last = await live.http.get(url)
    assert last.json()["extension"][0]["valueInteger"] == _CLIENTS * rounds
    assert last.headers["etag"] == f'W/"{_CLIENTS * rounds + 1}"'


async def test_patches_without_if_match_all_land(live: Live) -> None:
    await live.put(_counter(0))

    async def client(number: int) -> int:
        patch = [{"op": "add", "path": "/extension/-", "value": {"url": "http://e", "valueInteger": number}}]
        headers = {"content-type": "application/json-patch+json"}
        answer = await live.http.patch("/fhir/Basic/counter", content=json.dumps(patch), headers=headers)
        return answer.status_code

    assert set(await asyncio.gather(*(client(number) for number in range(_CLIENTS)))) == {200}
    found = (await live.http.get("/fhir/Basic/counter")).json()["extension"]
    assert {each["valueInteger"] for each in found} == {*range(_CLIENTS)}


@pytest.mark.parametrize("identifiers", [10, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", ["create", "update", "transaction"])
async def test_racing_conditional_writes_leave_one_resource_for_each_identifier(
    live: Live, identifiers: int, way: str
) -> None:
    async def client(number: int) -> int:
        patient = {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": str(number)}]}
        search = f"identifier=urn:s|{number}"
        if way == "create":
            answer = await live.http.post("/fhir/Patient", json=patient, headers={"if-none-exist": search})
        elif way == "update":
            answer = await live.http.put(f"/fhir/Patient?{search}", json=patient)
        else:
            request = {"method": "POST", "url": "Patient", "ifNoneExist": search}
            flag = {"resourceType": "Flag", "status": "active", "code": {"text": "c"}}
            flag["subject"] = {"reference": f"Patient?{search}"}
            entries = [
                {"resource": patient, "request": request},
                {"resource": flag, "request": {"method": "POST", "url": "Flag"}},
            ]
            answer = await live.http.post(
                "/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries}
            )
            if answer.status_code == 200:
                return int(answer.json()["entry"][0]["response"]["status"][:3])
        assert answer.status_code in (200, 201, 409, 412), answer.text
        return answer.status_code

    for number in range(identifiers):
        answers = await asyncio.gather(*(client(number) for _ in range(_CLIENTS)))
        assert answers.count(201) == 1
        found = (await live.http.get(f"/fhir/Patient?identifier=urn:s|{number}")).json()
        assert found["total"] == 1
        flags = (await live.http.get(f"/fhir/Flag?subject=Patient/{found['entry'][0]['resource']['id']}")).json()
        assert flags["total"] == (sum(answer < 300 for answer in answers) if way == "transaction" else 0)


async def test_a_full_disk_leaves_nothing_of_a_transaction(open_live: OpenLive) -> None:
    def small(url: str) -> AbstractAsyncContextManager[Storage]:
        return open_sqlite(url, max_bytes=2_000_000)

    async with open_live(open_storage=small) as live:
        large = {"resourceType": "Basic", "code": {"text": "x" * 50_000}}
        entries = [{"resource": large, "request": {"method": "POST", "url": "Basic"}}] * 60
        before = live.digest()
        answer = await live.http.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 507, answer.text
        assert live.digest() == before
        await live.put(_counter(1))


def _large(entries: int, kind: str) -> bytes:
    """Make a Bundle of about a kilobyte an entry that refers to one another."""
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "p"}]}
    made: list[dict[str, Any]] = [
        {"fullUrl": "urn:uuid:p", "resource": patient, "request": {"method": "POST", "url": "Patient"}}
    ]
    for number in range(entries - 1):
        observation = {
            "resourceType": "Observation",
            "identifier": [{"system": "urn:s", "value": str(number)}],
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}], "text": "x" * 600},
            "effectiveDateTime": "2024-01-01",
            "valueQuantity": {"value": 72, "unit": "beats/minute"},
        }
        if kind == "transaction":
            observation["subject"] = {"reference": "urn:uuid:p"}
            observation["hasMember"] = [{"reference": f"urn:uuid:{(number + 1) % (entries - 1)}"}]
        request = {"method": "POST", "url": "Observation", "ifNoneExist": f"identifier=urn:s|{number}"}
        made.append({"fullUrl": f"urn:uuid:{number}", "resource": observation, "request": request})
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": made}).encode()


@pytest.mark.parametrize("entries", [500, pytest.param(5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_large_bundle_loads_in_bounded_memory_while_others_are_served(
    open_live: OpenLive, entries: int, kind: str
) -> None:
    body = _large(entries, kind)
    assert len(body) > entries * 1_000
    async with open_live(call_timeout=600.0) as live:  # counting memory takes several times as long as the work
        await _load_beside_others(live, body, entries, kind)


async def _load_beside_others(live: Live, body: bytes, entries: int, kind: str) -> None:
    await live.put(_counter(0))
    pauses: list[float] = []

    async def others() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.001)  # nothing else in this loop waits for anything
            assert (await live.http.get("/fhir/Basic/counter")).status_code == 200
            pauses.append(time.perf_counter() - started)

    reading = asyncio.create_task(others())
    tracemalloc.start()
    try:
        answer = await live.http.post("/fhir", content=body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        reading.cancel()
    assert answer.status_code == 200, answer.text[:500]
    assert {entry["response"]["status"] for entry in answer.json()["entry"]} == {"201 Created"}
    assert peak < 40 * len(body) + 20_000_000
    assert len(pauses) > 10
    assert max(pauses) < 3
    if kind == "transaction":
        patient = (await live.http.get("/fhir/Patient")).json()["entry"][0]["resource"]["id"]
        found = (await live.http.get(f"/fhir/Observation?patient=Patient/{patient}&_total=accurate&_count=0")).json()
        assert found["total"] == entries - 1
