"""The facade over the real core and SQLite, in one process and over gRPC, by real HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from toro_core.assembly import service_on
from toro_core.auth.clients import Clients
from toro_core.auth.signer import ASSERTION_TYPE, new_client_key, read_private_key, sign_assertion
from toro_core.local import LocalTransport
from toro_core.plugins import open_storage
from toro_core.server import serve_core
from toro_core.settings import Settings
from toro_core.v1 import Core, connect
from toro_facade.server import serving

_SCOPE = "system/*.cruds"
_PATIENT = (
    b'{"resourceType":"Patient","extension":[{"url":"http://example.org/x","valueDecimal":1.00}],'
    b'"name":[{"family":"M\xc3\xbchle","given":["Ada"]}],"gender":"female","birthDate":"1970-01-02"}'
)


class Partner:
    """A registered client."""

    def __init__(self, http: httpx.AsyncClient, settings: Settings, key: dict[str, str]) -> None:
        self.http = http
        self.settings = settings
        self._key = read_private_key(json.dumps(key).encode())

    def form(self, **changes: str) -> dict[str, str]:
        assertion = sign_assertion(self._key, client_id="partner", token_url=self.settings.token_url())
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            "scope": _SCOPE,
        }
        return form | changes

    async def token(self, scope: str) -> str:
        answer = await self.http.post("/auth/token", data=self.form(scope=scope), headers={"authorization": ""})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@pytest.fixture(params=["in one process", "over gRPC"])
async def partner(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Partner]:
    settings = Settings(port=0, page_size=2, core_listen="127.0.0.1:0", max_body=20 << 20)
    private, public = new_client_key()
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(open_storage(f"sqlite:///{tmp_path}/toro.db"))
        await Clients(storage).add(
            name="Partner", scopes=(_SCOPE,), jwks=json.dumps({"keys": [public]}).encode(), client_id="partner"
        )
        service = service_on(storage, settings)
        if request.param == "over gRPC":
            port = await stack.enter_async_context(serve_core(service, settings))
            core = await stack.enter_async_context(connect(f"127.0.0.1:{port}", max_body=settings.max_body))
        else:
            core = Core(LocalTransport(service))
        running = await stack.enter_async_context(serving(core, replace(settings, core_listen="")))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=running.base(), timeout=30))
        found = Partner(http, running, private)
        http.headers["authorization"] = f"Bearer {await found.token(_SCOPE)}"
        yield found


async def test_a_record_is_written_read_changed_and_remembered(partner: Partner) -> None:
    http = partner.http
    created = await http.post("/fhir/Patient", content=_PATIENT)
    assert created.status_code == 201, created.text
    location = created.headers["location"]
    patient = created.json()
    assert location == f"{partner.settings.fhir_base()}/Patient/{patient['id']}/_history/1"
    assert patient["meta"]["versionId"] == "1"
    url = f"/fhir/Patient/{patient['id']}"

    read = await http.get(url)
    assert read.content == created.content
    assert b'"valueDecimal":1.00' in read.content
    assert read.headers["etag"] == created.headers["etag"] == 'W/"1"'
    assert (await http.get(url, headers={"if-none-match": 'W/"1"'})).status_code == 304
    assert (await http.get(location)).content == read.content

    changed = read.content.replace(b"1970-01-02", b"1971-01-02")
    updated = await http.put(url, content=changed, headers={"if-match": '"1"'})
    assert (updated.status_code, updated.headers["etag"]) == (200, 'W/"2"')
    lost = await http.put(url, content=changed, headers={"if-match": 'W/"1"'})
    assert (lost.status_code, lost.json()["resourceType"]) == (412, "OperationOutcome")
    history = (await http.get(f"{url}/_history")).json()
    assert [entry["resource"]["meta"]["versionId"] for entry in history["entry"]] == ["2", "1"]
    assert (await http.get(f"{url}/_history/1")).json()["birthDate"] == "1970-01-02"


async def test_a_search_is_walked_to_its_end_by_its_links(partner: Partner) -> None:
    http = partner.http
    ids = set()
    for _ in range(5):
        ids.add((await http.post("/fhir/Patient", content=_PATIENT)).json()["id"])
    bundle = (await http.get("/fhir/Patient?family=m%C3%BCh&birthdate=ge1970-01-01&birthdate=lt1971-01-01")).json()
    assert bundle["total"] == 5
    applied = parse_qsl(urlsplit(bundle["link"][0]["url"]).query)
    assert ("birthdate", "ge1970-01-01") in applied
    assert ("birthdate", "lt1971-01-01") in applied
    found = []
    while True:
        found += [entry["resource"]["id"] for entry in bundle["entry"]]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        if url is None:
            break
        bundle = (await http.get(url)).json()
    assert len(found) == 5
    assert set(found) == ids
    by_form = await http.post("/fhir/Patient/_search", data={"family": "Mühle", "_count": "10"})
    assert {entry["resource"]["id"] for entry in by_form.json()["entry"]} == ids


async def test_ten_megabytes_go_in_and_come_out_byte_for_byte(partner: Partner) -> None:
    data = base64.b64encode(bytes(range(256)) * 40_000)
    document = (
        b'{"resourceType":"DocumentReference","status":"current","content":[{"attachment":'
        b'{"contentType":"application/pdf","data":"' + data + b'"}}]}'
    )
    created = await partner.http.post("/fhir/DocumentReference", content=document)
    assert created.status_code == 201, created.text[:500]
    read = await partner.http.get(f"/fhir/DocumentReference/{created.json()['id']}")
    assert read.json()["content"][0]["attachment"]["data"].encode() == data
    [entry] = (await partner.http.get("/fhir/DocumentReference")).json()["entry"]
    assert entry["resource"]["content"][0]["attachment"]["data"].encode() == data


async def test_every_mistake_gets_its_status_and_an_outcome(partner: Partner) -> None:
    http = partner.http
    deep = b'{"resourceType":"Patient","extension":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    made = (await http.post("/fhir/Patient", content=_PATIENT)).json()["id"]
    small = await partner.token("system/Observation.rs")
    cases: list[tuple[int, str, str, dict[str, Any]]] = [
        (400, "POST", "/fhir/Patient", {"content": b"{"}),
        (400, "POST", "/fhir/Patient", {"content": b'{"resourceType":"Observation"}'}),
        (400, "POST", "/fhir/Patient", {"content": b'{"resourceType":"Patient","nothing":1}'}),
        (400, "POST", "/fhir/Patient", {"content": deep}),
        (413, "POST", "/fhir/Patient", {"content": b" " * 50_000_000}),
        (400, "PUT", f"/fhir/Patient/{made}", {"content": b'{"resourceType":"Patient","id":"other"}'}),
        (405, "PUT", "/fhir/Patient/nobody", {"content": b'{"resourceType":"Patient","id":"nobody"}'}),
        (404, "GET", "/fhir/Patient/nobody", {}),
        (404, "GET", f"/fhir/Patient/{made}/_history/9", {}),
        (404, "GET", "/fhir/Basic/1", {}),
        (405, "DELETE", f"/fhir/Patient/{made}", {}),
        (400, "GET", "/fhir/Patient?nothing=1", {}),
        (400, "GET", "/fhir/Patient?birthdate=yesterday", {}),
        (400, "GET", "/fhir/Patient?_page=forged", {}),
        (401, "GET", f"/fhir/Patient/{made}", {"headers": {"authorization": "Bearer forged"}}),
        (401, "GET", f"/fhir/Patient/{made}", {"headers": {"authorization": ""}}),
        (403, "GET", f"/fhir/Patient/{made}", {"headers": {"authorization": f"Bearer {small}"}}),
    ]
    for status, method, path, more in cases:
        answer = await http.request(method, path, **more)
        assert (answer.status_code, path) == (status, path), answer.text[:500]
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert answer.json()["issue"][0]["diagnostics"]
        assert ("www-authenticate" in answer.headers) is (status in (401, 403))
    refused = await http.get(f"/fhir/Patient/{made}", headers={"authorization": f"Bearer {small}"})
    assert "system/Patient.r" in refused.headers["www-authenticate"]
    lenient = await http.get("/fhir/Patient?nothing=1", headers={"prefer": "handling=lenient"})
    assert "outcome" in [entry["search"]["mode"] for entry in lenient.json()["entry"]]
    assert "nothing" not in lenient.json()["link"][0]["url"]


async def test_the_token_endpoint_refuses_replays_and_foreign_keys(partner: Partner) -> None:
    http = partner.http
    form = partner.form()
    assert (await http.post("/auth/token", data=form)).status_code == 200
    replayed = await http.post("/auth/token", data=form)
    assert (replayed.status_code, replayed.json()["error"]) == (401, "invalid_client")
    assert replayed.headers["www-authenticate"]
    private, _ = new_client_key()
    stranger = Partner(http, partner.settings, private)
    answer = await http.post("/auth/token", data=stranger.form())
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    keys = (await http.get("/auth/jwks")).json()["keys"]
    assert keys
    assert not any("d" in key for key in keys)


async def test_the_capability_statement_is_a_valid_resource_of_r4(partner: Partner, tmp_path: Path) -> None:
    statement = (await partner.http.get("/fhir/metadata")).json()
    # oauth-uris demands an authorize endpoint, of which backend services have none; clients look for its token endpoint.
    del statement["rest"][0]["security"]["extension"]
    settings = Settings(port=0, expose="full")
    async with (
        open_storage(f"sqlite:///{tmp_path}/toro.db") as storage,
        serving(Core(LocalTransport(service_on(storage, settings))), settings) as running,
    ):
        headers = {"authorization": partner.http.headers["authorization"]}
        async with httpx.AsyncClient(base_url=running.base(), headers=headers) as http:
            answer = await http.post("/fhir/CapabilityStatement", json=statement)
    assert answer.status_code == 201, answer.text[:2000]
