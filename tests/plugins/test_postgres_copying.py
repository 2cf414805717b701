"""What the plugin copies in PostgreSQL's binary format is what PostgreSQL reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

psycopg = pytest.importorskip("psycopg")

from toro_postgres.copying import copy  # noqa: E402 - without the driver it cannot be imported

_UUIDS = st.uuids().map(lambda each: each.hex)
_INTEGERS = st.integers(-(2**31), 2**31 - 1)
_BYTES = st.binary(max_size=300)
_COLUMNS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "a": ("bigint", st.none() | st.integers(-(2**63), 2**63 - 1)),
    "b": ("integer", _INTEGERS),
    "c": ("smallint", st.integers(-(2**15), 2**15 - 1)),
    "d": ("boolean", st.booleans()),
    "e": ("float8", st.floats(allow_nan=False)),
    "f": ("uuid", _UUIDS),
    "g": ("bytea", st.none() | _BYTES),
    "h": ("jsonb", st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"))).map(json.dumps)),
    "i": ("integer[]", st.lists(_INTEGERS, max_size=5)),
    "j": ("uuid[]", st.lists(_UUIDS, max_size=5)),
    "k": ("bytea[]", st.lists(_BYTES, max_size=5)),
}
_TYPES = {name: type for name, (type, _) in _COLUMNS.items()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(*(values for _, values in _COLUMNS.values())), max_size=4), times=st.sampled_from((1, 600))
)
async def test_rows_that_are_copied_are_those_that_are_read(
    new_postgres: Callable[[], str], rows: list[tuple[Any, ...]], times: int
) -> None:
    columns = ", ".join(f"{name} {type}" for name, type in _TYPES.items())
    async with await psycopg.AsyncConnection.connect(new_postgres(), autocommit=True) as connection:
        await connection.execute(f"CREATE TEMPORARY TABLE copied (n serial, {columns})")
        await copy(connection, "copied", _TYPES, rows * times)
        selected = "a, b, c, d, e, replace(f::text, '-', ''), g, h, i, replace(j::text, '-', '')::text[], k"
        cursor = await connection.execute(f"SELECT {selected} FROM copied ORDER BY n")  # noqa: S608
        found = [tuple(row) async for row in cursor]
    assert found == [(*row[:7], json.loads(row[7]), *row[8:]) for row in rows] * times
