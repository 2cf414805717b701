"""What the processes write: one JSON line a request, and nothing that a caller sent, at the most talkative level."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from toro_core.v1 import CallError, Core, CreateResourceRequest, GetResourceRequest, SearchResourcesRequest, connect

CANARY = "Kanarienvogel"
FIELDS = {"time", "request_id", "client_id", "method", "route", "status", "ms", "bytes"}
CALL_FIELDS = {"time", "request_id", "client_id", "method", "status", "ms"}


@dataclass
class Deployment:
    """A base URL, the files that hold what its processes wrote, and the files that get their standard output."""

    http: str
    place: Any
    logs: list[str]
    stack: ExitStack
    servers: list[Any]

    def end(self) -> str:
        """Stop the processes and return all that they wrote."""
        self.stack.close()
        logs = [self.place.log_of(command).read_text() for command in self.logs]
        return "".join([*logs, *(server.printed for server in self.servers)])


@pytest.fixture(params=["embedded", "split"])
def deployment(request: pytest.FixtureRequest, stocked: Any) -> Iterator[Deployment]:
    with ExitStack() as stack:
        loud = {"TORO_LOG_LEVEL": "debug"}
        if request.param == "embedded":
            server = stack.enter_context(stocked.running("serve", "--port", "0", **loud))
            yield Deployment(server.http, stocked, ["serve"], stack, [server])
        else:
            core = stack.enter_context(stocked.running("core", "--listen", "127.0.0.1:0", **loud))
            server = stack.enter_context(stocked.running("facade", "--core", core.grpc, "--port", "0", **loud))
            yield Deployment(server.http, stocked, ["facade", "core"], stack, [core, server])


def patient(**members: Any) -> bytes:
    return json.dumps({"resourceType": "Patient", "name": [{"family": CANARY}], **members}).encode()


def ask(http: str, token: str, assertion: str) -> list[httpx.Response]:
    """Make requests of every kind with the canary wherever a client can put it."""
    fhir = {"content-type": "application/fhir+json"}
    answers = []
    with httpx.Client(base_url=http, headers={"authorization": f"Bearer {token}"}) as client:

        def send(method: str, path: str, **more: Any) -> httpx.Response:
            answers.append(client.request(method, path, **more))
            return answers[-1]

        created = send("POST", "/fhir/Patient", content=patient(), headers=fhir)
        assert created.status_code == 201, created.text
        where = created.headers["location"].partition("/_history")[0].partition("/fhir/")[2]
        send("GET", f"/fhir/{where}", headers={"x-request-id": f"{CANARY} {CANARY}", "user-agent": CANARY})
        send("PUT", f"/fhir/{where}", content=patient(id=where.partition("/")[2]), headers=fhir)
        send("PUT", f"/fhir/{where}", content=patient(), headers=fhir)
        send("GET", f"/fhir/{where}/_history")
        send("GET", f"/fhir/Patient/{CANARY}")
        send("GET", f"/fhir/{CANARY}/1")
        send("GET", f"/{CANARY}")
        send("GET", "/fhir/Patient", params={"name": CANARY})
        send("GET", "/fhir/Patient", params={CANARY: "1"})
        send("GET", "/fhir/Patient", params={"birthdate": CANARY})
        send("GET", "/fhir/Patient", params={"_page": CANARY})
        send("POST", "/fhir/Patient/_search", data={"name": CANARY})
        send("POST", "/fhir/Patient", content=f'{{"resourceType":"Patient","{CANARY}":"{CANARY}"', headers=fhir)
        send("POST", "/fhir/Patient", content=patient(colour=CANARY, birthDate=CANARY, gender=CANARY), headers=fhir)
        send("POST", "/fhir/Patient", content=patient(), headers={"content-type": f"text/{CANARY}"})
        send("GET", "/fhir/Patient", headers={"accept": f"application/{CANARY}"})
        send("GET", "/fhir/Patient", headers={"prefer": f"handling={CANARY}", "if-none-match": CANARY})
        send("GET", f"/fhir/{where}", headers={"authorization": f"Bearer {CANARY}"})
        send("GET", f"/fhir/{where}", headers={"authorization": CANARY})
        send("DELETE", f"/fhir/{where}")
        send("POST", "/auth/token", data={"grant_type": CANARY, "client_assertion": CANARY, "scope": CANARY})
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": f"{CANARY}.{CANARY}.{CANARY}",
            "scope": f"system/{CANARY}.rs",
        }
        send("POST", "/auth/token", data=form)
        send("POST", "/auth/token", data=form | {"client_assertion": assertion})
        send("GET", "/health/ready")
        send("GET", "/fhir/metadata")
    assert not [answer for answer in answers if answer.status_code >= 500], answers
    return answers


def lines(place: Any, command: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.log_of(command).read_text().splitlines()]


def access_lines(place: Any, command: str) -> list[dict[str, Any]]:
    return [line for line in lines(place, command) if "route" in line]


def test_nothing_a_client_sent_is_logged_and_each_request_is_one_line(deployment: Deployment) -> None:
    place = deployment.place
    token = place.token(deployment.http)
    assertion = place.assertion(f"https://{CANARY}.example.org/auth/token")
    answers = ask(deployment.http, token, assertion)
    written = deployment.end()
    for secret in (CANARY, CANARY.lower(), token, token.rpartition(".")[2], assertion.rpartition(".")[2]):
        assert secret not in written
    [_, *requests] = access_lines(place, deployment.logs[0])  # the first is the one that got the token
    assert all(set(line) == FIELDS for line in requests)
    assert [line["request_id"] for line in requests] == [answer.headers["x-request-id"] for answer in answers]
    assert [line["status"] for line in requests] == [answer.status_code for answer in answers]
    assert [line["bytes"] for line in requests] == [len(answer.content) for answer in answers]
    assert {line["client_id"] for line in requests} == {"service", ""}
    assert {"/fhir/Patient", "/fhir/Patient/{id}", "/auth/token"} <= {line["route"] for line in requests}
    assert {line["level"] for line in lines(place, deployment.logs[0]) if "level" in line} <= {"info", "warning"}
    if "core" in deployment.logs:
        calls = [line for line in lines(place, "core") if "method" in line]
        assert calls
        assert all(set(line) == CALL_FIELDS for line in calls)
        told = [line["request_id"] for line in calls]
        assert set(told) >= {line["request_id"] for line in requests if line["client_id"]}


async def test_a_core_logs_nothing_that_its_callers_send(stocked: Any) -> None:
    with stocked.running("core", "--listen", "127.0.0.1:0", TORO_LOG_LEVEL="debug") as core:
        async with connect(core.grpc) as client:
            metadata = (("authorization", f"Bearer {CANARY}"), ("x-request-id", f"{CANARY} x"), ("x-more", CANARY))
            for call in calls(client, metadata):
                with pytest.raises(CallError):
                    await call
    written = stocked.log_of("core").read_text() + core.printed
    assert CANARY not in written
    told = [line for line in lines(stocked, "core") if "method" in line]
    assert [(line["method"], line["status"]) for line in told] == [
        ("GetResource", "UNAUTHENTICATED"),
        ("CreateResource", "UNAUTHENTICATED"),
        ("SearchResources", "UNAUTHENTICATED"),
    ]


def calls(core: Core, metadata: Any) -> list[Any]:
    search = SearchResourcesRequest(resource_type=CANARY)
    search.parameters.add(code=CANARY, values=[CANARY])
    return [
        core.GetResource(GetResourceRequest(name=CANARY), metadata=metadata),
        core.CreateResource(CreateResourceRequest(resource_type="Patient", json=patient()), metadata=metadata),
        core.SearchResources(search, metadata=metadata),
    ]
