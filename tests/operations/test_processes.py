"""Servers as processes: how they start, refuse to, and end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

ANYWHERE = "0.0.0.0"  # noqa: S104 - what it takes to listen there is tested


def modes(folder: Path) -> dict[str, str]:
    return {
        path.name: oct(stat.S_IMODE(path.stat().st_mode))
        for path in [folder, *folder.rglob("*")]
        if not path.name.endswith(".log")
    }


def test_a_request_under_way_at_sigterm_is_answered_and_the_exit_code_is_0(stocked: Any) -> None:
    with stocked.running("serve", "--port", "0") as server:
        token = stocked.token(server.http)
        body = json.dumps({"resourceType": "Patient", "name": [{"family": "Late"}]}).encode()
        head = (
            f"POST /fhir/Patient HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nauthorization: Bearer {token}\r\n"
            f"content-type: application/fhir+json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(head.encode() + body[:20])
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert server.process.poll() is None
            client.sendall(body[20:])
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 201"), answer
        assert server.process.wait(timeout=15) == 0


def test_a_server_that_was_told_to_end_takes_no_more(stocked: Any) -> None:
    with stocked.running("serve", "--port", "0") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=15) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.http}/health/live")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_core_ends_with_0(stocked: Any, end: signal.Signals) -> None:
    with stocked.running("core", "--listen", "127.0.0.1:0") as core:
        core.process.send_signal(end)
        assert core.process.wait(timeout=15) == 0


def test_a_second_server_on_a_port_is_refused(stocked: Any) -> None:
    with stocked.running("serve", "--port", "0") as server:
        refused = stocked.toro("serve", "--port", str(server.port))
    assert refused.returncode == 1
    assert f":{server.port}" in refused.stderr
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_second_core_on_a_port_is_refused(stocked: Any) -> None:
    with stocked.running("core", "--listen", "127.0.0.1:0") as core:
        refused = stocked.toro("core", "--listen", core.grpc)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(f"Error: cannot listen at {core.grpc}")
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", [("serve",), ("facade", "--core", "127.0.0.1:1")])
def test_plain_http_beyond_loopback_is_refused(stocked: Any, command: tuple[str, ...]) -> None:
    refused = stocked.toro(*command, "--host", ANYWHERE, "--port", "0")
    assert refused.returncode == 1
    assert "--insecure" in refused.stderr


def test_who_insists_or_has_https_before_it_is_served(stocked: Any) -> None:
    for more in (("--insecure",), ("--base-url", "https://fhir.example.org")):
        with stocked.running("serve", "--host", ANYWHERE, "--port", "0", *more) as server:
            assert server.process.poll() is None


def test_plain_grpc_beyond_loopback_is_refused(stocked: Any) -> None:
    for command in (
        ("core", "--listen", "0.0.0.0:0"),
        ("serve", "--port", "0", "--grpc", "0.0.0.0:0"),
        ("facade", "--core", "core.example.org:9090", "--port", "0"),
        ("import", "synthetic.ndjson", "--core", "core.example.org:9090", "--token", "x", "--config", os.devnull),
    ):
        refused = stocked.toro(*command)
        assert refused.returncode == 1, command
        assert "core_tls_certificate" in refused.stderr


def test_half_a_certificate_is_refused(stocked: Any) -> None:
    refused = stocked.toro("core", "--listen", "127.0.0.1:0", TORO_CORE_TLS_CERTIFICATE="server.pem")
    assert refused.returncode == 1
    assert "core_tls_key" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("serve", "--nope"), 2),
        (("core", "extra"), 2),
        (("facade",), 2),
        (("core", "--listen", "nowhere"), 1),
        (("core", "--storage", "nosuch://x"), 1),
        (("core", "--config", "gone.toml"), 1),
    ],
)
def test_wrong_usage_is_told_apart_from_failure(stocked: Any, arguments: tuple[str, ...], code: int) -> None:
    done = stocked.toro(*arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_what_holds_records_is_for_its_owner_alone(place: Any, synthetic: list[dict[str, Any]]) -> None:
    (place.folder / "in.json").write_text(json.dumps(synthetic[0]))
    storage = f"sqlite:///{place.folder}/data/toro.db"
    old = os.umask(0o000)
    try:
        assert place.toro("import", "in.json", TORO_STORAGE=storage).returncode == 0
        with place.running("serve", "--port", "0", TORO_STORAGE=storage):
            found = modes(place.folder / "data")
    finally:
        os.umask(old)
    assert found.pop("data") == "0o700"
    assert set(found) >= {"toro.db", "toro.db-wal", "toro.db-shm"}
    assert set(found.values()) == {"0o600"}


def test_the_line_that_says_where_names_no_file(stocked: Any) -> None:
    with stocked.running("core", "--listen", "127.0.0.1:0") as core:
        assert re.fullmatch(r"Toro core at 127\.0\.0\.1:\d+ on sqlite; stop with Ctrl-C\n", core.said)
