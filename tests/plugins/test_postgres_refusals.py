"""What an operator reads where a database cannot be used as it is."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from toro_core.errors import StorageError, Unsupported
from toro_core.plugins import upkeep
from toro_core.storage import GivesScratch
from toro_core.testing.making import write
from toro_postgres import open_postgres
from toro_postgres.address import parameters

psycopg = pytest.importorskip("psycopg")

_ACCESS = """
local all all trust
host all toro 127.0.0.1/32 trust
host all outside 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""


@pytest.fixture(scope="module")
def guarded(new_servers: Callable[..., Any]) -> str:
    """The address of a server that asks for passwords."""
    server = new_servers()
    server.initialize()
    (server.folder / "data" / "pg_hba.conf").write_text(_ACCESS)
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in (
            "CREATE ROLE reader LOGIN PASSWORD 's3cret'",
            "CREATE ROLE outside LOGIN PASSWORD 's3cret'",
            "CREATE DATABASE closed",
            "CREATE DATABASE filled",
            "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
            "CREATE ROLE careful LOGIN PASSWORD 's3cret'",
            "ALTER ROLE careful SET default_transaction_read_only = on",
        ):
            connection.execute(statement)
    return f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://reader:wr0ng@{}/postgres", "refuses the user or the password"),
        ("postgresql://nobody:s3cret@{}/postgres", "refuses the user or the password"),
        ("postgresql://reader@{}/postgres", "asks for a password; give it by PGPASSWORD"),
        ("postgresql://outside:s3cret@{}/postgres", r"look at its pg_hba\.conf"),
        ("postgresql://reader:s3cret@{}/nosuch", "does not have the database; create it"),
        ("postgresql://reader:s3cret@{}/closed", "GRANT CONNECT"),
        ("postgresql://careful:s3cret@{}/postgres", "default_transaction_read_only"),
        ("postgresql://reader:s3cret@{}/postgres?sslmode=require", "agree on TLS"),
        ("postgresql://reader:s3cret@{}/postgres", "needs CREATE on the schema"),
        ("postgresql://reader:s3cret@{}/postgres?options=-csearch_path%3Dnosuch", "search_path names does not exist"),
        ("postgresql://reader:s3cret@127.0.0.1:1/postgres", "does not answer; .*whether the server runs"),
        ("postgresql://reader:s3cret@127.0.0.1:1,{}/nosuch", "does not have the database"),
        ("postgresql://reader:s3/cret@{}/postgres", "%40 %3A %2F"),
        ("postgresql://reader:s3@cret@{}/postgres", "%40 %3A %2F"),
    ],
)
async def test_why_a_database_cannot_be_opened_is_said(
    guarded: str, url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    with pytest.raises(StorageError, match=said) as caught:
        async with open_postgres(url.format(guarded)):
            pass
    for part in ("s3", "cret", "wr0ng", "reader", "127.0.0.1"):
        assert part not in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert not re.search(r"s3.?cret|wr0ng", shown.replace(url.format(guarded), "")), "a traceback tells the password"


async def test_who_may_only_read_may_open_what_is_there_and_write_nothing(guarded: str) -> None:
    owner = f"postgresql://toro@{guarded}/filled"
    async with open_postgres(owner) as storage:
        await storage.commit([write("a")])
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    reader = f"postgresql://reader:s3cret@{guarded}/filled"
    async with open_postgres(reader) as storage:
        with pytest.raises(StorageError, match="may not do this"):
            await storage.commit([write("b")])
    care = upkeep(reader)
    assert isinstance(care, GivesScratch)
    with pytest.raises(StorageError, match="CREATE on the database"):
        async with care.scratch(reader):
            pass


async def test_a_server_that_is_too_old_is_refused(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toro_postgres.connecting.OLDEST", 99)
    with pytest.raises(Unsupported, match=r"PostgreSQL \d+ is too old; Toro needs 99 or later"):
        async with open_postgres(f"postgresql://toro@{guarded}/postgres"):
            pass


def test_a_machine_that_vanished_is_noticed_in_seconds_unless_the_url_says_otherwise() -> None:
    given = parameters("postgresql://db1,db2:5433/toro")
    assert (given["host"], given["target_session_attrs"]) == ("db1,db2", "read-write")
    silence = int(given["keepalives_idle"]) + int(given["keepalives_interval"]) * int(given["keepalives_count"])
    assert silence <= 15
    assert int(given["tcp_user_timeout"]) <= 15_000
    assert parameters("postgresql://db/toro?connect_timeout=60")["connect_timeout"] == "60"
    assert parameters("postgresql://db/toro?target_session_attrs=primary")["target_session_attrs"] == "primary"
