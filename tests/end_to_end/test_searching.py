"""Search over HTTP: pages, forms, totals, order, and what a client is told about what was understood."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

Bundle = dict[str, Any]


def link(bundle: Bundle, relation: str) -> str | None:
    return next((found["url"] for found in bundle["link"] if found["relation"] == relation), None)


def walk(partner: httpx.Client, first: httpx.Response) -> list[Bundle]:
    """Follow the next links and return every page."""
    pages = []
    answer = first
    while True:
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        following = link(pages[-1], "next")
        if following is None:
            return pages
        answer = partner.get(following)


def matches(*pages: Bundle) -> list[dict[str, Any]]:
    entries = [entry for page in pages for entry in page.get("entry", ())]
    return [entry["resource"] for entry in entries if entry["search"]["mode"] == "match"]


def ids(*pages: Bundle) -> list[str]:
    return [resource["id"] for resource in matches(*pages)]


def in_utc(time: str) -> str:
    return datetime.fromisoformat(time).astimezone(UTC).isoformat()


TYPES = ["Patient", "Encounter", "Appointment", "Coverage", "Practitioner", "Slot"]


@pytest.mark.parametrize("sort", [None, "_id", "-_lastUpdated", "_lastUpdated"])
@pytest.mark.parametrize("resource_type", TYPES)
def test_pages_of_three_visit_everything_once(partner: httpx.Client, resource_type: str, sort: str | None) -> None:
    everything = ids(partner.get(resource_type, params={"_count": "1000"}).json())
    query = {"_count": "3"} | ({"_sort": sort} if sort else {})
    by_get = walk(partner, partner.get(resource_type, params=query))
    by_post = walk(partner, partner.post(f"{resource_type}/_search", data=query))
    for pages in (by_get, by_post):
        assert [len(page["entry"]) for page in pages[:-1]] == [3] * (len(pages) - 1)
        assert sorted(ids(*pages)) == sorted(everything)
        assert len(set(everything)) == len(everything) > 6
        assert pages[0]["total"] == len(everything)
    assert ids(*by_get) == ids(*by_post)


def test_a_page_link_is_sealed_and_stands_alone(partner: httpx.Client, sandbox: Sandbox) -> None:
    page = partner.post("Encounter/_search", data={"_count": "2", "class": "AMB"}).json()
    following = link(page, "next")
    assert following is not None
    assert [name for name, _ in parse_qsl(urlsplit(following).query)] == ["_page"]
    assert "AMB" not in following
    assert partner.get(following + "&_count=5").status_code == 400
    assert partner.get(following.replace("/Encounter?", "/Patient?")).status_code == 400
    assert partner.get(following[:-3] + "abc").status_code == 400
    again = partner.get(following)
    assert ids(again.json()) == ids(partner.get(following).json())
    assert link(again.json(), "self") is not None
    narrow = sandbox.partner("system/Patient.rs")
    assert narrow.get(following).status_code == 403


def test_a_walk_sees_each_old_resource_once_while_others_are_written(partner: httpx.Client) -> None:
    before = ids(partner.get("Condition", params={"_count": "1000"}).json())
    template = matches(partner.get("Condition", params={"_count": "1"}).json())[0]
    seen: list[str] = []
    url: str | None = "Condition?_count=40"
    while url:
        page = partner.get(url).json()
        seen += ids(page)
        assert partner.post("Condition", json=template).status_code == 201
        url = link(page, "next")
    assert len(seen) == len(set(seen))
    assert set(before) <= set(seen)


def test_a_bundle_is_a_searchset_whose_entries_can_be_read(partner: httpx.Client) -> None:
    page = partner.get("Encounter", params={"_count": "3"}).json()
    assert (page["resourceType"], page["type"]) == ("Bundle", "searchset")
    for entry in page["entry"]:
        assert entry["search"] == {"mode": "match"}
        assert partner.get(entry["fullUrl"]).json() == entry["resource"]
    empty = partner.get("Encounter", params={"_id": "nobody"}).json()
    assert empty["total"] == 0
    assert "entry" not in empty


def test_references_are_found_in_every_spelling(partner: httpx.Client, sandbox: Sandbox, patient: str) -> None:
    base = sandbox.base_url
    spellings = [
        ("patient", patient),
        ("patient", f"Patient/{patient}"),
        ("patient", f"{base}/Patient/{patient}"),
        ("patient", f"{base.replace('127.0.0.1', 'localhost')}/Patient/{patient}"),
        ("subject", f"Patient/{patient}"),
        ("subject", f"{base}/Patient/{patient}"),
        ("subject:Patient", patient),
        ("patient:Patient", patient),
    ]
    found = {tuple(ids(partner.get("Encounter", params={name: value}).json())) for name, value in spellings}
    assert len(found) == 1
    assert len(found.pop()) > 2
    elsewhere = partner.get("Encounter", params={"patient": f"https://elsewhere.example/fhir/Patient/{patient}"})
    assert elsewhere.json()["total"] == 0


def test_a_reference_written_with_this_servers_address_is_found_by_the_id(
    partner: httpx.Client, sandbox: Sandbox
) -> None:
    mine = partner.post("Patient", json={"resourceType": "Patient"}).json()["id"]
    for base in (sandbox.base_url, sandbox.base_url.replace("127.0.0.1", "localhost")):
        observation = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"{base}/Patient/{mine}"},
        }
        assert partner.post("Observation", json=observation).json()["subject"] == observation["subject"]
    assert partner.get("Observation", params={"patient": mine}).json()["total"] == 2


def test_commas_mean_or_and_repetition_means_and(partner: httpx.Client) -> None:
    def found(*query: tuple[str, str]) -> set[str]:
        pages = walk(partner, partner.get("Encounter", params=[*query, ("_count", "200")]))
        return set(ids(*pages))

    ambulatory, emergency = found(("class", "AMB")), found(("class", "EMER"))
    assert ambulatory
    assert emergency
    assert found(("class", "AMB,EMER")) == ambulatory | emergency
    assert found(("class", "AMB"), ("class", "EMER")) == ambulatory & emergency == set()
    late = found(("date", "ge2024-01-01"))
    assert found(("class", "AMB,EMER"), ("date", "ge2024-01-01")) == (ambulatory | emergency) & late
    one, two, *_ = sorted(ambulatory)
    assert found(("_id", f"{one},{two},nobody")) == {one, two}
    assert found(("_id", one), ("_id", two)) == set()


def test_parameters_of_url_and_form_hold_together(partner: httpx.Client, patient: str) -> None:
    by_get = partner.get("Encounter", params={"patient": patient, "class": "AMB"}).json()
    by_both = partner.post("Encounter/_search", params={"patient": patient}, data={"class": "AMB"}).json()
    assert ids(by_get) == ids(by_both) != []
    assert link(by_get, "self") == link(by_both, "self")


def test_what_escapes_stand_for_is_taken_literally(partner: httpx.Client) -> None:
    family = "Comma, Bar| Dollar$ Back\\slash"
    created = partner.post("Patient", json={"resourceType": "Patient", "name": [{"family": family}]}).json()
    sought = "Comma\\, Bar\\| Dollar\\$ Back\\\\slash"
    page = partner.get("Patient", params={"family": sought}).json()
    assert ids(page) == [created["id"]]
    again = link(page, "self")
    assert again is not None
    assert ids(partner.get(again).json()) == [created["id"]]
    assert ids(partner.post("Patient/_search", data={"family": sought}).json()) == [created["id"]]


def test_strings_ignore_case_accents_and_begin(partner: httpx.Client) -> None:
    created = partner.post("Patient", json={"resourceType": "Patient", "name": [{"family": "Ångström-Œuvré"}]}).json()
    for sought in ("Ångström-Œuvré", "angstrom", "ANGSTRÖM", "ång"):
        assert ids(partner.get("Patient", params={"family": sought}).json()) == [created["id"]], sought
    assert ids(partner.get("Patient", params={"family": "ngström"}).json()) == []


def test_last_updated_is_compared_to_the_millisecond(partner: httpx.Client) -> None:
    first = partner.post("Patient", json={"resourceType": "Patient"}).json()
    time.sleep(0.01)
    second = partner.post("Patient", json={"resourceType": "Patient"}).json()
    both = f"{first['id']},{second['id']}"

    def found(**query: str) -> list[str]:
        return ids(partner.get("Patient", params={"_id": both, "_sort": "_lastUpdated"} | query).json())

    at = first["meta"]["lastUpdated"]
    assert found(_lastUpdated=at) == [first["id"]]
    assert found(_lastUpdated=f"gt{at}") == [second["id"]]
    assert found(_lastUpdated=f"ge{at}") == [first["id"], second["id"]]
    assert found(_lastUpdated=f"lt{second['meta']['lastUpdated']}") == [first["id"]]
    assert found(_lastUpdated=f"ne{at}") == [second["id"]]
    assert found(_lastUpdated=f"gt{at}", _sort="-_lastUpdated") == [second["id"]]
    assert found(_lastUpdated="lt2001") == []


@pytest.mark.parametrize(
    ("resource_type", "sort", "path"),
    [
        ("Patient", "birthdate", "birthDate"),
        ("Patient", "_id", "id"),
        ("Patient", "_lastUpdated", "meta.lastUpdated"),
        ("Encounter", "date", "period.start"),
        ("Appointment", "date", "start"),
        ("Coverage", "_id", "id"),
    ],
)
def test_sorting_orders_both_ways(partner: httpx.Client, resource_type: str, sort: str, path: str) -> None:
    def values(order: str) -> list[str]:
        found = []
        for resource in matches(*walk(partner, partner.get(resource_type, params={"_sort": order, "_count": "7"}))):
            value: Any = resource
            for step in path.split("."):
                value = value.get(step, "") if isinstance(value, dict) else ""
            found.append(in_utc(value) if "T" in value else value)
        return found

    up, down = values(sort), values(f"-{sort}")
    with_value = [value for value in up if value]
    assert with_value == sorted(with_value)
    assert [value for value in down if value] == sorted(with_value, reverse=True)
    for order in (up, down):
        assert not any(order[len(with_value) :]), "what has no value comes last"
    assert len(up) == len(down) > 7


def test_totals_are_as_asked_for(partner: httpx.Client) -> None:
    def total(**query: str) -> int | None:
        found = partner.get("Encounter", params=query).json().get("total")
        assert found is None or isinstance(found, int)
        return found

    everything = total(_count="1000")
    assert everything is not None
    assert total(_count="1") == total(_count="1", _total="accurate") == total(_count="0") == everything
    assert total(_count="1", _total="none") is None
    empty = partner.get("Encounter", params={"_count": "0"}).json()
    assert "entry" not in empty
    assert link(empty, "next") is None


def test_a_page_has_at_most_what_the_server_allows_and_says_so(partner: httpx.Client) -> None:
    page = partner.get("Patient", params={"_count": "5000"}).json()
    assert link(page, "self") == f"{str(partner.base_url).rstrip('/')}/Patient?_count=1000"
    (said,) = (entry["resource"] for entry in page["entry"] if entry["search"]["mode"] == "outcome")
    assert said["issue"][0]["severity"] == "information"


def test_what_is_unknown_is_refused_unless_the_client_is_lenient(partner: httpx.Client) -> None:
    query = {"shoesize": "44", "gender": "male", "_totalMethod": "count"}
    for prefer in ("", "handling=strict", "return=minimal"):
        refused = partner.get("Patient", params=query, headers={"prefer": prefer})
        assert refused.status_code == 400
        assert len(refused.json()["issue"]) == 2
    lenient = {"prefer": "handling=lenient"}
    for answer in (
        partner.get("Patient", params=query, headers=lenient),
        partner.post("Patient/_search", data=query, headers=lenient),
    ):
        page = answer.json()
        assert {resource["gender"] for resource in matches(page)} == {"male"}, answer.text[:900]
        assert urlsplit(link(page, "self") or "").query == "gender=male"
        (said,) = (entry["resource"] for entry in page["entry"] if entry["search"]["mode"] == "outcome")
        assert [issue["severity"] for issue in said["issue"]] == ["warning", "warning"]
        assert "shoesize" in said["issue"][0]["diagnostics"]
    # What would mean something else without the wrong part is refused in any case.
    assert partner.get("Patient", params={"birthdate": "2024-13"}, headers=lenient).status_code == 400


def test_the_self_link_says_what_was_applied_and_repeats_the_search(partner: httpx.Client, patient: str) -> None:
    query = [("patient", patient), ("date", "ge2024-01-01"), ("date", "le2024-12-31"), ("_count", "4")]
    asked = [*query, ("_pretty", "true"), ("_format", "json")]
    page = partner.get("Encounter", params=tuple(asked)).json()
    own = link(page, "self")
    assert own is not None
    assert parse_qsl(urlsplit(own).query) == asked
    assert ids(partner.get(own).json()) == ids(page)


def test_a_plus_sign_in_a_date_may_be_left_as_it_is(partner: httpx.Client) -> None:
    encoded = partner.get("Encounter?date=ge2024-01-01T00:00:00%2B02:00&_count=0").json()
    as_is = partner.get("Encounter?date=ge2024-01-01T00:00:00+02:00&_count=0").json()
    assert encoded["total"] == as_is["total"] > 0


def test_a_long_search_fits_a_form(partner: httpx.Client) -> None:
    wanted = ids(partner.get("Patient", params={"_count": "3"}).json())
    many = ",".join([*wanted, *(f"nobody-{number}" for number in range(4000))])
    page = partner.post("Patient/_search", data={"_id": many, "_count": "2"}).json()
    following = link(page, "next")
    assert following is not None
    assert len(following) < 5000
    assert sorted(ids(page, partner.get(following).json())) == sorted(wanted)
