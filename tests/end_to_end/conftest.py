"""A sandbox as a newcomer gets it, and a partner who knows no more of it than `sandbox.json` and the registered key say."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from toro_core.auth.signer import ASSERTION_TYPE, read_private_key

TORO = Path(sys.executable).with_name("toro")
PATIENTS = 20


def toro(*arguments: str | Path) -> str:
    """Run a `toro` command that ends by itself and return what it printed."""
    printed: str = subprocess.run([TORO, *arguments], check=True, capture_output=True, text=True).stdout
    return printed


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[str]:
    """Run a `toro` command that serves, give the last line of what it says to that, and stop it as an operator would.

    Nothing that was asked of it meanwhile may have been answered with a 500.
    """
    environ = dict(os.environ) | environment
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen([TORO, *arguments], env=environ, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            last = "curl " if arguments[0] == "sandbox" else "Toro serves "
            said = next((line for line in process.stdout if line.startswith(last)), "")
            assert said, f"toro {arguments[0]} ended with {process.wait()}"
            yield said
        finally:
            process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            try:
                status = process.wait(timeout=10)
            finally:
                process.kill()
        assert status == 0
        assert time.monotonic() - started < 8
        log.seek(0)
        assert [line for line in log if '"status":5' in line or "unforeseen" in line] == []


@dataclass
class Export:
    """An export that is complete: its manifest and the lines of its files."""

    status: str
    answer: httpx.Response
    lines: dict[str, list[dict[str, Any]]]
    """By the type that a file is said to be of, errors and deletions too."""

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = self.answer.json()
        return found

    def ids(self, resource_type: str) -> set[str]:
        return {line["id"] for line in self.lines.get(resource_type, ())}


def _export(client: httpx.Client, path: str, method: str = "GET", **more: Any) -> Export:
    """Kick an export off, wait for it as a client does, and download all of it."""
    headers = {"accept": "application/fhir+json", "prefer": "respond-async"} | more.pop("headers", {})
    begun = client.request(method, path, headers=headers, **more)
    assert begun.status_code == 202, begun.text
    status = begun.headers["content-location"]
    deadline, pause = time.monotonic() + 30, 0.02
    while (answer := client.get(status, headers={"accept": "application/json"})).status_code == 202:
        assert int(answer.headers["retry-after"]) > 0
        assert time.monotonic() < deadline
        time.sleep(pause)
        pause = min(1.0, pause * 1.4)
    assert answer.status_code == 200, answer.text
    lines: dict[str, list[dict[str, Any]]] = {}
    for file in (file for kind in ("output", "deleted", "error") for file in answer.json()[kind]):
        content = client.get(file["url"], headers={"accept": "application/fhir+ndjson"})
        assert content.status_code == 200
        assert content.text.endswith("\n")
        found = [json.loads(line) for line in content.text.removesuffix("\n").split("\n")]
        assert len(found) == file["count"]
        lines.setdefault(file["type"], []).extend(found)
    return Export(status, answer, lines)


@pytest.fixture(scope="session")
def export() -> Callable[..., Export]:
    """Return what takes an export from kick-off to its last line."""
    return _export


class Bearer(httpx.Auth):
    """Sends a token for these scopes, unless the request has an Authorization of its own."""

    def __init__(self, sandbox: Sandbox, scope: str, client_id: str) -> None:
        self._sandbox, self._scope, self._client_id = sandbox, scope, client_id

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if "authorization" not in request.headers:
            token = self._sandbox.token(self._scope, self._client_id)
            request.headers["authorization"] = f"Bearer {token}"
        yield request


@dataclass
class Sandbox:
    """A running sandbox and how to come in."""

    folder: Path
    base_url: str
    token_url: str
    client_id: str
    key_file: Path
    printed: str
    """The command line that the sandbox told its operator to try."""
    _tokens: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def jwks_file(self) -> Path:
        """The public half of the key, as a file to register."""
        path = self.folder / "jwks.json"
        private = json.loads(self.key_file.read_text())
        path.write_text(json.dumps({"keys": [{name: value for name, value in private.items() if name != "d"}]}))
        return path

    def assertion(self, *, client_id: str = "", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Sign an assertion; `claims` are put in or, where None, left out."""
        key = read_private_key(self.key_file.read_bytes())
        client_id = client_id or self.client_id
        told = {
            "iss": client_id,
            "sub": client_id,
            "aud": self.token_url,
            "exp": int(time.time()) + 200,
            "jti": os.urandom(16).hex(),
        } | claims
        kept = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(kept, key.material, algorithm=key.algorithm, headers={"kid": key.kid} | (headers or {}))

    def form(self, scope: str, **changes: str | None) -> dict[str, str]:
        """Give the form of a token request; `changes` are put in or, where None, left out."""
        told = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion() if "client_assertion" not in changes else "",
            "scope": scope,
        } | changes
        return {name: value for name, value in told.items() if value is not None}

    def printed_token(self, scope: str) -> str:
        """Get a token as the documentation tells partners to: by `toro token`."""
        come_in = ("--key", self.key_file, "--client-id", self.client_id, "--token-url", self.token_url)
        return toro("token", *come_in, "--scope", scope).strip()

    def token(self, scope: str, client_id: str = "") -> str:
        """Get a token, or one got before that is still young."""
        got, token = self._tokens.get((scope, client_id), (0.0, ""))
        if time.monotonic() - got > 120 or not got:
            form = self.form(scope, client_assertion=self.assertion(client_id=client_id))
            answer = httpx.post(self.token_url, data=form)
            assert answer.status_code == 200, answer.text
            token = str(answer.json()["access_token"])
            self._tokens[scope, client_id] = (time.monotonic(), token)
        return token

    def partner(self, scope: str, *, client_id: str = "", base_url: str = "") -> httpx.Client:
        """Make a client of the FHIR API that has these scopes; it is closed with the sandbox."""
        auth = Bearer(self, scope, client_id)
        client = httpx.Client(base_url=base_url or self.base_url, auth=auth, timeout=60)
        return self._stack.enter_context(client)

    def register(self, client_id: str, *scopes: str) -> str:
        """Register a client of the same key, as an operator does beside the running server, and return its id."""
        asked = ("--id", client_id, "--jwks", self.jwks_file, "--scope", " ".join(scopes))
        self.operate("client", "add", client_id, *asked)
        return client_id

    def operate(self, *arguments: str | Path) -> str:
        """Run a command beside the running server, on its storage."""
        return toro(*arguments, "--config", self.folder / "toro.toml")

    @contextmanager
    def another(self, **settings: str) -> Iterator[Sandbox]:
        """Run another server on the same storage, with these settings."""
        with running("serve", "--config", str(self.folder / "toro.toml"), "--port", "0", **settings) as said:
            base_url, token_url = re.findall(r"http://[^\s,;]+", said)
            other = replace(self, base_url=base_url, token_url=token_url, _tokens={}, _stack=ExitStack())
            try:
                yield other
            finally:
                other.close()

    def close(self) -> None:
        """Hang up, so that the server need not wait for its clients when it is stopped."""
        self._stack.close()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("partner") / "sandbox"
    with running("sandbox", str(folder), "--port", "0", "--patients", str(PATIENTS)) as printed:
        facts = json.loads((folder / "sandbox.json").read_text())
        sandbox = Sandbox(
            folder=folder,
            base_url=facts["base_url"],
            token_url=facts["token_url"],
            client_id=facts["client_id"],
            key_file=Path(facts["key"]),
            printed=printed,
        )
        try:
            yield sandbox
        finally:
            sandbox.close()


@pytest.fixture(scope="session")
def neighbour(sandbox: Sandbox) -> Iterator[Sandbox]:
    """A second server on the same storage, which has little patience with slow clients and little room for bodies."""
    settings = {"TORO_HEADER_TIMEOUT": "1", "TORO_BODY_TIMEOUT": "1", "TORO_MAX_BODY": "1MiB"}
    with sandbox.another(**settings) as neighbour:
        yield neighbour


@pytest.fixture(scope="session")
def partner(sandbox: Sandbox) -> httpx.Client:
    """A client of the FHIR API that may do all that is exposed."""
    return sandbox.partner("system/*.cruds")


@pytest.fixture(scope="session")
def records() -> dict[str, dict[str, Any]]:
    """What the sandbox was filled with, by `Type/id`."""
    from toro_core.synthetic import generate

    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in generate(PATIENTS)}


@pytest.fixture(scope="session")
def patient(records: dict[str, dict[str, Any]]) -> str:
    """The id of a patient who has encounters in 2024."""
    return next(
        str(record["subject"]["reference"]).removeprefix("Patient/")
        for record in records.values()
        if record["resourceType"] == "Encounter" and record["period"]["start"].startswith("2024")
    )
