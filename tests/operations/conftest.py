"""The `toro` command as an operator has it: processes, folders, files, signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from toro_core.auth.signer import ASSERTION_TYPE, new_client_key, read_private_key, sign_assertion
from toro_core.json import dumps
from toro_core.plugins import storage_schemes
from toro_core.synthetic import generate

TORO = Path(sys.executable).with_name("toro")
BASE = "https://fhir.example.org"


@dataclass
class Server:
    """A process that serves, the line by which it said so, the file its log goes to, and at the end all that it printed."""

    process: subprocess.Popen[str]
    said: str
    log: Path
    printed: str = ""

    @property
    def port(self) -> int:
        found = re.search(r":(\d+)", self.said)
        assert found, self.said
        return int(found[1])

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Place:
    """A folder in which `toro` is run, with one registered client."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "toro.db"

    @property
    def storage(self) -> str:
        return f"sqlite:///{self.database}"

    @property
    def key(self) -> Path:
        return self.folder / "client.jwk"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a command: nothing of Toro's but the storage and what is given; "" takes one out."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TORO_")}
        given = {"TORO_STORAGE": self.storage} | more
        return kept | {name: value for name, value in given.items() if value}

    def toro(
        self, *arguments: str | Path, preexec_fn: Callable[[], None] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that ends by itself."""
        return subprocess.run(
            [TORO, *arguments],
            cwd=self.folder,
            env=self.environment(**environment),
            preexec_fn=preexec_fn,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a command; its log goes to a file of its name."""
        with self.log_of(str(arguments[0])).open("a") as log:
            return subprocess.Popen(
                [TORO, *arguments],
                cwd=self.folder,
                env=self.environment(**environment),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def log_of(self, command: str) -> Path:
        return self.folder / f"{command}.log"

    @contextmanager
    def running(self, *arguments: str | Path, **environment: str) -> Iterator[Server]:
        """Run a command that serves; at the end it is stopped by SIGTERM, unless it has ended, and ends with 0."""
        with self.start(*arguments, **environment) as process:
            try:
                assert process.stdout is not None
                said = next((line for line in process.stdout if line.startswith("Toro")), "")
                assert said, f"it ended with {process.wait()}: {self.log_of(str(arguments[0])).read_text()}"
                server = Server(process, said, self.log_of(str(arguments[0])))
                yield server
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(timeout=15) == 0
                server.printed = said + process.stdout.read()
            finally:
                process.kill()

    def register(self, *scopes: str) -> None:
        """Register a client under the id `service`, with a key in `client.jwk`."""
        private, public = new_client_key()
        self.key.write_text(json.dumps(private))
        (self.folder / "jwks.json").write_text(json.dumps({"keys": [public]}))
        done = self.toro(
            *("client", "add", "Service", "--id", "service", "--jwks", "jwks.json", "--scope", " ".join(scopes))
        )
        assert done.returncode == 0, done.stderr

    def assertion(self, token_url: str) -> str:
        return sign_assertion(read_private_key(self.key.read_bytes()), client_id="service", token_url=token_url)

    def token(self, http: str, *scopes: str, token_url: str = "") -> str:
        """Get an access token at a server's door."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(token_url or f"{http}/auth/token"),
            "scope": " ".join(scopes or ("system/*.cruds",)),
        }
        answer = httpx.post(f"{http}/auth/token", data=form)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["access_token"]
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty folder."""
    return Place(tmp_path)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a database of a few patients and a client, to be copied."""
    place = Place(tmp_path_factory.mktemp("template"))
    (place.folder / "synthetic.ndjson").write_bytes(b"\n".join(map(dumps, generate(patients=3))))
    assert place.toro("import", "synthetic.ndjson", "--strict").returncode == 0
    place.register("system/*.cruds")
    return place.folder


@pytest.fixture
def stocked(template: Path, tmp_path: Path) -> Place:
    """Return a folder with a database of a few patients and a client."""
    for name in ("toro.db", "client.jwk", "synthetic.ndjson"):
        shutil.copy2(template / name, tmp_path / name)
    return Place(tmp_path)


@pytest.fixture(scope="session")
def synthetic() -> list[dict[str, Any]]:
    """Return the resources of ten patients."""
    return list(generate(patients=10))


def wait_for(what: Any, seconds: float = 20) -> None:
    """Wait until `what()` is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def new_database(postgres: str) -> Iterator[Callable[[], str]]:
    """Return what makes a new database and gives the storage URL of it."""
    import psycopg

    names: list[str] = []

    def new() -> str:
        names.append(f"toro_{uuid.uuid4().hex}")
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {names[-1]}")
        return urlsplit(postgres)._replace(path=f"/{names[-1]}").geturl()

    yield new
    if os.environ.get("TORO_TEST_POSTGRES"):  # an own server goes as a whole
        with psycopg.connect(postgres, autocommit=True) as connection:
            for name in names:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def new_storage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Return what gives the URL of a new and empty storage of a scheme; it skips where its plugin is not installed."""

    def url(scheme: str) -> str:
        if scheme not in storage_schemes():
            pytest.skip(f"the {scheme} plugin is not installed")
        if scheme == "postgresql":
            new_database: Callable[[], str] = request.getfixturevalue("new_database")
            return new_database()
        return f"{scheme}:///{tmp_path}/{uuid.uuid4().hex}" + (".db" if scheme == "sqlite" else "")

    return url
