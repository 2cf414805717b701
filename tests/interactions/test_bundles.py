"""Batch and transaction over the real facade and core. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.interactions.conftest import Live

    OpenLive: TypeAlias = Callable[..., AbstractAsyncContextManager[Live]]

_P, _O = "urn:uuid:8f3c5d0e-7a52-4c39-9b3e-0a4f4b1e7c01", "urn:uuid:8f3c5d0e-7a52-4c39-9b3e-0a4f4b1e7c02"


def _patient(id_: str = "", value: str = "", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Patient"}
    if id_:
        found["id"] = id_
    if value:
        found["identifier"] = [{"system": "urn:s", "value": value}]
    return found | more


def _observation(subject: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "c"},
        "subject": {"reference": subject},
    } | more


def _entry(method: str, url: str, resource: Any = None, full_url: str = "", **request: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"fullUrl": full_url} if full_url else {}
    if resource is not None:
        entry["resource"] = resource
    return entry | {"request": {"method": method, "url": url, **request}}


async def _post(live: Live, kind: str, *entries: dict[str, Any], **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if entries:
        bundle["entry"] = entries
    return await live.http.post("/fhir", json=bundle, headers=named)


async def _done(live: Live, kind: str, *entries: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    answer = await _post(live, kind, *entries, **headers)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", f"{kind}-response")
    found: list[dict[str, Any]] = bundle.get("entry", [])
    assert len(found) == len(entries)
    return found


def _statuses(entries: list[dict[str, Any]]) -> list[int]:
    return [int(entry["response"]["status"][:3]) for entry in entries]


async def _at(live: Live, entry: dict[str, Any]) -> dict[str, Any]:
    """Read what an entry's response says is there."""
    location = entry["response"]["location"].removeprefix(live.settings.fhir_base())
    answer = await live.http.get(f"/fhir{location}")
    assert answer.headers["etag"] == entry["response"]["etag"]
    found: dict[str, Any] = answer.json()
    assert found["meta"]["lastUpdated"] == entry["response"]["lastModified"]
    return found


async def test_entries_are_carried_out_in_the_specifications_order_and_answered_in_theirs(live: Live) -> None:
    await live.put(_patient("one", "1"))
    await live.put(_patient("two", "2"))
    entries = await _done(
        live,
        "transaction",
        _entry("GET", "Patient?identifier=urn:s|1,urn:s|2,urn:s|3&_sort=_id"),
        _entry("PUT", "Patient/two", _patient("two", "2", active=True)),
        _entry("POST", "Patient", _patient("", "3"), _P),
        _entry("DELETE", "Patient/one"),
        _entry("GET", "Patient/two"),
        _entry("GET", "Patient/two/_history"),
        _entry("GET", "Patient/two/_history/1"),
        _entry("GET", "Patient/one"),
    )
    assert _statuses(entries) == [200, 200, 201, 204, 200, 200, 200, 410]
    found = {entry["resource"]["id"] for entry in entries[0]["resource"]["entry"]}
    assert found == {"two", (await _at(live, entries[2]))["id"]}
    assert entries[0]["resource"]["type"] == "searchset"
    assert entries[3]["response"]["etag"] == 'W/"2"'
    assert entries[4]["resource"]["active"] is True
    assert entries[4]["fullUrl"] == "https://fhir.example.org/fhir/Patient/two"
    assert len(entries[5]["resource"]["entry"]) == 2
    assert "active" not in entries[6]["resource"]
    assert entries[7]["response"]["outcome"]["issue"][0]["code"] == "deleted"
    assert "resource" not in entries[1]
    written = [entries[n]["response"]["lastModified"] for n in (1, 2, 3)]
    assert len(set(written)) == 1, "one commit has one time"


async def test_references_lead_to_what_the_entries_became(live: Live) -> None:
    base = "http://client.example.org/fhir"
    entries = await _done(
        live,
        "transaction",
        _entry("POST", "Observation", _observation(_P, hasMember=[{"reference": _O}]), _O),
        _entry("POST", "Patient", _patient("mine", link=[{"other": {"reference": _P}, "type": "seealso"}]), _P),
        _entry("POST", "Patient", _patient("9", "9"), f"{base}/Patient/9"),
        _entry("POST", "Observation", _observation("Patient/9/_history/4"), f"{base}/Observation/7"),
        _entry("POST", "Observation", _observation(f"{base}/Patient/9", focus=[{"reference": "Patient/9"}])),
        _entry("PUT", "Patient/kept", _patient("kept"), f"{base}/Patient/kept"),
        _entry("POST", "Observation", _observation(f"{base}/Patient/kept")),
    )
    assert _statuses(entries) == [201] * 7
    stored = [await _at(live, entry) for entry in entries]
    patient, nine = f"Patient/{stored[1]['id']}", f"Patient/{stored[2]['id']}"
    assert stored[0]["subject"]["reference"] == patient
    assert stored[0]["hasMember"][0]["reference"] == f"Observation/{stored[0]['id']}"
    assert stored[1]["link"][0]["other"]["reference"] == patient
    assert stored[1]["id"] not in ("mine", "9")
    assert stored[3]["subject"]["reference"] == f"{nine}/_history/1"
    assert stored[4]["subject"]["reference"] == nine
    assert stored[4]["focus"][0]["reference"] == "Patient/9", "an entry without fullUrl continues no base"
    assert stored[6]["subject"]["reference"] == "Patient/kept"
    found = (await live.http.get(f"/fhir/Observation?patient={patient}")).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == [stored[0]["id"]]


async def test_conditional_references_find_exactly_one_stored_or_written_here(live: Live) -> None:
    await live.put(_patient("one", "1"))
    await live.put(_patient("two", "2"))
    await live.put(_patient("three", "2"))
    entries = await _done(
        live,
        "transaction",
        _entry("POST", "Observation", _observation("Patient?identifier=urn:s|1")),
        _entry("POST", "Observation", _observation("Patient?identifier=urn%3As%7Cnew")),
        _entry("POST", "Patient", _patient("", "new"), _P),
        _entry("DELETE", "Patient/three"),
        _entry("PUT", "Observation/x", _observation("Patient?_id=two") | {"id": "x"}),
    )
    stored = [await _at(live, entry) for entry in entries if "location" in entry["response"]]
    assert stored[0]["subject"]["reference"] == "Patient/one"
    assert stored[1]["subject"]["reference"] == f"Patient/{stored[2]['id']}"
    assert stored[3]["subject"]["reference"] == "Patient/two"
    await live.put(_patient("four", "2"))
    before = live.digest()
    for search in ("identifier=urn:s|2", "identifier=urn:s|0", "nothing=1", "_count=1"):
        refused = await _post(
            live,
            "transaction",
            _entry("POST", "Patient", _patient()),
            _entry("POST", "Observation", _observation(f"Patient?{search}")),
        )
        assert refused.status_code in (400, 412), refused.text
        assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
        assert live.digest() == before


async def test_conditional_entries_find_what_is_stored_and_what_the_transaction_does(live: Live) -> None:
    await live.put(_patient("one", "1"))
    await live.put(_patient("old", "2"))
    entries = await _done(
        live,
        "transaction",
        _entry("POST", "Patient", _patient("", "1"), _P, ifNoneExist="identifier=urn:s|1"),
        _entry("POST", "Patient", _patient("", "2"), ifNoneExist="identifier=urn:s|2"),
        _entry("DELETE", "Patient?identifier=urn:s|2"),
        _entry("POST", "Patient", _patient("", "3"), ifNoneExist="identifier=urn:s|3"),
        _entry("POST", "Patient", _patient("", "3"), _O, ifNoneExist="identifier=urn:s|3"),
        _entry("PUT", "Patient?identifier=urn:s|4", _patient("", "4")),
        _entry("POST", "Observation", _observation(_P, focus=[{"reference": _O}])),
    )
    assert _statuses(entries) == [200, 201, 204, 201, 200, 201, 201]
    observation = await _at(live, entries[6])
    assert observation["subject"]["reference"] == "Patient/one"
    third = await _at(live, entries[3])
    assert observation["focus"][0]["reference"] == f"Patient/{third['id']}"
    assert entries[4]["response"]["location"] == entries[3]["response"]["location"]
    again = await _done(
        live,
        "transaction",
        _entry("PUT", "Patient?identifier=urn:s|4", _patient("", "4"), ifMatch='W/"1"'),
        _entry("PATCH", "Patient?identifier=urn:s|3", _binary([{"op": "add", "path": "/active", "value": True}])),
    )
    assert _statuses(again) == [200, 200]
    assert (await _at(live, again[1]))["active"] is True


def _binary(patch: Any) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def _parameters(path: str, **value: Any) -> dict[str, Any]:
    parts = [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": path}]
    parameter = {"name": "operation", "part": [*parts, {"name": "value", **value}]}
    return {"resourceType": "Parameters", "parameter": [parameter]}


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_patches_of_both_kinds_are_entries_too(live: Live, kind: str) -> None:
    for id_ in ("one", "two"):
        await live.put(_patient(id_, gender="male"))
    link = {"op": "add", "path": "/generalPractitioner", "value": [{"reference": _O}]}
    entries = await _done(
        live,
        kind,
        _entry("PATCH", "Patient/one", _binary([{"op": "test", "path": "/gender", "value": "male"}, link])),
        _entry("PATCH", "Patient/two", _parameters("Patient.gender", valueCode="female"), ifMatch='W/"1"'),
        _entry("POST", "Practitioner", {"resourceType": "Practitioner"}, _O),
    )
    assert _statuses(entries) == [200, 200, 201]
    one, two = await _at(live, entries[0]), await _at(live, entries[1])
    assert two["gender"] == "female"
    if kind == "transaction":
        practitioner = (await _at(live, entries[2]))["id"]
        assert one["generalPractitioner"] == [{"reference": f"Practitioner/{practitioner}"}]


_FAILURES: list[tuple[int, dict[str, Any]]] = [
    (400, _entry("POST", "Patient", _patient(nothing=1))),
    (400, _entry("POST", "Patient", {"resourceType": "Observation"})),
    (400, _entry("POST", "Patient/one", _patient())),
    (404, _entry("POST", "Nothing", _patient())),
    (400, _entry("POST", "Patient")),
    (400, _entry("POST", "http://else.where/fhir/Patient", _patient())),
    (400, _entry("POST", "Patient?_id=1", _patient())),
    (412, _entry("POST", "Patient", _patient(), ifNoneExist="identifier=urn:s|2")),
    (400, _entry("POST", "Patient", _patient(), ifNoneExist="nothing=1")),
    (412, _entry("PUT", "Patient/one", _patient("one"), ifMatch='W/"7"')),
    (400, _entry("PUT", "Patient/one", _patient("one"), ifMatch="7")),
    (400, _entry("PUT", "Patient/one", _patient("other"))),
    (400, _entry("PUT", "Patient/one?_id=1", _patient("one"))),
    (412, _entry("PUT", "Patient?identifier=urn:s|2", _patient())),
    (400, _entry("PUT", "Patient?identifier=urn:s|1", _patient("two"))),
    (422, _entry("PATCH", "Patient/one", _binary([{"op": "test", "path": "/gender", "value": "x"}]))),
    (404, _entry("PATCH", "Patient/nobody", _binary([]))),
    (400, _entry("PATCH", "Patient/one", _patient("one"))),
    (
        400,
        _entry(
            "PATCH",
            "Patient/one",
            {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "="},
        ),
    ),
    (409, _entry("DELETE", "Patient/one")),
    (412, _entry("DELETE", "Patient/two", ifMatch='W/"7"')),
    (412, _entry("DELETE", "Patient?identifier=urn:s|2")),
    (400, _entry("GET", "Patient?nothing=1")),
    (400, _entry("GET", "Patient/one/Observation")),
    (400, _entry("GET", "Patient/one/_history/x")),
    (400, _entry("HEAD", "Patient/one")),
    (400, {"fullUrl": _P, "resource": _patient()}),
]


async def _furnish(live: Live) -> None:
    for id_, value in (("one", "1"), ("two", "2"), ("three", "2")):
        await live.put(_patient(id_, value))
    await live.put(_observation("Patient/one") | {"id": "o"})


async def test_a_transaction_with_one_entry_that_fails_writes_nothing(live: Live) -> None:
    await _furnish(live)
    before = live.digest()
    for status, failing in _FAILURES:
        answer = await _post(
            live,
            "transaction",
            _entry("POST", "Patient", _patient("", "8")),
            failing,
            _entry("PUT", "Patient/eight", _patient("eight", "8")),
        )
        assert answer.status_code == status, (failing, answer.text)
        issue = answer.json()["issue"][0]
        assert issue["expression"][0].startswith("Bundle.entry[1]"), issue
        assert issue["diagnostics"].startswith("Bundle.entry[1]"), issue
        assert live.digest() == before, failing


async def test_an_entry_of_a_batch_fails_alone(live: Live) -> None:
    await _furnish(live)
    kept = _entry("GET", "Patient/one")
    failing = [entry for _, entry in _FAILURES if "request" in entry]
    before = live.digest()
    entries = await _done(live, "batch", kept, *failing, kept)
    assert _statuses(entries) == [200, *(status for status, entry in _FAILURES if "request" in entry), 200]
    for number, entry in enumerate(entries[1:-1], 1):
        issue = entry["response"]["outcome"]["issue"][0]
        assert issue["expression"][0].startswith(f"Bundle.entry[{number}]")
    assert live.digest() == before
    entries = await _done(live, "batch", *failing, _entry("POST", "Patient", _patient("", "8")))
    assert _statuses(entries)[-1] == 201
    assert (await live.http.get("/fhir/Patient?identifier=urn:s|8")).json()["total"] == 1


@pytest.mark.parametrize(
    "entries",
    [
        (_entry("PUT", "Patient/one", _patient("one")), _entry("PUT", "Patient/one", _patient("one"))),
        (_entry("PUT", "Patient/two", _patient("two")), _entry("DELETE", "Patient/two")),
        (_entry("PUT", "Patient/one", _patient("one", "1")), _entry("PUT", "Patient?identifier=urn:s|1", _patient())),
        (_entry("PATCH", "Patient/one", _binary([])), _entry("PUT", "Patient?identifier=urn:s|1", _patient("", "1"))),
        (_entry("POST", "Patient", _patient("", "8")), _entry("PUT", "Patient?identifier=urn:s|8", _patient("", "8"))),
        (_entry("POST", "Patient", _patient(), _P), _entry("POST", "Patient", _patient(), _P)),
    ],
)
async def test_two_entries_for_one_resource_are_refused(live: Live, entries: tuple[dict[str, Any], ...]) -> None:
    await _furnish(live)
    before = live.digest()
    answer = await _post(live, "transaction", *entries)
    assert answer.status_code == 400, answer.text
    assert live.digest() == before


async def test_a_misspelt_member_of_a_request_is_refused_rather_than_ignored(live: Live) -> None:
    for kind in ("batch", "transaction"):
        answer = await _post(live, kind, _entry("POST", "Patient", _patient(), ifNoneExists="identifier=1"))
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0].request.ifNoneExists"]


async def test_an_empty_bundle_is_carried_out(live: Live) -> None:
    for kind in ("batch", "transaction"):
        answer = await live.http.post("/fhir", json={"resourceType": "Bundle", "type": kind})
        assert answer.json() == {"resourceType": "Bundle", "type": f"{kind}-response"}


async def test_reads_among_the_entries_can_be_conditional(live: Live) -> None:
    made = await live.put(_patient("one"))
    entries = await _done(
        live,
        "batch",
        _entry("GET", "Patient/one", ifNoneMatch='W/"1"'),
        _entry("GET", "Patient/one", ifNoneMatch='W/"2"'),
        _entry("GET", "Patient/one", ifModifiedSince=made["meta"]["lastUpdated"]),
        _entry("GET", "Patient/one", ifModifiedSince="2000-01-01T00:00:00Z"),
        _entry("GET", "/Patient/one"),
        _entry("GET", f"{live.settings.fhir_base()}/Patient/one?_format=json"),
    )
    assert _statuses(entries) == [304, 200, 304, 200, 200, 200]
    assert [("resource" in entry) for entry in entries] == [False, True, False, True, True, True]


async def test_what_no_bundle_can_read_is_to_be_requested_by_itself(live: Live) -> None:
    urls = (
        "_history",
        "metadata",
        "?_type=Patient",
        "$export",
        "Patient/$export",
        "Patient/1/$everything",
        "DocumentReference/$docref?patient=1",
        "Patient/1/Observation",
    )
    for entry in await _done(live, "batch", *(_entry("GET", url) for url in urls)):
        assert entry["response"]["status"] == "400 Bad Request"
        assert "request it by itself" in entry["response"]["outcome"]["issue"][0]["diagnostics"]


async def test_prefer_says_what_entries_answer_with(live: Live) -> None:
    posted = _entry("POST", "Patient", _patient(multipleBirthInteger=2))
    for kind in ("batch", "transaction"):
        (minimal,) = await _done(live, kind, posted)
        assert "resource" not in minimal
        (full,) = await _done(live, kind, posted, prefer="return=representation")
        assert full["resource"]["multipleBirthInteger"] == 2
        assert full["fullUrl"].endswith(f"/Patient/{full['resource']['id']}")
        (said,) = await _done(live, kind, posted, prefer="return=OperationOutcome")
        assert said["response"]["outcome"]["issue"][0]["severity"] == "information"


async def test_entries_may_do_what_is_published_and_nothing_else(open_live: OpenLive) -> None:
    async with open_live(expose="published", update_create=False) as live:
        patient = (await live.http.post("/fhir/Patient", json=_patient("", "1"))).json()["id"]
        reads = [_entry("GET", f"Patient/{patient}"), _entry("GET", "Organization?name=x")]
        refused = [
            _entry("DELETE", f"Patient/{patient}"),
            _entry("PUT", "Observation/1", _observation(f"Patient/{patient}") | {"id": "1"}),
            _entry("POST", "Organization", {"resourceType": "Organization", "name": "x"}),
            _entry("GET", "Basic/1"),
            _entry("GET", "Basic?_id=1"),
        ]
        entries = await _done(live, "batch", *reads, *refused)
        assert _statuses(entries) == [200, 200, 405, 405, 405, 405, 405]
        before = live.digest()
        for entry in refused:
            answer = await _post(live, "transaction", _entry("POST", "Patient", _patient()), entry)
            assert answer.status_code == 405, answer.text
            assert live.digest() == before
        conditional = _entry("POST", "Observation", _observation("Basic?_id=1"))
        assert (await _post(live, "transaction", conditional)).status_code == 405
        statement = (await live.http.get("/fhir/metadata")).json()
        assert statement["rest"][0]["interaction"] == [
            {"code": "search-system"},
            {"code": "batch"},
            {"code": "transaction"},
        ]
        assert statement["patchFormat"] == [
            "application/json-patch+json",
            "application/fhir+json",
            "application/fhir+xml",
        ]


async def test_what_is_wrong_with_several_entries_is_said_at_once(live: Live) -> None:
    claims = {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]}
    nameless = _entry("POST", "Patient", {"resourceType": "Patient", "meta": claims})
    answer = await _post(live, "transaction", _entry("POST", "Patient", _patient()), nameless, nameless)
    assert answer.status_code == 422
    places = [issue["expression"][0] for issue in answer.json()["issue"] if issue["severity"] == "error"]
    assert {"Bundle.entry[1].resource.name", "Bundle.entry[2].resource.name"} <= set(places)
    assert not any(place.startswith("Bundle.entry[0]") for place in places)
    broken = _entry("POST", "Patient", {"resourceType": "Patient", "gender": "Secret", "active": "Secret"})
    answer = await _post(live, "transaction", nameless, *[broken] * 80)
    assert answer.status_code == 400
    issues = answer.json()["issue"]
    assert (len(issues), issues[-1]["code"]) == (101, "incomplete")
    assert all(issue["severity"] == "error" for issue in issues[:-1])
    assert "Secret" not in answer.text


async def test_batch_and_transaction_are_exposed_by_name(open_live: OpenLive) -> None:
    async with open_live(operations=("batch",)) as live:
        assert (await _post(live, "batch")).status_code == 200
        assert (await _post(live, "transaction")).status_code == 405
        assert await _system_interactions(live) == ["search-system", "history-system", "batch"]
    async with open_live(operations=()) as live:
        assert (await _post(live, "batch")).status_code == 405
        assert await _system_interactions(live) == ["search-system", "history-system"]


async def _system_interactions(live: Live) -> list[str]:
    statement = (await live.http.get("/fhir/metadata")).json()
    return [one["code"] for one in statement["rest"][0]["interaction"]]


async def test_each_entry_needs_its_own_scope(live: Live) -> None:
    await live.put(_patient("one", gender="male"))
    before = live.digest()
    scope = "system/Patient.rs?gender=female system/Observation.c"
    headers = {"authorization": f"Bearer {await live.token(scope)}"}
    written = _entry("POST", "Observation", _observation("Patient/one"))
    refused = [
        _entry("POST", "Patient", _patient()),
        _entry("GET", "Observation?status=final"),
        _entry("DELETE", "Patient/one"),
        _entry("POST", "Observation", _observation("Encounter?_id=x")),
    ]
    for entry in refused:
        answer = await _post(live, "transaction", written, entry, **headers)
        assert (answer.status_code, live.digest()) == (403, before), answer.text
    hidden = _entry("POST", "Observation", _observation("Patient?_id=one"))
    assert (await _post(live, "transaction", hidden, **headers)).status_code == 412
    entries = await _done(live, "batch", *refused[:3], _entry("GET", "Patient/one"), written, **headers)
    assert _statuses(entries) == [403, 403, 403, 404, 201]


async def test_an_answer_that_grows_too_large_says_so_entry_by_entry(open_live: OpenLive) -> None:
    async with open_live(max_body=20_000) as live:
        await live.put(_patient("one", text={"status": "generated", "div": f"<div>{'x' * 9_000}</div>"}))
        entries = await _done(live, "batch", *[_entry("GET", "Patient/one")] * 4, _entry("GET", "Patient?_id=one"))
        assert _statuses(entries) == [200, 200, 413, 413, 413]
        posted = _entry("POST", "Patient", _patient(text={"status": "generated", "div": f"<div>{'x' * 4_000}</div>"}))
        full = await _done(live, "transaction", *[posted] * 4, prefer="return=representation")
        assert all(entry["resource"]["text"]["div"] for entry in full), "what is left out is fetched"


async def test_searches_in_bundles_follow_references_and_include_what_is_exposed(open_live: OpenLive) -> None:
    async with open_live(expose="published") as live:
        patient = (await live.http.post("/fhir/Patient", json=_patient("", "1"))).json()["id"]
        await live.http.post("/fhir/Observation", json=_observation(f"Patient/{patient}"))
        query = f"Observation?patient._id={patient}&_include=Observation:patient"
        for kind in ("batch", "transaction"):
            (entry,) = await _done(live, kind, _entry("GET", query))
            modes = [one["search"]["mode"] for one in entry["resource"]["entry"]]
            assert modes == ["match", "include"]
