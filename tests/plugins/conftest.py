"""Empty schemas of a PostgreSQL server for the tests of its plugin."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator

import pytest

psycopg = pytest.importorskip("psycopg")


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
