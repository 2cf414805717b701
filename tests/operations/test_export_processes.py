"""Exports between processes: core and facade apart, the process that does the work, and its death."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

BASE = "https://fhir.example.org"
ASYNC = {"prefer": "respond-async"}


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def complete(client: httpx.Client, here: str, status: str, seconds: float = 30) -> dict[str, Any]:
    """Wait for an export whose addresses are BASE's, at this server."""
    deadline = time.monotonic() + seconds
    while (answer := client.get(status.replace(BASE, here))).status_code in (202, 429):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def workers(server: int) -> list[int]:
    """Return the processes that a server has started."""
    return [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


def test_a_core_and_a_facade_apart_export_as_one_process_does(stocked: Any) -> None:
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    with (
        stocked.running("core", "--listen", "127.0.0.1:0", "--base-url", BASE) as core,
        stocked.running("facade", "--core", core.grpc, "--port", port, "--base-url", BASE),
    ):
        token = stocked.token(here, "system/*.rs", token_url=f"{BASE}/auth/token")
        with httpx.Client(headers={"authorization": f"Bearer {token}"}) as client:
            begun = client.get(f"{here}/fhir/$export?_type=Patient,Observation", headers=ASYNC)
            assert begun.status_code == 202
            manifest = complete(client, here, begun.headers["content-location"])
            ids = set()
            for file in manifest["output"]:
                url = file["url"].replace(BASE, here)
                whole = client.get(url).content
                assert whole.count(b"\n") == file["count"]
                assert client.get(url, headers={"range": "bytes=7-"}).content == whole[7:]
                ids.update(re.findall(rb'^\{"resourceType":"\w+","id":"([^"]+)"', whole, re.MULTILINE))
    assert {id_.decode() for id_ in ids} == {
        id_
        for type_, id_ in re.findall(
            r'^\{"resourceType":"(\w+)","id":"([^"]+)"', (stocked.folder / "synthetic.ndjson").read_text(), re.MULTILINE
        )
        if type_ in ("Patient", "Observation")
    }


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
@pytest.mark.parametrize("end", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_the_process_that_works_ends_with_its_server_however_that_ends(stocked: Any, end: signal.Signals) -> None:
    with stocked.running("serve", "--port", "0") as server:
        bearer = {"authorization": f"Bearer {stocked.token(server.http, 'system/*.rs')}"}
        with httpx.Client(headers=bearer, base_url=server.http) as client:
            begun = client.get("/fhir/$export?_type=Patient", headers=ASYNC)
            complete(client, server.http, begun.headers["content-location"])
        (worker,) = workers(server.process.pid)
        server.process.send_signal(end)
        server.process.wait(timeout=15)
        deadline = time.monotonic() + 5
        while _runs(worker):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_a_worker_that_is_killed_is_replaced_and_the_export_is_complete_within_a_minute(stocked: Any) -> None:
    with stocked.running("serve", "--port", "0") as server:
        bearer = {"authorization": f"Bearer {stocked.token(server.http, 'system/*.rs')}"}
        with httpx.Client(headers=bearer, base_url=server.http) as client:
            first = client.get("/fhir/Patient/$export", headers=ASYNC).headers["content-location"]
            wanted = complete(client, server.http, first)
            (worker,) = workers(server.process.pid)
            os.kill(worker, signal.SIGSTOP)  # so that it cannot be done before it is killed
            status = client.get("/fhir/Patient/$export", headers=ASYNC).headers["content-location"]
            os.kill(worker, signal.SIGKILL)
            found = complete(client, server.http, status, seconds=60)
            assert [(file["type"], file["count"]) for file in found["output"]] == [
                (file["type"], file["count"]) for file in wanted["output"]
            ]


@pytest.mark.slow
def test_another_core_goes_on_where_one_was_killed_within_a_minute(stocked: Any) -> None:
    synthetic = stocked.folder / "synthetic.ndjson"
    shutil.copy2(synthetic, stocked.folder / "more.ndjson")
    settings = {"TORO_EXPORT_PROCESS": "0"}
    with (
        stocked.running("serve", "--port", "0", **settings) as one,
        stocked.running("serve", "--port", "0", **settings) as other,
    ):
        token = stocked.token(one.http, "system/*.rs")
        with httpx.Client(headers={"authorization": f"Bearer {token}"}) as client:
            begun = client.get(f"{one.http}/fhir/Patient/$export", headers=ASYNC).headers["content-location"]
            one.kill()
            token = stocked.token(other.http, "system/*.rs")
            client.headers["authorization"] = f"Bearer {token}"
            found = complete(client, other.http, begun.replace(one.http, other.http), seconds=60)
            assert {file["type"] for file in found["output"]} >= {"Patient", "Observation", "Practitioner"}
