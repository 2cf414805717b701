"""Create and update from outside: what goes in comes out, and nobody overwrites what they have not seen."""

from __future__ import annotations

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Writing"}]}


@pytest.fixture
def stored(partner: httpx.Client) -> dict[str, Any]:
    created = partner.post("Patient", json=PATIENT).json()
    assert isinstance(created, dict)
    return created


def outcome(answer: httpx.Response) -> dict[str, Any]:
    found = answer.json()
    assert found["resourceType"] == "OperationOutcome"
    first = found["issue"][0]
    assert isinstance(first, dict)
    return first


def test_id_and_meta_are_the_servers_and_all_else_is_the_clients(partner: httpx.Client) -> None:
    sent = {
        "resourceType": "Patient",
        "language": "de",
        "id": "mine",
        "meta": {
            "versionId": "77",
            "tag": [{"system": "http://example.org/t", "code": "kept"}],
            "lastUpdated": "1999-01-01T00:00:00Z",
        },
        "name": [{"given": ["Zoë", "\u200b"], "family": "Ünï 🐂 漢字"}],
        "gender": "unknown",
    }
    stored = partner.post("Patient", json=sent).json()
    assert stored["id"] != "mine"
    assert (stored["meta"]["versionId"], stored["meta"]["tag"]) == ("1", sent["meta"]["tag"])  # type: ignore[index]
    assert stored["meta"]["lastUpdated"] > "2020"
    assert list(stored) == list(sent)
    assert {**stored, "id": 0, "meta": 0} == {**sent, "id": 0, "meta": 0}


@pytest.mark.parametrize(
    "members",
    [
        ["meta", "name", "resourceType"],
        ["name", "resourceType", "meta"],
        ["meta", "id", "resourceType", "name"],
        ["name", "id", "meta", "resourceType"],
        ["name", "resourceType"],
        ["resourceType", "id"],
    ],
)
def test_members_may_come_in_any_order(partner: httpx.Client, members: list[str]) -> None:
    whole = PATIENT | {"id": "mine", "meta": {"source": "http://example.org/s"}}
    created = partner.post("Patient", json={name: whole[name] for name in members})
    assert created.status_code == 201
    read = partner.get(f"Patient/{created.json()['id']}").json()
    assert read == created.json()
    assert [name for name in read if name in members] == members
    updated = partner.put(
        f"Patient/{read['id']}", json={name: (whole | {"id": read["id"]})[name] for name in {*members, "id"}}
    )
    assert updated.json()["meta"]["versionId"] == "2"
    assert partner.get("Patient", params={"_id": read["id"]}).json()["entry"][0]["resource"] == updated.json()


def test_ids_of_creates_are_in_the_order_of_creation(partner: httpx.Client) -> None:
    ids = [partner.post("Patient", json=PATIENT).json()["id"] for _ in range(5)]
    assert len(set(ids)) == 5
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids)


DIGITS = ["1.00", "0.0000001", "1e3", "1E+3", "12345678901234567890.123", "-0", "-0.0", "72", "100", "6.02214076e23"]


@pytest.mark.parametrize("number", DIGITS)
def test_numbers_come_back_digit_for_digit(partner: httpx.Client, number: str) -> None:
    head, tail = (
        '"status":"final","code":{"text":"x"},"valueQuantity":{"value":',
        ',"unit":"\\u00b5g","system":"http://unitsofmeasure.org","code":"ug"}}',
    )
    created = partner.post("Observation", content='{"resourceType":"Observation",' + head + number + tail)
    assert created.status_code == 201, created.text
    place = created.headers["location"].partition("/_history")[0]
    for answer in (created, partner.get(place), partner.get(created.headers["location"])):
        assert f'"value":{number},"unit":"µg"' in answer.text
    found = partner.get("Observation", params={"_id": created.json()["id"]})
    assert f'"value":{number},"unit"' in found.text
    assert f'"value": {number},' in partner.get(f"{place}?_pretty=true").text


def test_an_update_makes_the_next_version_and_keeps_the_last(partner: httpx.Client, stored: dict[str, Any]) -> None:
    place = f"Patient/{stored['id']}"
    updated = partner.put(place, json=stored | {"gender": "female"}, headers={"if-match": 'W/"1"'})
    assert updated.status_code == 200
    assert updated.headers["etag"] == 'W/"2"'
    assert updated.headers["location"].endswith(f"/{place}/_history/2")
    assert partner.get(place).json() == updated.json()
    assert partner.get(f"{place}/_history/1").json() == stored
    versions = partner.get(f"{place}/_history").json()
    assert (versions["type"], versions["total"]) == ("history", 2)
    assert [entry["resource"] for entry in versions["entry"]] == [updated.json(), stored]
    assert [entry["request"]["method"] for entry in versions["entry"]] == ["PUT", "POST"]
    assert [entry["response"]["etag"] for entry in versions["entry"]] == ['W/"2"', 'W/"1"']


def test_a_history_pages_through_every_version_once(partner: httpx.Client, stored: dict[str, Any]) -> None:
    place = f"Patient/{stored['id']}"
    for _ in range(4):
        assert partner.put(place, json=stored).status_code == 200
    seen: list[str] = []
    url: str | None = f"{place}/_history?_count=2"
    while url:
        page = partner.get(url).json()
        seen += [entry["resource"]["meta"]["versionId"] for entry in page["entry"]]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert seen == ["5", "4", "3", "2", "1"]


def test_a_stale_version_is_not_overwritten(partner: httpx.Client, stored: dict[str, Any]) -> None:
    place = f"Patient/{stored['id']}"
    assert partner.put(place, json=stored, headers={"if-match": '"1"'}).status_code == 200
    stale = partner.put(place, json=stored | {"gender": "other"}, headers={"if-match": 'W/"1"'})
    assert stale.status_code == 412
    assert outcome(stale)["code"] == "conflict"
    assert "gender" not in partner.get(place).json()
    assert partner.put(place, json=stored, headers={"if-match": "1"}).status_code == 400
    assert (
        partner.put("Patient/nobody", json=stored | {"id": "nobody"}, headers={"if-match": 'W/"1"'}).status_code == 412
    )


def test_of_many_updates_of_one_version_one_wins(partner: httpx.Client, stored: dict[str, Any]) -> None:
    place = f"Patient/{stored['id']}"

    def update(number: int) -> int:
        body = stored | {"name": [{"family": f"Racer{number}"}]}
        return partner.put(place, json=body, headers={"if-match": 'W/"1"'}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(update, range(8)))
    assert statuses == [200] + [412] * 7
    assert partner.get(place).headers["etag"] == 'W/"2"'


def test_updates_without_a_condition_all_count(partner: httpx.Client, stored: dict[str, Any]) -> None:
    place = f"Patient/{stored['id']}"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: partner.put(place, json=stored), range(12)))
    assert {answer.status_code for answer in answers} == {200}
    assert partner.get(f"{place}/_history").json()["total"] == 13


def test_an_update_creates_nothing(partner: httpx.Client) -> None:
    answer = partner.put("Patient/nobody", json=PATIENT | {"id": "nobody"})
    assert answer.status_code == 405
    assert outcome(answer)["code"] == "not-supported"
    assert "PUT" not in answer.headers["allow"]
    assert partner.get("Patient/nobody").status_code == 404


@pytest.mark.parametrize("change", [{"id": "other"}, {"id": None}, {"resourceType": "Encounter"}])
def test_an_update_names_what_it_updates(partner: httpx.Client, stored: dict[str, Any], change: dict[str, Any]) -> None:
    body = {name: value for name, value in (stored | change).items() if value is not None}
    answer = partner.put(f"Patient/{stored['id']}", json=body)
    assert answer.status_code == 400
    assert outcome(answer)["expression"] in (["Patient.id"], ["Patient.resourceType"])
    assert partner.get(f"Patient/{stored['id']}").headers["etag"] == 'W/"1"'


def test_what_was_written_is_found_at_once_and_what_was_overwritten_no_longer(
    partner: httpx.Client, stored: dict[str, Any]
) -> None:
    def found(family: str) -> list[str]:
        page = partner.get("Patient", params={"family": family, "_id": stored["id"]}).json()
        return [entry["resource"]["id"] for entry in page.get("entry", ())]

    assert found("Writing") == [stored["id"]]
    partner.put(f"Patient/{stored['id']}", json=stored | {"name": [{"family": "Rewritten"}]})
    assert (found("Writing"), found("Rewritten")) == ([], [stored["id"]])


def test_a_pdf_of_ten_megabytes_goes_in_and_out_byte_for_byte(partner: httpx.Client, patient: str) -> None:
    pdf = b"%PDF-1.7\n" + b"".join(hashlib.sha512(i.to_bytes(4)).digest() for i in range(10_485_760 // 64))
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "content": [
            {"attachment": {"contentType": "application/pdf", "data": base64.b64encode(pdf).decode(), "size": len(pdf)}}
        ],
    }
    sent = json.dumps(document, separators=(",", ":"))
    created = partner.post("DocumentReference", content=sent)
    assert created.status_code == 201, created.text[:500]
    name = f"DocumentReference/{created.json()['id']}"
    read = partner.get(name)
    for answer in (created, read, partner.get(f"{name}/_history/1")):
        assert base64.b64decode(answer.json()["content"][0]["attachment"]["data"]) == pdf
    for whole in (
        partner.get("DocumentReference", params={"_id": name.partition("/")[2]}),
        partner.get(f"{name}/_history"),
    ):
        assert whole.status_code == 200
        assert whole.json()["entry"][0]["resource"] == read.json()
    assert partner.head(name).headers["content-length"] == str(len(read.content))


def test_two_servers_on_one_storage_see_each_others_writes_at_once(
    partner: httpx.Client, neighbour: Sandbox, stored: dict[str, Any]
) -> None:
    place = f"Patient/{stored['id']}"
    other = neighbour.partner("system/*.cruds")
    assert other.get(place).json() == stored
    assert other.put(place, json=stored | {"gender": "male"}, headers={"if-match": 'W/"1"'}).status_code == 200
    assert partner.get(place).headers["etag"] == 'W/"2"'
    assert partner.put(place, json=stored, headers={"if-match": 'W/"1"'}).status_code == 412
    found = partner.get("Patient", params={"_id": stored["id"], "gender": "male"}).json()
    assert found["total"] == 1
