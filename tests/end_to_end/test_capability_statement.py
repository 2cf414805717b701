"""What /metadata says, judged by R4's definition of a CapabilityStatement and by what clients look for in it."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from toro_core.definitions import load
from toro_core.json import loads
from toro_core.validation.structure import check

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
TYPE_PARAMETERS = {"composite", "date", "number", "quantity", "reference", "string", "token", "uri"}


@pytest.fixture(scope="module")
def answer(sandbox: Sandbox) -> httpx.Response:
    """The statement as anybody gets it: without a token."""
    return httpx.get(f"{sandbox.base_url}/metadata")


@pytest.fixture(scope="module")
def statement(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200
    found = answer.json()
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def resources(statement: dict[str, Any]) -> list[dict[str, Any]]:
    found = statement["rest"][0]["resource"]
    assert isinstance(found, list)
    return found


def test_it_is_valid_r4(answer: httpx.Response) -> None:
    assert list(check(loads(answer.content), load())) == []


def test_it_keeps_the_invariants_of_its_definition(statement: dict[str, Any], resources: list[dict[str, Any]]) -> None:
    assert statement["rest"]  # cpb-1
    assert {"description", "software", "implementation"} & set(statement)  # cpb-2
    assert statement["kind"] == "instance"
    assert statement["implementation"]["description"]  # cpb-15
    assert [rest["mode"] for rest in statement["rest"]] == ["server"]  # cpb-8
    types = [resource["type"] for resource in resources]
    assert len(types) == len(set(types))  # cpb-9
    for resource in resources:
        names = [parameter["name"] for parameter in resource["searchParam"]]
        assert len(names) == len(set(names))  # cpb-12
        codes = [interaction["code"] for interaction in resource["interaction"]]
        assert len(codes) == len(set(codes))


def test_it_says_what_it_is_and_since_when(statement: dict[str, Any], sandbox: Sandbox) -> None:
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["status"] == "active"
    assert statement["fhirVersion"] == "4.0.1"
    assert {"application/fhir+json", "json"} <= set(statement["format"])
    assert statement["implementation"]["url"] == sandbox.base_url
    assert datetime.datetime.fromisoformat(statement["date"]) < datetime.datetime.now(datetime.UTC)
    assert statement["software"]["version"]


def test_it_names_the_token_url_as_smart_clients_look_for_it(statement: dict[str, Any], sandbox: Sandbox) -> None:
    security = statement["rest"][0]["security"]
    (service,) = security["service"]
    assert service["coding"][0]["code"] == "SMART-on-FHIR"
    (uris,) = (extension for extension in security["extension"] if extension["url"].endswith("/oauth-uris"))
    assert {part["url"]: part["valueUri"] for part in uris["extension"]} == {"token": sandbox.token_url}
    assert uris["url"] == "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


def test_it_lists_the_us_core_profiles_of_what_it_serves(resources: list[dict[str, Any]]) -> None:
    profiles = {profile for resource in resources for profile in resource.get("supportedProfile", ())}
    assert f"{US_CORE}us-core-patient" in profiles
    assert sum(profile.startswith(US_CORE) for profile in profiles) > 15


def test_it_names_no_guide_before_a_test_has_read_that_guide(statement: dict[str, Any]) -> None:
    read = {"http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data": "test_bulk_checklist.py"}
    assert set(statement["instantiates"]) == set(read)
    assert all((Path(__file__).parent / module).is_file() for module in read.values())


def test_every_search_parameter_it_lists_has_a_known_type_and_definition(resources: list[dict[str, Any]]) -> None:
    for resource in resources:
        for parameter in resource["searchParam"]:
            assert parameter["type"] in TYPE_PARAMETERS
            assert re.match(r"http://hl7\.org/fhir/(us/core/)?SearchParameter/[\w-]+$", parameter["definition"])


SAMPLES = {
    "composite": "a$2024",
    "number": "1",
    "quantity": "1",
    "date": "2024-01-31",
    "reference": "Patient/1",
    "string": "a",
    "token": "true",
    "uri": "http://example.org/a",
    # By name: its first part is a reference.
    "relationship": "DocumentReference/1$appends",
}


def test_every_search_parameter_it_lists_is_answered(resources: list[dict[str, Any]], partner: httpx.Client) -> None:
    refused = {}
    for resource in resources:
        for parameter in resource["searchParam"]:
            sample = SAMPLES.get(parameter["name"]) or SAMPLES[parameter["type"]]
            query = {parameter["name"]: sample, "_count": "1"}
            answer = partner.get(resource["type"], params=query)
            if answer.status_code != 200:
                refused[f"{resource['type']}.{parameter['name']}"] = answer.text
    assert refused == {}


def test_what_it_does_not_list_is_refused(resources: list[dict[str, Any]], partner: httpx.Client) -> None:
    every = {parameter["name"] for resource in resources for parameter in resource["searchParam"]}
    for resource in resources[::6]:
        for name in sorted(every - {parameter["name"] for parameter in resource["searchParam"]}):
            assert partner.get(resource["type"], params={name: "2024"}).status_code == 400, (resource["type"], name)


def test_every_shall_search_of_us_core_is_listed(resources: list[dict[str, Any]]) -> None:
    known = {resource["type"]: {parameter["name"] for parameter in resource["searchParam"]} for resource in resources}
    path = Path(__file__).parents[3] / "shared" / "spec" / "us-core-6.1.0-must-support.json"
    if not path.exists():
        pytest.skip("the list of US Core's searches is not beside the repository: ../shared/spec")
    groups = [group for group in json.loads(path.read_bytes())["groups"] if group["resource"] in known]
    searches = [(group["resource"], search) for group in groups for search in group["searches"]]
    demanded = {
        (name, code) for name, search in searches if search["expectation"] == "SHALL" for code in search["names"]
    }
    assert len(demanded) > 40
    assert {(name, code) for name, code in demanded if code not in known[name]} == set()


def test_it_can_be_cached_and_is_anybodys_to_read(answer: httpx.Response, sandbox: Sandbox) -> None:
    assert answer.headers["access-control-allow-origin"] == "*"
    url, etag = f"{sandbox.base_url}/metadata", answer.headers["etag"]
    assert httpx.get(url, headers={"if-none-match": etag}).status_code == 304
    assert httpx.get(url, headers={"if-none-match": 'W/"other"'}).status_code == 200
    head = httpx.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize("mode", ["full", "normative", "terminology"])
def test_it_answers_in_every_mode(sandbox: Sandbox, mode: str) -> None:
    assert httpx.get(f"{sandbox.base_url}/metadata?mode={mode}").json()["resourceType"] == "CapabilityStatement"


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("", "*/*", "application/fhir+json; charset=utf-8"),
        ("", "application/json", "application/json; charset=utf-8"),
        ("_format=json", "text/html", "application/fhir+json; charset=utf-8"),
        ("_format=application/json", "*/*", "application/json; charset=utf-8"),
        ("", "text/html", ""),
        ("_format=ttl", "*/*", ""),
    ],
)
def test_it_comes_in_the_format_asked_for_or_not_at_all(
    sandbox: Sandbox, query: str, accept: str, expected: str
) -> None:
    found = httpx.get(f"{sandbox.base_url}/metadata?{query}", headers={"accept": accept})
    if expected:
        assert (found.status_code, found.headers["content-type"]) == (200, expected)
    else:
        assert (found.status_code, found.json()["resourceType"]) == (406, "OperationOutcome")


def test_its_addresses_are_those_the_client_came_by(sandbox: Sandbox) -> None:
    port = urlsplit(sandbox.base_url).port
    found = httpx.get(f"http://localhost:{port}/fhir/metadata").json()
    assert found["implementation"]["url"] == f"http://localhost:{port}/fhir"
    assert f"http://localhost:{port}/auth/token" in str(found["rest"][0]["security"])


def test_a_name_that_is_not_the_servers_own_is_not_believed(sandbox: Sandbox) -> None:
    found = httpx.get(f"{sandbox.base_url}/metadata", headers={"host": "evil.example"})
    assert found.status_code == 400
    assert "evil" not in found.text
