"""Every write interaction of R4's HTTP section with every outcome it has. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pytest

if TYPE_CHECKING:
    from tests.interactions.conftest import Live

    OpenLive: TypeAlias = Callable[..., AbstractAsyncContextManager[Live]]

_JSON_PATCH = {"content-type": "application/json-patch+json"}
_ONE, _TWO = 'W/"1"', 'W/"2"'


def _patient(id_: str | None = None, value: str = "", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Patient"}
    if id_:
        found["id"] = id_
    if value:
        found["identifier"] = [{"system": "urn:s", "value": value}]
    return found | more


class _Case(NamedTuple):
    """A request, what it answers, and what its body holds."""

    status: int
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    holds: dict[str, Any] = {}  # noqa: RUF012 - never changed


async def _send(live: Live, case: _Case) -> Any:
    content = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode() if case.body else b""
    headers = {"content-type": "application/fhir+json", **case.headers}
    answer = await live.http.request(case.method, f"/fhir/{case.path}", content=content, headers=headers)
    assert answer.status_code == case.status, (case, answer.text[:1000])
    return answer


async def _furnish(live: Live) -> None:
    """Store Patients one (version 2), two and three, of which the last two share an identifier, and one that is gone."""
    for resource in (_patient("one", "1"), _patient("one", "1", active=True), _patient("two", "2"), _patient("gone")):
        await live.put(resource)
    await live.put(_patient("three", "2"))
    await live.put(
        {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": {"text": "c"},
            "subject": {"reference": "Patient/one"},
        }
    )
    assert (await live.http.delete("/fhir/Patient/gone")).status_code == 204


def _replace(path: str, value: Any, *, test: Any = None) -> list[dict[str, Any]]:
    checks = [] if test is None else [{"op": "test", "path": path, "value": test}]
    return [*checks, {"op": "replace", "path": path, "value": value}]


def _fhirpath(path: str, **value: Any) -> dict[str, Any]:
    part = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": path},
        {"name": "value", **value},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}


_SUCCESSES = [
    _Case(201, "POST", "Patient", _patient(), holds={"versionId": "1"}),
    _Case(201, "POST", "Patient", _patient("ignored"), holds={"versionId": "1"}),
    _Case(201, "POST", "Patient", _patient(value="new"), {"if-none-exist": "identifier=urn:s|new"}),
    _Case(200, "POST", "Patient", _patient(value="1"), {"if-none-exist": "identifier=urn:s|1"}, {"id": "one"}),
    _Case(200, "POST", "Patient", _patient(), {"if-none-exist": "?identifier=urn%3As%7C1"}, {"versionId": "2"}),
    _Case(200, "PUT", "Patient/one", _patient("one", "1"), holds={"versionId": "3"}),
    _Case(200, "PUT", "Patient/one", _patient("one", "1"), {"if-match": 'W/"3"'}, {"versionId": "4"}),
    _Case(200, "PUT", "Patient/one", _patient("one", "1"), {"if-match": "*"}, {"versionId": "5"}),
    _Case(201, "PUT", "Patient/mine", _patient("mine"), holds={"id": "mine", "versionId": "1"}),
    _Case(201, "PUT", "Patient/gone", _patient("gone"), {"if-none-match": "*"}, {"versionId": "3"}),
    _Case(201, "PUT", "Patient/new", _patient("new"), {"if-none-match": "*"}, {"versionId": "1"}),
    _Case(200, "PUT", "Patient/new", _patient("new"), {"if-none-match": 'W/"2", "3"'}, {"versionId": "2"}),
    _Case(200, "PUT", "Patient?identifier=urn:s|1", _patient(value="1"), holds={"id": "one", "versionId": "6"}),
    _Case(200, "PUT", "Patient?identifier=urn:s|1", _patient("one", "1"), holds={"id": "one", "versionId": "7"}),
    _Case(200, "PUT", "Patient?identifier=urn:s|1", _patient(value="1"), {"if-match": 'W/"7"'}, {"versionId": "8"}),
    _Case(201, "PUT", "Patient?identifier=urn:s|9", _patient(value="9"), holds={"versionId": "1"}),
    _Case(201, "PUT", "Patient?identifier=urn:s|10", _patient("ten", "10"), holds={"id": "ten", "versionId": "1"}),
    _Case(200, "PATCH", "Patient/two", _replace("/identifier/0/value", "2b"), _JSON_PATCH, {"versionId": "2"}),
    _Case(200, "PATCH", "Patient/two", _replace("/identifier/0/value", "2", test="2b"), _JSON_PATCH),
    _Case(200, "PATCH", "Patient/two", _replace("/id", "two"), _JSON_PATCH | {"if-match": 'W/"3"'}),
    _Case(200, "PATCH", "Patient/two", _fhirpath("Patient.identifier.value", valueString="2c"), holds={"value": "2c"}),
    _Case(200, "PATCH", "Patient/two", _replace("/identifier/0/value", "2d"), {"content-type": "application/json"}),
    _Case(200, "PATCH", "Patient?identifier=urn:s|2d", _replace("/id", "two"), _JSON_PATCH, {"versionId": "7"}),
    _Case(204, "DELETE", "Patient/two"),
    _Case(204, "DELETE", "Patient/two"),
    _Case(204, "DELETE", "Patient/never"),
    _Case(204, "DELETE", "Patient/three", headers={"if-match": _ONE}),
    _Case(204, "DELETE", "Patient?identifier=urn:s|9"),
    _Case(204, "DELETE", "Patient?identifier=urn:s|9"),
    _Case(200, "DELETE", "Patient?identifier=urn:s|10", headers={"prefer": "return=OperationOutcome"}),
    _Case(410, "GET", "Patient/ten"),
]


async def test_every_write_that_succeeds_says_so(live: Live) -> None:
    await _furnish(live)
    for case in _SUCCESSES:
        answer = await _send(live, case)
        text = answer.content.decode()
        for name, value in case.holds.items():
            assert f'"{name}":"{value}"' in text, (case, text)
        if case.method != "DELETE" and case.status < 300:
            resource = answer.json()
            version = resource["meta"]["versionId"]
            assert answer.headers["etag"] == f'W/"{version}"'
            assert answer.headers["location"].endswith(f"/fhir/Patient/{resource['id']}/_history/{version}")
            read = await live.http.get(f"/fhir/Patient/{resource['id']}")
            assert read.content == answer.content
    history = (await live.http.get("/fhir/Patient/two/_history")).json()
    assert history["entry"][0]["request"]["method"] == "DELETE"


_ABSENT = _patient("absent", "absent")
_ERRORS = [
    _Case(412, "POST", "Patient", _patient(), {"if-none-exist": "identifier=urn:s|2"}),
    _Case(400, "POST", "Patient", _patient(), {"if-none-exist": "nothing=1"}),
    _Case(400, "POST", "Patient", _patient(), {"if-none-exist": ""}),
    _Case(400, "POST", "Patient", _patient(), {"if-none-exist": "_count=1"}),
    _Case(400, "POST", "Patient", _patient(), {"if-none-exist": "identifier"}),
    _Case(400, "POST", "Patient", {"resourceType": "Observation"}, {"if-none-exist": "identifier=urn:s|7"}),
    _Case(400, "POST", "Patient?_id=1", _patient()),
    _Case(400, "POST", "Patient", _patient(nothing=1)),
    _Case(400, "POST", "Patient", b"{"),
    _Case(415, "POST", "Patient", b"<Patient/>", {"content-type": "text/turtle"}),
    _Case(400, "POST", "Patient", b"<Patient/>", {"content-type": "application/fhir+xml"}),
    _Case(412, "PUT", "Patient/one", _patient("one"), {"if-match": _ONE}),
    _Case(412, "PUT", "Patient/absent", _ABSENT, {"if-match": _ONE}),
    _Case(412, "PUT", "Patient/gone", _patient("gone"), {"if-match": _TWO}),
    _Case(412, "PUT", "Patient/one", _patient("one"), {"if-none-match": "*"}),
    _Case(412, "PUT", "Patient/one", _patient("one"), {"if-none-match": 'W/"1", W/"2"'}),
    _Case(412, "PUT", "Patient?identifier=urn:s|1", _patient("one", "1"), {"if-none-match": "*"}),
    _Case(400, "PUT", "Patient/one", _patient("one"), {"if-none-match": "x"}),
    _Case(400, "PUT", "Patient/one", _patient("two")),
    _Case(400, "PUT", "Patient/one", _patient()),
    _Case(400, "PUT", "Patient/one", _patient("one"), {"if-match": "2"}),
    _Case(400, "PUT", "Patient/no_id", _patient("no_id")),
    _Case(412, "PUT", "Patient?identifier=urn:s|2", _patient(value="2")),
    _Case(400, "PUT", "Patient?identifier=urn:s|1", _patient("two", "1")),
    _Case(400, "PUT", "Patient?identifier=urn:s|7", _patient("two", "7")),
    _Case(400, "PUT", "Patient?identifier=urn:s|7", {"resourceType": "Observation"}),
    _Case(412, "PUT", "Patient?identifier=urn:s|1", _patient("one", "1"), {"if-match": _ONE}),
    _Case(412, "PUT", "Patient?identifier=urn:s|7", _patient(value="7"), {"if-match": _ONE}),
    _Case(400, "PUT", "Patient", _patient()),
    _Case(400, "PUT", "Patient?nothing=1", _patient()),
    _Case(422, "PATCH", "Patient/one", _replace("/active", False, test=False), _JSON_PATCH),
    _Case(422, "PATCH", "Patient/one", _replace("/nothing", 1), _JSON_PATCH),
    _Case(422, "PATCH", "Patient/one", _fhirpath("Patient.gender", valueCode="male")),
    _Case(400, "PATCH", "Patient/one", _replace("/active", "yes"), _JSON_PATCH),
    _Case(400, "PATCH", "Patient/one", _replace("/id", "other"), _JSON_PATCH),
    _Case(400, "PATCH", "Patient/one", _replace("/resourceType", "Person"), _JSON_PATCH),
    _Case(400, "PATCH", "Patient/one", [{"op": "merge"}], _JSON_PATCH),
    _Case(400, "PATCH", "Patient/one", b"[", _JSON_PATCH),
    _Case(400, "PATCH", "Patient/one", _fhirpath("Patient.nothing", valueCode="male")),
    _Case(400, "PATCH", "Patient/one", _patient()),
    _Case(412, "PATCH", "Patient/one", _replace("/active", False), _JSON_PATCH | {"if-match": _ONE}),
    _Case(404, "PATCH", "Patient/absent", _replace("/active", False), _JSON_PATCH),
    _Case(410, "PATCH", "Patient/gone", _replace("/active", False), _JSON_PATCH),
    _Case(404, "PATCH", "Patient?identifier=urn:s|7", _replace("/active", False), _JSON_PATCH),
    _Case(412, "PATCH", "Patient?identifier=urn:s|2", _replace("/active", False), _JSON_PATCH),
    _Case(415, "PATCH", "Patient/one", b"<diff/>", {"content-type": "application/xml-patch+xml"}),
    _Case(409, "DELETE", "Patient/one"),
    _Case(409, "DELETE", "Patient?identifier=urn:s|1"),
    _Case(412, "DELETE", "Patient/two", headers={"if-match": _TWO}),
    _Case(412, "DELETE", "Patient/absent", headers={"if-match": _ONE}),
    _Case(412, "DELETE", "Patient/gone", headers={"if-match": _TWO}),
    _Case(412, "DELETE", "Patient?identifier=urn:s|2"),
    _Case(400, "DELETE", "Patient"),
    _Case(400, "DELETE", "Patient?_sort=_id"),
    _Case(400, "DELETE", "Patient/one?_id=one"),
    _Case(400, "POST", "", _patient()),
    _Case(400, "POST", "", {"resourceType": "Bundle", "type": "collection"}),
    _Case(400, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [{}]}),
    _Case(400, "POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [{"requests": 1}]}),
]


async def test_every_error_names_itself_and_leaves_the_storage_untouched(live: Live) -> None:
    await _furnish(live)
    before = live.digest()
    for case in _ERRORS:
        answer = await _send(live, case)
        outcome = answer.json()
        assert outcome["resourceType"] == "OperationOutcome"
        assert outcome["issue"][0]["diagnostics"]
        assert live.digest() == before, case


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "Patient"), ("PUT", "Patient/one"), ("PATCH", "Patient/one"), ("DELETE", "Patient/two")],
)
async def test_what_the_token_does_not_allow_is_refused(
    live: Live, open_live: OpenLive, method: str, path: str
) -> None:
    await _furnish(live)
    before = live.digest()
    letter = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}[method]
    others = "".join(other for other in "cruds" if other != letter)
    headers = {"authorization": f"Bearer {await live.token(f'system/Patient.{others}')}", **_JSON_PATCH}
    if method in ("POST", "PUT"):
        headers["content-type"] = "application/fhir+json"
    body = _replace("/active", False) if method == "PATCH" else _patient("one")
    answer = await live.http.request(method, f"/fhir/{path}", json=body, headers=headers)
    assert answer.status_code == 403
    assert f"system/Patient.{letter}" in answer.headers["www-authenticate"]
    assert live.digest() == before


async def test_a_condition_needs_the_right_to_search(live: Live) -> None:
    await _furnish(live)
    headers = {"authorization": f"Bearer {await live.token('system/Patient.crud')}"}
    for method in ("PUT", "DELETE"):
        answer = await live.http.request(method, "/fhir/Patient?identifier=urn:s|7", json=_patient(), headers=headers)
        assert answer.status_code == 403
        assert "system/Patient.s" in answer.headers["www-authenticate"]
    headers["if-none-exist"] = "identifier=urn:s|7"
    assert (await live.http.post("/fhir/Patient", json=_patient(), headers=headers)).status_code == 403


async def test_what_lies_outside_a_granular_grant_is_neither_found_nor_changed(live: Live) -> None:
    await live.put(_patient("male", "1", gender="male"))
    await live.put(_patient("female", "2", gender="female"))
    before = live.digest()
    scope = "system/Patient.cruds?gender=female"
    headers = {"authorization": f"Bearer {await live.token(scope)}"}
    patch = json.dumps(_replace("/gender", "female")).encode()
    for path in ("Patient/male", "Patient?identifier=urn:s|1"):
        answer = await live.http.patch(f"/fhir/{path}", content=patch, headers=headers | _JSON_PATCH)
        assert answer.status_code == 404
        assert (await live.http.delete(f"/fhir/{path}", headers=headers)).status_code == 204
    out = json.dumps(_replace("/gender", "male")).encode()
    answer = await live.http.patch("/fhir/Patient/female", content=out, headers=headers | _JSON_PATCH)
    assert answer.status_code == 403
    assert live.digest() == before
    answer = await live.http.put(
        "/fhir/Patient?identifier=urn:s|1", json=_patient(value="1", gender="female"), headers=headers
    )
    assert answer.status_code == 201
    assert answer.json()["id"] not in ("male", "female")


async def test_without_update_as_create_the_server_assigns_ids(open_live: OpenLive) -> None:
    async with open_live(update_create=False) as live:
        statement = (await live.http.get("/fhir/metadata")).json()["rest"][0]["resource"][0]
        assert statement["updateCreate"] is False
        assert (await live.http.put("/fhir/Patient/a", json=_patient("a"))).status_code == 405
        assert (await live.http.put("/fhir/Patient?identifier=urn:s|1", json=_patient("a", "1"))).status_code == 405
        made = await live.http.put("/fhir/Patient?identifier=urn:s|1", json=_patient(value="1"))
        assert made.status_code == 201
        url = f"/fhir/Patient/{made.json()['id']}"
        assert (await live.http.delete(url)).status_code == 204
        assert (await live.http.put(url, json=made.json())).status_code == 410


async def test_a_conditional_delete_of_several_is_the_policys_to_allow(open_live: OpenLive) -> None:
    async with open_live(conditional_delete="multiple") as live:
        await _furnish(live)
        statement = (await live.http.get("/fhir/metadata")).json()["rest"][0]["resource"]
        assert {each["conditionalDelete"] for each in statement} == {"multiple"}
        before = live.digest()
        refused = await live.http.delete("/fhir/Patient?_lastUpdated=gt2000")
        assert (refused.status_code, live.digest()) == (409, before)
        deleted = await live.http.delete(
            "/fhir/Patient?identifier=urn:s|2", headers={"prefer": "return=OperationOutcome"}
        )
        assert deleted.json()["issue"][0]["diagnostics"] == "2 resources were deleted."
        assert (await live.http.get("/fhir/Patient/three")).status_code == 410


async def test_a_refusal_to_delete_names_ten_referrers_and_none_that_the_token_may_not_read(live: Live) -> None:
    await _furnish(live)
    for number in range(12):
        await live.put(
            {"resourceType": "Flag", "id": f"f{number:02}", "status": "active", "code": {"text": "c"}}
            | {"subject": {"reference": "Patient/one"}}
        )
    text = (await live.http.delete("/fhir/Patient/one")).json()["issue"][0]["diagnostics"]
    assert text.count("Flag/") + text.count("Observation/") == 10
    headers = {"authorization": f"Bearer {await live.token('system/Patient.cruds')}"}
    text = (await live.http.delete("/fhir/Patient/one", headers=headers)).json()["issue"][0]["diagnostics"]
    assert "Flag" not in text
    assert "Observation" not in text


async def test_referential_integrity_is_the_policys(open_live: OpenLive) -> None:
    async with open_live(delete_referenced=True, check_references=True) as live:
        await live.put(_patient("one"))
        observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "c"}}
        there = observation | {"subject": {"reference": "Patient/one"}}
        missing = there | {"extension": [{"url": "http://x", "valueReference": {"reference": "Patient/two"}}]}
        before = live.digest()
        refused = await live.http.put("/fhir/Observation/o", json=missing)
        assert refused.status_code == 422
        assert "Patient/two" in refused.json()["issue"][0]["diagnostics"]
        assert live.digest() == before
        await live.put(there)
        assert (await live.http.delete("/fhir/Patient/one")).status_code == 204
        assert (await live.http.put("/fhir/Observation/o", json=there)).status_code == 422
