"""The assertions of the public Bulk Data test kits, and the guide's own statements beyond them, over real HTTP.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from toro_core.definitions import load
from toro_core.json import loads
from toro_core.validation.structure import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.conftest import Export, Sandbox

BULK = "http://hl7.org/fhir/uv/bulkdata/"
ASYNC = {"accept": "application/fhir+json", "prefer": "respond-async"}
DEFINITIONS = load()
GROUP_TYPES = {
    *("Patient", "AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "DiagnosticReport", "DocumentReference"),
    *("Goal", "Immunization", "MedicationRequest", "Observation", "Procedure", "Encounter", "Organization"),
    *(
        "Practitioner",
        "Provenance",
        "Location",
        "Medication",
        "ServiceRequest",
        "RelatedPerson",
        "Coverage",
        "Specimen",
    ),
}
"""Types that a test of US Core's must-support elements looks for in the export of a Group."""


@pytest.fixture(scope="module")
def bulk(sandbox: Sandbox) -> httpx.Client:
    return sandbox.partner("system/*.rs")


@pytest.fixture(scope="module")
def stranger(sandbox: Sandbox) -> httpx.Client:
    """Another client that may have the same."""
    return sandbox.partner("system/*.rs", client_id=sandbox.register("bulk-stranger", "system/*.rs"))


@pytest.fixture(scope="module")
def group(bulk: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = bulk.get("/Group").json()["entry"][0]["resource"]
    return found


@pytest.fixture(scope="module", params=["system", "patient", "group"])
def kick_off(request: pytest.FixtureRequest, group: dict[str, Any]) -> str:
    """The path of a kick-off at each level."""
    return {"system": "/$export", "patient": "/Patient/$export", "group": f"/Group/{group['id']}/$export"}[
        request.param
    ]


@pytest.fixture(scope="module")
def group_kick_off(group: dict[str, Any]) -> str:
    """The path of a Group's kick-off, for what is the same at each level."""
    return f"/Group/{group['id']}/$export"


@pytest.fixture(scope="module")
def done(kick_off: str, bulk: httpx.Client, export: Callable[..., Export]) -> Export:
    """A complete export at each level."""
    return export(bulk, kick_off)


@pytest.fixture
def begun(kick_off: str, bulk: httpx.Client) -> Iterator[Callable[..., httpx.Response]]:
    """Begin exports, and delete them at the end."""
    statuses: list[str] = []

    def begin(query: str = "", method: str = "GET", path: str = kick_off, **more: Any) -> httpx.Response:
        headers = ASYNC | more.pop("headers", {})
        answer = bulk.request(method, path + query, headers=headers, **more)
        if answer.status_code == 202:
            statuses.append(answer.headers["content-location"])
        return answer

    yield begin
    for status in statuses:
        bulk.delete(status)


def refused(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/fhir+json")
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert list(check(loads(answer.content), DEFINITIONS)) == []
    return " ".join(issue["diagnostics"] for issue in outcome["issue"])


# CapabilityStatement


def test_the_statement_offers_export_at_three_levels_and_instantiates_bulk_data(bulk: httpx.Client) -> None:
    statement = bulk.get("/metadata").json()
    (rest,) = statement["rest"]
    resources = {resource["type"]: resource for resource in rest["resource"]}
    assert {"name": "export", "definition": f"{BULK}OperationDefinition/export"} in rest["operation"]
    for name, definition in (("Patient", "patient-export"), ("Group", "group-export")):
        listed = {"name": "export", "definition": f"{BULK}OperationDefinition/{definition}"}
        assert listed in resources[name]["operation"]
    assert f"{BULK}CapabilityStatement/bulk-data" in statement["instantiates"]


# Kick-off


def test_without_a_token_a_kick_off_answers_401(sandbox: Sandbox, kick_off: str) -> None:
    answer = httpx.get(sandbox.base_url + kick_off, headers=ASYNC)
    refused(answer, 401)


def test_a_kick_off_answers_202_with_an_absolute_content_location(
    begun: Callable[..., httpx.Response], sandbox: Sandbox
) -> None:
    answer = begun()
    assert answer.status_code == 202
    assert answer.headers["content-location"].startswith(sandbox.base_url)
    assert list(check(loads(answer.content), DEFINITIONS)) == []


@pytest.mark.parametrize(
    "name", ["application%2Ffhir%2Bndjson", "application/fhir+ndjson", "application/ndjson", "ndjson"]
)
def test_ndjson_may_be_asked_for_in_each_of_its_spellings(
    begun: Callable[..., httpx.Response], bulk: httpx.Client, name: str
) -> None:
    answer = begun(f"?_outputFormat={name}")
    assert answer.status_code == 202
    assert bulk.delete(answer.headers["content-location"]).status_code == 202


def test_another_output_format_is_refused(begun: Callable[..., httpx.Response]) -> None:
    assert "_outputFormat" in refused(begun("?_outputFormat=text/csv"))


def test_since_may_have_an_offset(begun: Callable[..., httpx.Response], bulk: httpx.Client) -> None:
    week_ago = datetime.now(timezone(timedelta(hours=-5))) - timedelta(days=7)
    for text in (week_ago.isoformat(), week_ago.isoformat(timespec="seconds")):
        answer = begun("?" + str(httpx.QueryParams({"_since": text})))
        assert answer.status_code == 202
        assert bulk.delete(answer.headers["content-location"]).status_code == 202


def test_a_since_that_is_no_instant_is_refused(begun: Callable[..., httpx.Response]) -> None:
    assert "_since" in refused(begun("?_since=yesterday"))


def test_no_accept_and_no_prefer_are_taken_as_if_they_were_there(
    sandbox: Sandbox, bulk: httpx.Client, kick_off: str
) -> None:
    bearer = {"authorization": f"Bearer {sandbox.token('system/*.rs')}"}
    with httpx.Client(headers=bearer) as client:
        del client.headers["accept"]
        answer = client.get(sandbox.base_url + kick_off)
    assert answer.status_code == 202
    assert bulk.delete(answer.headers["content-location"]).status_code == 202


def test_a_parameter_there_is_none_of_is_refused_or_noted(
    begun: Callable[..., httpx.Response], bulk: httpx.Client, group_kick_off: str, export: Callable[..., Export]
) -> None:
    assert "_purpose" in refused(begun("?_purpose=x"))
    assert "_purpose" in refused(begun("?_purpose=x", headers={"prefer": "respond-async, handling=strict"}))
    lenient = {"prefer": "respond-async, handling=lenient"}
    found = export(bulk, f"{group_kick_off}?_purpose=x&_type=Patient", headers=lenient)
    (outcome,) = found.lines["OperationOutcome"]
    assert "_purpose" in outcome["issue"][0]["diagnostics"]
    assert [file["type"] for file in found.manifest["error"]] == ["OperationOutcome"]
    assert found.ids("Patient")


def test_only_the_types_asked_for_go_out_however_they_are_listed(
    bulk: httpx.Client, group_kick_off: str, export: Callable[..., Export]
) -> None:
    joined = export(bulk, f"{group_kick_off}?_type=Patient,Condition")
    repeated = export(bulk, f"{group_kick_off}?_type=Patient&_type=Condition")
    assert set(joined.lines) == {"Patient", "Condition"}
    assert joined.lines == repeated.lines


def test_a_type_that_is_not_exported_is_refused(begun: Callable[..., httpx.Response]) -> None:
    assert "Basic" in refused(begun("?_type=Patient,Basic"))
    assert "Pasient" in refused(begun("?_type=Pasient"))


@pytest.mark.parametrize("path", ["/Patient/$export"])
def test_only_types_outside_the_compartment_are_refused(begun: Callable[..., httpx.Response], path: str) -> None:
    assert "compartment" in refused(begun("?_type=Practitioner", path=path))


def test_elements_leave_out_the_rest_but_what_is_mandatory_and_say_so(
    bulk: httpx.Client, group_kick_off: str, export: Callable[..., Export]
) -> None:
    found = export(bulk, f"{group_kick_off}?_type=Patient,Observation&_elements=id,Patient.birthDate")
    for patient in found.lines["Patient"]:
        assert set(patient) <= {
            "resourceType",
            "id",
            "meta",
            "birthDate",
            "active",
            "deceasedBoolean",
            "deceasedDateTime",
            "link",
        }
        assert "SUBSETTED" in {tag["code"] for tag in patient["meta"]["tag"]}
    for observation in found.lines["Observation"]:
        assert {"status", "code"} <= set(observation)
        assert "valueQuantity" not in observation


def test_type_filters_are_alternatives_and_their_commas_may_be_encoded_twice(
    bulk: httpx.Client, group_kick_off: str, export: Callable[..., Export]
) -> None:
    everything = export(bulk, f"{group_kick_off}?_type=MedicationRequest,Condition")
    requests = everything.lines["MedicationRequest"]
    status = requests[0]["status"]
    one = f"MedicationRequest%3Fstatus%3D{status}%26intent%3Dorder"
    other = f"MedicationRequest%3F_id%3D{requests[1]['id']}%252C{requests[2]['id']}"
    for joined in (f"_typeFilter={one},{other}", f"_typeFilter={one}&_typeFilter={other}"):
        found = export(bulk, f"{group_kick_off}?_type=MedicationRequest,Condition&{joined}")
        assert found.ids("MedicationRequest") == {
            one["id"]
            for one in requests
            if (one["status"] == status and one["intent"] == "order")
            or one["id"] in (requests[1]["id"], requests[2]["id"])
        }
        assert found.ids("Condition") == everything.ids("Condition")
    two = f"_typeFilter=MedicationRequest%3F_id%3D{requests[1]['id']}%252C{requests[2]['id']}"
    found = export(bulk, f"{group_kick_off}?_type=MedicationRequest&{two}")
    assert found.ids("MedicationRequest") == {requests[1]["id"], requests[2]["id"]}


@pytest.mark.parametrize(
    "query", ["_include=MedicationRequest:subject", "_sort=date", "nothing=x", "status=x&_has:Y=x"]
)
def test_a_type_filter_that_is_no_filter_is_refused(begun: Callable[..., httpx.Response], query: str) -> None:
    parameters = httpx.QueryParams({"_type": "MedicationRequest", "_typeFilter": f"MedicationRequest?{query}"})
    assert "_typeFilter" in refused(begun(f"?{parameters}"))


def test_a_post_takes_parameters_in_either_media_type_and_in_the_query_without_a_body(
    bulk: httpx.Client, group_kick_off: str, sandbox: Sandbox, export: Callable[..., Export]
) -> None:
    wanted = export(bulk, f"{group_kick_off}?_type=Patient,Encounter")
    comma = [{"name": "_type", "valueString": "Patient,Encounter"}]
    apart = [{"name": "_type", "valueString": "Patient"}, {"name": "_type", "valueString": "Encounter"}]
    for parameters, media in ((comma, "application/fhir+json"), (apart, "application/json")):
        body = json.dumps({"resourceType": "Parameters", "parameter": parameters})
        found = export(bulk, group_kick_off, "POST", content=body, headers={"content-type": media})
        assert found.lines == wanted.lines
        assert found.manifest["request"] == sandbox.base_url + group_kick_off
    assert export(bulk, f"{group_kick_off}?_type=Patient,Encounter", "POST").lines == wanted.lines


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceType":"Parameters","parameter":' + b'[{"part":' * 3000 + b"[]" + b"}]" * 3000 + b"}",
        b'{"resourceType":"Parameters","id":"\xff"}',
        b"{",
    ],
    ids=["too deep", "no UTF-8", "no JSON"],
)
def test_a_body_that_cannot_be_read_is_refused(bulk: httpx.Client, body: bytes) -> None:
    answer = bulk.post("/$export", content=body, headers={"content-type": "application/fhir+json"})
    assert "send a Parameters resource" in refused(answer, 400)


@pytest.mark.parametrize("kick_off", ["/$export", "/Patient/$export", "/Group/1/$export"])
def test_head_begins_no_export(bulk: httpx.Client, kick_off: str) -> None:
    answer = bulk.head(kick_off)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_patients_may_be_named_by_post_and_nobody_elses_data_goes_out(
    bulk: httpx.Client, group: dict[str, Any], export: Callable[..., Export]
) -> None:
    chosen = [member["entity"]["reference"] for member in group["member"][:2]]
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "valueReference": {"reference": name}} for name in chosen],
    }
    for path in ("/Patient/$export", f"/Group/{group['id']}/$export"):
        found = export(bulk, path, "POST", json=body)
        assert {f"Patient/{id_}" for id_ in found.ids("Patient")} == set(chosen)
        text = json.dumps(found.lines)
        assert set(re.findall(r'"(Patient/[^"/]+)"', text)) <= set(chosen)
        assert found.lines["Observation"]


def test_patients_who_are_not_there_are_refused_or_noted(
    bulk: httpx.Client, group: dict[str, Any], export: Callable[..., Export]
) -> None:
    there = group["member"][0]["entity"]["reference"]
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "valueReference": {"reference": name}} for name in (there, "Patient/nobody")],
    }
    path = f"/Group/{group['id']}/$export"
    assert "patient" in refused(bulk.post(path, json=body, headers=ASYNC))
    found = export(bulk, path, "POST", json=body, headers={"prefer": "respond-async,handling=lenient"})
    assert {f"Patient/{id_}" for id_ in found.ids("Patient")} == {there}
    assert found.lines["OperationOutcome"]
    assert "patient" in refused(bulk.get(f"{path}?patient={there}", headers=ASYNC))
    assert "patient" in refused(bulk.post("/$export", json=body, headers=ASYNC))


def test_provenance_goes_out_with_what_it_is_about(done: Export) -> None:
    names = {f"{line['resourceType']}/{line['id']}" for lines in done.lines.values() for line in lines if "id" in line}
    about = [target["reference"] for line in done.lines["Provenance"] for target in line["target"]]
    assert about
    assert all(any(target["reference"] in names for target in line["target"]) for line in done.lines["Provenance"])


def test_associated_provenance_may_be_asked_for_and_nothing_else(
    begun: Callable[..., httpx.Response], bulk: httpx.Client, group_kick_off: str, export: Callable[..., Export]
) -> None:
    assert "includeAssociatedData" in refused(begun("?includeAssociatedData=_everything"))
    plain = export(bulk, f"{group_kick_off}?_type=Encounter")
    assert set(plain.lines) == {"Encounter"}
    for value in ("LatestProvenanceResources", "RelevantProvenanceResources"):
        found = export(bulk, f"{group_kick_off}?_type=Condition&includeAssociatedData={value}")
        targets = {target["reference"] for line in found.lines.get("Provenance", ()) for target in line["target"]}
        assert targets <= {f"Condition/{id_}" for id_ in found.ids("Condition")} or any(
            name.startswith("Condition/") for name in targets
        )


def test_a_group_that_is_not_there_answers_404(bulk: httpx.Client) -> None:
    refused(bulk.get("/Group/nobody/$export", headers=ASYNC), 404)


def test_types_without_a_scope_are_left_out_or_refused_when_named(
    sandbox: Sandbox, kick_off: str, export: Callable[..., Export]
) -> None:
    some = sandbox.partner("system/Patient.rs system/Condition.rs system/Observation.r system/Group.r")
    found = export(some, kick_off)
    assert set(found.lines) == {"Patient", "Condition"}
    answer = some.get(f"{kick_off}?_type=Patient,Encounter", headers=ASYNC)
    refused(answer, 403)
    assert "system/Encounter.rs" in answer.headers["www-authenticate"]
    none = sandbox.partner("system/Group.r")
    refused(none.get(kick_off, headers=ASYNC), 403)


def test_a_granular_scope_lets_out_only_what_it_names(
    sandbox: Sandbox, kick_off: str, export: Callable[..., Export]
) -> None:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    scope = f"system/Observation.rs?category={system}|vital-signs system/Group.r"
    found = export(sandbox.partner(scope), kick_off)
    assert set(found.lines) == {"Observation"}
    for line in found.lines["Observation"]:
        assert "vital-signs" in {coding["code"] for each in line["category"] for coding in each["coding"]}


@pytest.mark.slow
def test_too_many_exports_at_once_answer_429_with_a_time_to_wait(sandbox: Sandbox) -> None:
    with sandbox.another(TORO_EXPORT_LIMIT="2", TORO_EXPORT_WORKERS="0") as other:
        client_id = sandbox.register("bulk-limit", "system/*.rs")
        client = other.partner("system/*.rs", client_id=client_id)
        begun = []
        for _ in range(3):
            begun.append(client.get("/$export?_type=Patient&_since=2999-01-01T00:00:00Z", headers=ASYNC))
        codes = [answer.status_code for answer in begun]
        for answer in begun:
            if answer.status_code == 202:
                assert client.delete(answer.headers["content-location"]).status_code == 202
    # The other server on this storage may have completed some of them meanwhile.
    assert codes[:2] == [202, 202]
    if codes[2] == 429:
        assert int(begun[2].headers["retry-after"]) > 0
        refused(begun[2], 429)


# Status


def test_a_running_export_says_how_far_it_is_and_when_to_ask_again(
    begun: Callable[..., httpx.Response], bulk: httpx.Client
) -> None:
    status = begun().headers["content-location"]
    answer = bulk.get(status, headers={"accept": "application/json"})
    if answer.status_code == 202:
        assert answer.headers["retry-after"].isdigit()
        assert re.match(r"\d+% done, \d+ resources", answer.headers["x-progress"])
        assert len(answer.headers["x-progress"]) < 100


def test_the_manifest_has_all_that_is_asked_for(done: Export, sandbox: Sandbox, kick_off: str) -> None:
    answer, manifest = done.answer, done.manifest
    assert answer.status_code == 200
    assert "application/json" in answer.headers["content-type"]
    assert {"transactionTime", "request", "requiresAccessToken", "output", "error"} <= set(manifest)
    assert datetime.fromisoformat(manifest["transactionTime"]) <= datetime.now(UTC)
    assert manifest["request"] == sandbox.base_url + kick_off
    assert manifest["requiresAccessToken"] is True
    assert manifest["error"] == []
    assert manifest["output"]
    for item in manifest["output"]:
        assert item["url"].startswith("http")
        assert item["type"]
        assert type(item["count"]) is int
        assert item["count"] > 0
    assert parsedate_to_datetime(answer.headers["expires"]) > datetime.now(UTC)


def test_status_and_files_do_not_look_at_accept(done: Export, bulk: httpx.Client) -> None:
    for accept in ("application/json", "text/html", "application/fhir+ndjson"):
        assert bulk.get(done.status, headers={"accept": accept}).status_code == 200
        url = done.manifest["output"][0]["url"]
        assert bulk.get(url, headers={"accept": accept}).headers["content-type"] == "application/fhir+ndjson"


def test_status_and_files_need_the_owners_token_and_its_scopes(
    done: Export, sandbox: Sandbox, stranger: httpx.Client
) -> None:
    poor = sandbox.partner("system/Patient.rs")
    for url in (done.status, done.manifest["output"][0]["url"]):
        refused(httpx.get(url), 401)
        refused(httpx.get(url, headers={"authorization": "Bearer nonsense"}), 401)
        refused(stranger.get(url), 404)
        refused(poor.get(url), 403)
    refused(stranger.delete(done.status), 404)
    refused(httpx.delete(done.status), 401)


def test_asking_too_often_answers_429(begun: Callable[..., httpx.Response], bulk: httpx.Client) -> None:
    status = begun("?_type=Patient").headers["content-location"]
    answers = [bulk.get(status) for _ in range(40)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert {answer.status_code for answer in answers} <= {200, 202, 429}


# Files


def test_every_line_is_a_resource_of_the_files_type_and_valid(done: Export) -> None:
    for name, lines in done.lines.items():
        assert {line["resourceType"] for line in lines} == {name}
        for line in lines[:20]:
            assert list(check(loads(json.dumps(line).encode()), DEFINITIONS)) == []
        assert len({line["id"] for line in lines}) == len(lines)
    assert len(done.ids("Patient")) >= 2


def test_a_files_lines_are_what_is_stored(done: Export, bulk: httpx.Client) -> None:
    url = next(item["url"] for item in done.manifest["output"] if item["type"] == "Observation")
    for line in bulk.get(url).content.splitlines()[:10]:
        assert bulk.get(f"/Observation/{json.loads(line)['id']}").content == line


def test_a_file_comes_compressed_where_that_is_asked_for(done: Export, bulk: httpx.Client) -> None:
    url = done.manifest["output"][0]["url"]
    plain = bulk.get(url, headers={"accept-encoding": "identity"})
    packed = bulk.get(url, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.content == packed.content
    assert plain.headers["etag"] != packed.headers["etag"]
    assert int(plain.headers["content-length"]) == len(plain.content)
    assert plain.content[-1:] == b"\n"
    assert b"\n\n" not in plain.content


def test_a_broken_download_goes_on_where_it_broke_off(done: Export, bulk: httpx.Client) -> None:
    url = next(item["url"] for item in done.manifest["output"] if item["type"] == "Observation")
    whole = bulk.get(url, headers={"accept-encoding": "identity"})
    etag = whole.headers["etag"]
    half = len(whole.content) // 2
    for range_, wanted in (
        (f"bytes={half}-", whole.content[half:]),
        ("bytes=0-9", whole.content[:10]),
        ("bytes=-7", whole.content[-7:]),
    ):
        part = bulk.get(url, headers={"range": range_, "if-range": etag})
        assert part.status_code == 206
        assert part.content == wanted
        assert part.headers["content-range"].endswith(f"/{len(whole.content)}")
    assert bulk.get(url, headers={"range": "bytes=5-", "if-range": '"other"'}).status_code == 200
    beyond = bulk.get(url, headers={"range": f"bytes={len(whole.content)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"
    packed = bulk.get(url, headers={"accept-encoding": "gzip"}).headers["etag"]
    for known in (etag, packed, f"W/{etag}", f'"other",{etag}', "*"):
        assert bulk.get(url, headers={"if-none-match": known}).status_code == 304
    assert bulk.get(url, headers={"if-none-match": '"other"'}).status_code == 200
    head = bulk.head(url, headers={"accept-encoding": "identity"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))


def test_a_file_there_is_none_of_answers_404(done: Export, bulk: httpx.Client) -> None:
    refused(bulk.get(f"{done.status}/Patient.99.ndjson"), 404)
    refused(bulk.get(f"{done.status}/..%2f..%2ftoro.db"), 404)


def test_attachments_lead_to_what_the_same_token_can_read(done: Export, bulk: httpx.Client) -> None:
    urls = [
        content["attachment"]["url"]
        for line in done.lines["DocumentReference"]
        for content in line["content"]
        if "url" in content["attachment"]
    ]
    assert urls
    for url in urls[:3]:
        assert url.startswith("http")
        assert bulk.get(url).status_code == 200
    assert "Binary" not in done.lines


# Delete


def test_a_deleted_export_is_gone(begun: Callable[..., httpx.Response], bulk: httpx.Client) -> None:
    status = begun().headers["content-location"]
    assert bulk.delete(status, headers={"accept": "application/json"}).status_code == 202
    refused(bulk.get(status), 404)
    refused(bulk.delete(status), 404)


def test_a_complete_export_may_be_deleted_with_its_files(
    bulk: httpx.Client, sandbox: Sandbox, export: Callable[..., Export]
) -> None:
    found = export(bulk, "/$export?_type=Patient")
    folder = sandbox.folder / "exports" / found.status.rpartition("/")[2]
    assert folder.is_dir()
    assert bulk.delete(found.status).status_code == 202
    refused(bulk.get(found.manifest["output"][0]["url"]), 404)
    assert not folder.exists()


# Patients, Groups, and what they need beside their own


def test_the_patients_of_a_group_are_its_members_exactly(
    bulk: httpx.Client, group: dict[str, Any], export: Callable[..., Export]
) -> None:
    found = export(bulk, f"/Group/{group['id']}/$export")
    assert {f"Patient/{id_}" for id_ in found.ids("Patient")} == {
        member["entity"]["reference"] for member in group["member"]
    }
    assert set(found.lines) >= GROUP_TYPES


def test_everything_an_export_refers_to_among_supporting_types_is_in_it(done: Export) -> None:
    names = {f"{line['resourceType']}/{line['id']}" for lines in done.lines.values() for line in lines if "id" in line}
    text = json.dumps(done.lines)
    pattern = r'"reference": "((?:Organization|Practitioner|PractitionerRole|Location|Medication|Specimen)/[^"/]+)"'
    referred = set(re.findall(pattern, text))
    assert referred
    assert referred <= names


# Time


def test_the_next_export_since_the_transaction_time_has_exactly_the_rest(
    sandbox: Sandbox, bulk: httpx.Client, export: Callable[..., Export], patient: str
) -> None:
    writer = sandbox.partner("system/*.cruds")
    body = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient}"},
    }
    before = writer.post("/Observation", json=body).json()["id"]
    first = export(bulk, "/$export?_type=Observation")
    assert before in first.ids("Observation")
    after = {writer.post("/Observation", json=body).json()["id"] for _ in range(3)}
    since = first.manifest["transactionTime"]
    second = export(bulk, f"/$export?_type=Observation&_since={since}")
    assert second.ids("Observation") == after
    third = export(bulk, f"/$export?_type=Observation&_since={second.manifest['transactionTime']}")
    assert third.manifest["output"] == []
    until = export(bulk, f"/$export?_type=Observation&_until={since}")
    assert not after & until.ids("Observation")


@pytest.mark.slow
def test_deletions_since_then_are_told_as_transactions(sandbox: Sandbox, export: Callable[..., Export]) -> None:
    with sandbox.another(TORO_EXPOSE="full") as other:
        client = other.partner("system/*.cruds")
        path = f"{other.base_url}/Observation"
        body = {"resourceType": "Observation", "status": "final", "code": {"text": "gone"}}
        id_ = client.post(path, json=body).json()["id"]
        first = export(client, f"{other.base_url}/$export?_type=Observation")
        assert first.manifest["deleted"] == []
        assert client.delete(f"{path}/{id_}").status_code == 204
        second = export(
            client, f"{other.base_url}/$export?_type=Observation&_since={first.manifest['transactionTime']}"
        )
    (file,) = second.manifest["deleted"]
    assert file["type"] == "Bundle"
    (bundle,) = second.lines["Bundle"]
    assert bundle["type"] == "transaction"
    assert [entry["request"] for entry in bundle["entry"]] == [{"method": "DELETE", "url": f"Observation/{id_}"}]
    assert id_ not in second.ids("Observation")
    assert list(check(loads(json.dumps(bundle).encode()), DEFINITIONS)) == []


def test_exports_lie_in_the_sandbox_for_the_owners_eyes_alone(sandbox: Sandbox, done: Export) -> None:
    folder = sandbox.folder / "exports" / done.status.rpartition("/")[2]
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert time.time() - folder.stat().st_mtime < 300
    assert not (Path.cwd() / "exports").exists()
