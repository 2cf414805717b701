"""The integration guide's own requests, from the tools its readers have: curl and Node's fetch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

SCOPE = "system/Patient.read system/Encounter.read"
HEART_RATE = {
    "resourceType": "Observation",
    "status": "final",
    "category": [
        {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"},
            ]
        }
    ],
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
    "effectiveDateTime": "2024-03-01T09:30:00Z",
    "valueQuantity": {"value": 72, "unit": "beats/minute"},
}

with_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
with_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")


def heart_rate(patient: str) -> dict[str, Any]:
    return HEART_RATE | {"subject": {"reference": f"Patient/{patient}"}}


def curl(*arguments: str) -> tuple[int, Any]:
    """Return the status and the JSON that came."""
    command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments]
    body, _, status = subprocess.run(command, check=True, capture_output=True, text=True).stdout.rpartition("\n")
    return int(status), json.loads(body)


def token_by_curl(sandbox: Sandbox, scope: str) -> dict[str, Any]:
    form = (
        "grant_type=client_credentials"
        "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        f"&client_assertion={sandbox.assertion()}&scope={scope}"
    )
    status, answer = curl("-d", form, sandbox.token_url)
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


@with_curl
def test_curl_gets_a_token_with_raw_spaces_in_its_scope(sandbox: Sandbox) -> None:
    answer = token_by_curl(sandbox, SCOPE)
    assert answer.pop("access_token")
    assert answer == {"token_type": "bearer", "expires_in": 300, "scope": SCOPE}


@with_curl
def test_curl_reads_a_patient(sandbox: Sandbox, patient: str) -> None:
    bearer = f"Authorization: Bearer {token_by_curl(sandbox, SCOPE)['access_token']}"
    status, answer = curl("-H", bearer, "-H", "Accept: application/fhir+json", f"{sandbox.base_url}/Patient/{patient}")
    assert status == 200
    assert (answer["resourceType"], answer["id"]) == ("Patient", patient)


@with_curl
def test_curl_searches_the_encounters_of_a_year(sandbox: Sandbox, patient: str, records: dict[str, Any]) -> None:
    bearer = f"Authorization: Bearer {token_by_curl(sandbox, SCOPE)['access_token']}"
    url = f"{sandbox.base_url}/Encounter?patient={patient}&date=ge2024-01-01&date=le2024-12-31"
    status, answer = curl("-H", bearer, url)
    assert status == 200
    assert {entry["resource"]["id"] for entry in answer["entry"]} == {
        record["id"]
        for record in records.values()
        if record["resourceType"] == "Encounter"
        and record["subject"]["reference"] == f"Patient/{patient}"
        and record["period"]["start"][:4] <= "2024" <= record["period"]["end"][:4]
    }
    assert answer["total"] == len(answer["entry"])


@with_curl
def test_curl_writes_a_heart_rate_with_no_headers_but_two(sandbox: Sandbox, patient: str) -> None:
    bearer = f"Authorization: Bearer {token_by_curl(sandbox, 'system/Observation.write')['access_token']}"
    body = json.dumps(heart_rate(patient))
    accept = "Accept: application/fhir+json"
    status, answer = curl("-H", bearer, "-H", accept, "-d", body, f"{sandbox.base_url}/Observation")
    assert status == 201
    assert answer["valueQuantity"] == {"value": 72, "unit": "beats/minute"}


@with_curl
def test_the_command_that_the_sandbox_prints_works_as_printed(sandbox: Sandbox) -> None:
    done = subprocess.run(["sh", "-c", sandbox.printed], check=True, capture_output=True, text=True)
    page = json.loads(done.stdout)
    assert (page["resourceType"], len(page["entry"])) == ("Bundle", 2)


NODE = """
const { token, form, base, patient, observation } = JSON.parse(process.env.GUIDE);
async function access(body) {
  const answer = await fetch(token, {
    method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body,
  });
  return (await answer.json()).access_token;
}
async function ask(path, bearer, options = {}) {
  const headers = { Authorization: `Bearer ${bearer}`, Accept: "application/fhir+json" };
  const answer = await fetch(`${base}${path}`, { headers, ...options });
  return { status: answer.status, body: await answer.json() };
}
const reader = await access(form.read);
const writer = await access(form.write);
console.log(JSON.stringify({
  patient: await ask(`/Patient/${patient}`, reader),
  encounters: await ask(`/Encounter?patient=${patient}&date=ge2024-01-01&date=le2024-12-31`, reader),
  observation: await ask("/Observation", writer, { method: "POST", body: JSON.stringify(observation) }),
}));
"""


@with_node
def test_the_fetch_of_node_reads_searches_and_writes(sandbox: Sandbox, patient: str) -> None:
    start = "grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    guide = {
        "token": sandbox.token_url,
        "form": {
            "read": f"{start}&client_assertion={sandbox.assertion()}&scope={SCOPE}",
            "write": f"{start}&client_assertion={sandbox.assertion()}&scope=system/Observation.write",
        },
        "base": sandbox.base_url,
        "patient": patient,
        "observation": heart_rate(patient),
    }
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", NODE],
        env=os.environ | {"GUIDE": json.dumps(guide)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["patient"]["status"], said["patient"]["body"]["id"]) == (200, patient)
    assert said["encounters"]["status"] == 200
    assert said["encounters"]["body"]["total"] > 0
    assert said["observation"]["status"] == 201
    assert said["observation"]["body"]["valueQuantity"] == {"value": 72, "unit": "beats/minute"}


BULK = """
const { token, form, base } = JSON.parse(process.env.GUIDE);
const granted = await fetch(token, {
  method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: form,
});
const accessToken = (await granted.json()).access_token;
const response = await fetch(`${base}/$export?_type=Patient,Encounter,Observation`, {
  method: "GET",
  headers: {
    Authorization: `Bearer ${accessToken}`,
    Accept: "application/fhir+json",
    Prefer: "respond-async",
  },
});
const statusUrl = response.headers.get("Content-Location");
let manifest;
while (true) {
  const status = await fetch(statusUrl, { headers: { Authorization: `Bearer ${accessToken}` } });
  if (status.status === 200) { manifest = await status.json(); break; }
  if (status.status !== 202) throw new Error(`status ${status.status}`);
  await new Promise((resolve) => setTimeout(resolve, 200));
}
const found = {};
for (const file of manifest.output) {
  const content = await fetch(file.url, { headers: { Authorization: `Bearer ${accessToken}` } });
  const lines = (await content.text()).trim().split("\\n").map((line) => JSON.parse(line));
  found[file.type] = lines.map((line) => line.id);
}
console.log(JSON.stringify({ status: response.status, found }));
"""


@with_node
def test_the_fetch_of_node_exports_in_bulk(sandbox: Sandbox, records: dict[str, Any]) -> None:
    start = "grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = f"{start}&client_assertion={sandbox.assertion()}&scope=system/*.read"
    guide = {"token": sandbox.token_url, "form": form, "base": sandbox.base_url}
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", BULK],
        env=os.environ | {"GUIDE": json.dumps(guide)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["status"] == 202
    assert set(said["found"]) == {"Patient", "Encounter", "Observation"}
    for name, ids in said["found"].items():
        given = {record["id"] for record in records.values() if record["resourceType"] == name}
        assert given <= set(ids)
        assert len(ids) == len(set(ids))
