"""`toro fetch`: this server as the other side of a bulk client, into a storage of its own."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from toro_core.plugins import open_storage
from toro_core.storage import Key

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

LINES = b"".join(b'{"resourceType":"Patient","id":"p%d","active":true}\n' % number for number in range(2000))
GONE = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [{"request": {"method": "DELETE", "url": "Patient/p7"}}],
}


@pytest.fixture(scope="module")
def toro() -> Path:
    import sys

    return Path(sys.executable).with_name("toro")


def run(toro: Path, folder: Path, *arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [toro, "fetch", *arguments, "--into", f"sqlite:///{folder}/own.db", "--folder", folder / "files"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


async def kept(folder: Path, *names: str) -> dict[str, Any]:
    """Read what the storage has of these resources; None stands for a deleted one."""
    async with open_storage(f"sqlite:///{folder}/own.db") as storage:
        stored = {name: await storage.read(Key(*name.split("/"))) for name in names}
    return {name: None if one.deleted else json.loads(one.json) for name, one in stored.items()}


def test_an_export_comes_into_a_storage(
    sandbox: Sandbox, toro: Path, records: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    come_in = ("--client-id", sandbox.client_id, "--key", sandbox.key_file)
    said = run(toro, tmp_path, sandbox.base_url, *come_in, "--type", "Patient,Organization")
    names = [name for name in records if name.startswith(("Patient/", "Organization/"))]
    found = asyncio.run(kept(tmp_path, *names))
    for name in names:
        assert found[name] | {"meta": None} == records[name] | {"meta": None}
    assert re.search(r"\d+ resources in", said)
    manifest = json.loads((tmp_path / "files" / "manifest.json").read_text())
    assert {item["type"] for item in manifest["output"]} == {"Patient", "Organization"}
    assert all((tmp_path / "files" / item["url"]).is_file() for item in manifest["output"])


def test_a_key_that_is_not_let_in_is_told_in_a_line(sandbox: Sandbox, toro: Path, tmp_path: Path) -> None:
    said = run(toro, tmp_path, sandbox.base_url, "--client-id", "nobody", "--key", sandbox.key_file, code=1)
    assert "invalid_client" in said
    assert "Traceback" not in said


class Shaky(BaseHTTPRequestHandler):
    """An open server whose exports take two looks and whose downloads break off in the middle, once each."""

    protocol_version = "HTTP/1.1"
    begun = 0
    looks = 0
    ranges: list[str] = []  # noqa: RUF012 a fresh class is made for each test
    deleted = 0

    def do_GET(self) -> None:
        base = f"http://127.0.0.1:{self.connection.getsockname()[1]}"
        if "/$export" in self.path:
            type(self).begun += 1
            self._answer(202, b"", {"content-location": f"{base}/status"})
        elif self.path == "/status":
            type(self).looks += 1
            if self.looks < 2:
                self._answer(202, b"", {"retry-after": "0", "x-progress": "half of it"})
                return
            manifest = {
                "transactionTime": "2026-01-01T00:00:00Z",
                "request": f"{base}/$export",
                "requiresAccessToken": False,
                "output": [{"type": "Patient", "url": f"{base}/files/a.ndjson", "count": 2000}],
                "deleted": [{"type": "Bundle", "url": f"{base}/files/gone.ndjson"}],
                "error": [],
            }
            self._answer(200, json.dumps(manifest).encode(), {"content-type": "application/json"})
        else:
            data = LINES if self.path.endswith("a.ndjson") else json.dumps(GONE).encode() + b"\n"
            range_ = self.headers.get("range", "")
            if data is LINES:
                self.ranges.append(range_)
            start = int(range_.removeprefix("bytes=").rstrip("-")) if range_ else 0
            self.send_response(206 if range_ else 200)
            self.send_header("content-length", str(len(data) - start))
            self.end_headers()
            cut = len(data) // 3 if data is LINES and len(self.ranges) < 3 else len(data)
            self.wfile.write(data[start : start + cut])
            if cut < len(data) - start:
                self.close_connection = True

    def do_DELETE(self) -> None:
        type(self).deleted += 1
        self._answer(202, b"", {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def shaky() -> Iterator[tuple[str, type[Shaky]]]:
    handler = type("Fresh", (Shaky,), {"ranges": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/Group/1", handler
        finally:
            server.shutdown()
            thread.join()


def test_broken_downloads_go_on_and_deletions_are_carried_out(toro: Path, tmp_path: Path) -> None:
    with shaky() as (url, server):
        said = run(toro, tmp_path, url)
        assert server.ranges[0] == ""
        assert [int(range_.removeprefix("bytes=").rstrip("-")) for range_ in server.ranges[1:]] == [
            len(LINES) // 3,
            2 * (len(LINES) // 3),
        ]
        assert (server.begun, server.deleted) == (1, 1)
    assert "half of it" in said
    assert (tmp_path / "files" / "Patient.001.ndjson").read_bytes() == LINES
    found = asyncio.run(kept(tmp_path, "Patient/p6", "Patient/p7"))
    assert found["Patient/p6"]["active"] is True
    assert found["Patient/p7"] is None


def test_a_second_run_goes_on_with_the_export_of_the_first(toro: Path, tmp_path: Path) -> None:
    with shaky() as (url, server):
        run(toro, tmp_path, url, "--keep")
        (tmp_path / "files" / "Patient.001.ndjson").rename(tmp_path / "files" / "Patient.001.ndjson.part")
        (tmp_path / "files" / "Patient.001.ndjson.part").write_bytes(LINES[:100])
        server.ranges.clear()
        server.ranges += ["", ""]
        run(toro, tmp_path, url)
        assert server.ranges[2:] == ["bytes=100-"]
        assert (server.begun, server.deleted) == (1, 1)
        assert (tmp_path / "files" / "Patient.001.ndjson").read_bytes() == LINES
