from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner, Result

from toro_core.auth.authority import Authority
from toro_core.auth.signer import new_client_key
from toro_core.commands.client import client
from toro_core.commands.token import token
from toro_core.errors import ToroError
from toro_core.plugins import open_storage


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    private, public = new_client_key()
    (tmp_path / "client.jwk").write_text(json.dumps(private))
    (tmp_path / "public.json").write_text(json.dumps({"keys": [public]}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORO_STORAGE", f"sqlite:///{tmp_path / 'toro.db'}")
    return tmp_path


def _client(*arguments: str) -> Result:
    return CliRunner().invoke(client, arguments)


def _add(*arguments: str) -> Result:
    scopes = [] if "--scope" in arguments else ["--scope", "system/Patient.rs system/Observation.read"]
    return _client("add", "Lab portal", "--jwks", "public.json", *scopes, *arguments)


def test_the_hand_over_sheet_says_what_the_partner_needs(folder: Path) -> None:
    result = _add("--id", "lab", "--base-url", "https://fhir.example.org", "--expires", "2999-01-31")
    assert result.exit_code == 0, result.output
    sheet = dict(line.split(":", 1) for line in result.output.splitlines())
    kid = json.loads((folder / "public.json").read_text())["keys"][0]["kid"]
    assert sheet["FHIR base"].strip() == "https://fhir.example.org/fhir"
    assert sheet["Token URL (= aud)"].strip() == "https://fhir.example.org/auth/token"
    assert sheet["Client id"].strip() == "lab"
    assert sheet["Scopes"].strip() == "system/Patient.rs system/Observation.read"
    assert sheet["Key ids"].strip() == f"{kid} (ES384)"
    assert sheet["Registered until"].strip().startswith("2999-01-31")
    assert _client("show", "lab", "--base-url", "https://fhir.example.org").output == result.output


def test_clients_are_listed_suspended_resumed_and_revoked(folder: Path) -> None:
    _add("--id", "lab")
    _add("--id", "app")
    assert _client("list").output == "app\tactive\tLab portal\nlab\tactive\tLab portal\n"
    assert _client("suspend", "lab").exit_code == 0
    assert "lab\tsuspended" in _client("list").output
    assert _client("resume", "lab").exit_code == 0
    assert _client("revoke", "lab").exit_code == 0
    assert "lab\trevoked" in _client("list").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scope", "user/Patient.rs"), "user/Patient.rs"),
        (("--id", "two words"), "client id"),
        (("--expires", "2001-01-01"), "expired"),
        (("--jwks", "absent.json"), "absent.json"),
        (("--jwks", "client.jwk"), "private key"),
        (("--jwks", "http://partner.example/jwks"), "https"),
    ],
)
def test_wrong_usage_exits_with_2_and_registers_nothing(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    result = _add(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert _client("list").output == ""


def test_an_id_that_is_taken_or_unknown_fails(folder: Path) -> None:
    _add("--id", "lab")
    for result in (_add("--id", "lab"), _client("revoke", "nobody"), _client("show", "nobody")):
        assert isinstance(result.exception, ToroError)


def test_a_jwks_url_that_does_not_answer_yet_is_a_warning(folder: Path) -> None:
    result = _client("add", "Late", "--jwks", "http://127.0.0.1:1/jwks", "--scope", "system/Patient.rs", "--id", "late")
    assert result.exit_code == 0
    assert "Warning: the JWKS URL cannot be reached" in result.stderr
    assert "late\tactive" in _client("list").output


class Endpoint(BaseHTTPRequestHandler):
    """A token endpoint on a real authority, or one that answers what the test put into `canned`."""

    storage = ""
    canned: tuple[int, bytes] | None = None

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        status, body = self.canned or asyncio.run(self._exchange(form))
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    async def _exchange(self, form: dict[str, list[str]]) -> tuple[int, bytes]:
        url = f"http://{self.headers['host']}/auth/token"
        async with open_storage(self.storage) as storage:
            authority = Authority(storage, issuer=url, audience=url)
            try:
                issued = await authority.exchange(form["client_assertion"][0], form["scope"][0].split(), url)
            except ToroError as error:
                return 400, json.dumps({"error": error.reason.lower(), "error_description": str(error)}).encode()
            assert (await authority.verify(issued.access_token)).client_id == "lab"
            answer = {"access_token": issued.access_token, "scope": " ".join(issued.scopes), "token_type": "bearer"}
            return 200, json.dumps(answer).encode()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def endpoint(folder: Path) -> Iterator[tuple[str, type[Endpoint]]]:
    handler = type("Handler", (Endpoint,), {"storage": f"sqlite:///{folder / 'toro.db'}"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/auth/token", handler
        server.shutdown()
        thread.join()


def _token(url: str, *arguments: str, scope: str = "system/Patient.rs") -> Result:
    options = ["--key", "client.jwk", "--client-id", "lab", "--token-url", url, "--scope", scope]
    return CliRunner().invoke(token, [*options, *arguments])


def test_token_prints_an_access_token_and_nothing_else(endpoint: tuple[str, type[Endpoint]]) -> None:
    _add("--id", "lab")
    result = _token(endpoint[0])
    assert result.exit_code == 0, result.output
    assert result.stdout.count(".") == 2
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


def test_token_says_what_was_not_granted(endpoint: tuple[str, type[Endpoint]]) -> None:
    _add("--id", "lab")
    result = _token(endpoint[0], scope="system/Patient.rs system/Encounter.rs")
    assert result.exit_code == 0
    assert "system/Encounter.rs; granted: system/Patient.rs" in result.stderr


def test_token_fails_with_the_reason_the_server_gives(endpoint: tuple[str, type[Endpoint]]) -> None:
    _add("--id", "lab")
    refused = _token(endpoint[0], scope="system/Encounter.rs")
    assert refused.exit_code == 1
    assert "invalid_scope: none of the requested scopes is granted" in refused.stderr
    unknown = _token(endpoint[0], "--client-id", "nobody")
    assert unknown.exit_code == 1
    assert "invalid_client: the client could not be authenticated" in unknown.stderr


@pytest.mark.parametrize("canned", [(200, b"<html>"), (200, b"{}"), (500, b"oops"), (404, b"[]")])
def test_token_fails_where_no_token_endpoint_answers(
    endpoint: tuple[str, type[Endpoint]], canned: tuple[int, bytes]
) -> None:
    endpoint[1].canned = canned
    result = _token(endpoint[0])
    assert result.exit_code == 1
    assert "is it the token endpoint?" in result.stderr


def test_token_fails_where_nothing_listens(folder: Path) -> None:
    result = _token("http://127.0.0.1:1/auth/token")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--key", "absent.jwk"), "absent.jwk"),
        (("--key", "public.json"), "public key"),
        (("--token-url", "http://fhir.example.org/auth/token"), "in the clear"),
        (("--token-url", "ftp://fhir.example.org/"), "https"),
        (("--token-url", "nonsense"), "https"),
    ],
)
def test_token_exits_with_2_on_wrong_usage(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    result = _token("http://127.0.0.1:1/auth/token", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
