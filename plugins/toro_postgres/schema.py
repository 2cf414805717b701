"""The tables, and how they come to be.

Everything but `home`, `guard`, `state`, `receipt` and the small tables `clock` and `name` is placed by patient compartment:
`place` is in every key, so that a cluster may distribute by it and join within a shard. `home`, by id, is where a resource's
version is locked and its place found. `posting` holds one row for each value that a resource can be found by with equality; its
key carries the resource's sort value, so that a list is read in the order of the answer and another is probed with one exact key.
See docs/adr/0019-postgresql.md.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from psycopg import AsyncConnection

from toro_core.errors import Unsupported

__all__ = [
    "MIGRATIONS",
    "PLACED",
    "SCHEMA_VERSION",
    "Connection",
    "alone",
    "distribute",
    "is_cluster",
    "migrate",
    "prepared",
    "version_of",
]

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]

PLACED: dict[str, str | None] = {
    "home": "id",
    "guard": "key",
    "state": "key",
    "receipt": "id",
    "version": "place",
    "resource": "place",
    "posting": "place",
    "date": "place",
    "string": "place",
    "amount": "place",
    "ordering": "place",
    "clock": None,
    "name": None,
}
"""Every table, and the column a cluster distributes it by; None stands for a reference table, which every node has."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # Locked last in a transaction that writes versions, so that sequences are in commit order.
        "CREATE TABLE clock (one integer PRIMARY KEY CHECK (one = 1), seq bigint NOT NULL, at bigint NOT NULL)",
        "INSERT INTO clock VALUES (1, 0, 0)",
        # Types (code empty) and their parameters. low_min … high_max bound how far a parameter's dates lie from the sort values.
        "CREATE TABLE name (nid integer PRIMARY KEY, type bytea NOT NULL, code bytea NOT NULL,"
        " low_min bigint, low_max bigint, high_min bigint, high_max bigint, UNIQUE (type, code))",
        "CREATE SEQUENCE resource_rid",
        "CREATE SEQUENCE state_revision",
        "CREATE TABLE home (tid integer NOT NULL, id bytea NOT NULL, rid bigint NOT NULL, place bigint NOT NULL,"
        " version bigint NOT NULL, deleted boolean NOT NULL, PRIMARY KEY (tid, id))",
        # A row is there while a transaction that has this condition is running, and never seen by another.
        "CREATE TABLE guard (key uuid PRIMARY KEY)",
        "CREATE TABLE receipt (id uuid PRIMARY KEY, at bigint NOT NULL)",
        "CREATE INDEX receipt_at ON receipt (at)",
        # n: the version's number among those of its commit.
        "CREATE TABLE version (place bigint NOT NULL, rid bigint NOT NULL, version bigint NOT NULL, tid integer NOT NULL,"
        " id bytea NOT NULL, seq bigint NOT NULL, n integer NOT NULL, ended_seq bigint, deleted boolean NOT NULL,"
        " at bigint NOT NULL, json bytea NOT NULL, PRIMARY KEY (rid, version, place))",
        "CREATE INDEX version_seq ON version (seq, n)",
        "CREATE INDEX version_at ON version (at, seq)",
        # Current, not deleted resources. self: what postings of references to it have as value; pids and vals: its postings;
        # marks: what it is tested for and not found by; opids, lows, highs: what it is sorted by; groups: rows standing together.
        "CREATE TABLE resource (place bigint NOT NULL, rid bigint NOT NULL, tid integer NOT NULL, id bytea NOT NULL,"
        " version bigint NOT NULL, at bigint NOT NULL, sort bigint NOT NULL, self uuid NOT NULL, pids integer[] NOT NULL,"
        " vals uuid[] NOT NULL, marks uuid[] NOT NULL, opids integer[] NOT NULL, lows bytea[] NOT NULL,"
        " highs bytea[] NOT NULL, groups jsonb NOT NULL, PRIMARY KEY (rid, place))",
        "CREATE INDEX resource_id ON resource (tid, id, rid)",
        "CREATE INDEX resource_sort ON resource (tid, sort, rid)",
        "CREATE INDEX resource_at ON resource (tid, at, rid)",
        "CREATE INDEX resource_self ON resource (self)",
        "CREATE TABLE posting (place bigint NOT NULL, param integer NOT NULL, value uuid NOT NULL, sort bigint NOT NULL,"
        " rid bigint NOT NULL, PRIMARY KEY (param, value, sort, rid, place))",
        "CREATE TABLE date (place bigint NOT NULL, rid bigint NOT NULL, param integer NOT NULL, low bigint NOT NULL,"
        " high bigint NOT NULL, PRIMARY KEY (rid, param, low, high, place))",
        "CREATE INDEX date_low ON date (param, low, high)",
        "CREATE INDEX date_high ON date (param, high)",
        # exact is null in a uri's row. An index entry has a limit, so the index has a part of long texts.
        "CREATE TABLE string (place bigint NOT NULL, rid bigint NOT NULL, param integer NOT NULL, n integer NOT NULL,"
        " folded bytea NOT NULL, exact bytea, PRIMARY KEY (rid, param, n, place))",
        "CREATE INDEX string_folded ON string (param, (substring(folded, 1, 200)))",
        "CREATE TABLE amount (place bigint NOT NULL, rid bigint NOT NULL, param integer NOT NULL, n integer NOT NULL,"
        " unit uuid NOT NULL, system uuid NOT NULL, low double precision NOT NULL, high double precision NOT NULL,"
        " PRIMARY KEY (rid, param, n, place))",
        "CREATE INDEX amount_low ON amount (param, unit, low)",
        # way: 0 where value is the lowest and the highest, 1 where it is the lowest, 2 where it is the highest.
        "CREATE TABLE ordering (place bigint NOT NULL, param integer NOT NULL, value bytea NOT NULL, rid bigint NOT NULL,"
        " way smallint NOT NULL, PRIMARY KEY (param, value, rid, way, place))",
        "CREATE TABLE state (key bytea PRIMARY KEY, value bytea NOT NULL, revision bigint NOT NULL, expires_at bigint)",
        "CREATE INDEX state_expires ON state (expires_at) WHERE expires_at IS NOT NULL",
    ),
    (
        # Amounts are found by either end, in a unit or in any of a system.
        "DROP INDEX amount_low",
        "CREATE INDEX amount_low ON amount (param, unit, low, high)",
        "CREATE INDEX amount_high ON amount (param, unit, high)",
        "CREATE INDEX amount_system_low ON amount (param, system, low, high)",
        "CREATE INDEX amount_system_high ON amount (param, system, high)",
    ),
)

SCHEMA_VERSION = len(MIGRATIONS)
_LOCK = 0x544F524F
"""The advisory lock under which one process at a time migrates: "TORO"."""


async def prepared(connection: Connection) -> bytes:
    """Return the secret of a schema of this version, making one where there is none. Raises Unsupported for another."""
    return await _migrate(connection, only_new=True)


async def migrate(connection: Connection) -> None:
    """Bring the schema to this version in one transaction. Raises Unsupported for a newer one."""
    await _migrate(connection, only_new=False)


async def version_of(connection: Connection) -> int:
    """Return the schema's version, 0 where there is none."""
    return (await _version(connection))[0]


@asynccontextmanager
async def alone(connection: Connection) -> AsyncIterator[None]:
    """Run a transaction in which nobody else makes, migrates or moves tables."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        yield


async def _migrate(connection: Connection, *, only_new: bool) -> bytes:
    async with alone(connection):
        version, secret = await _version(connection)
        if version > SCHEMA_VERSION:
            raise Unsupported(
                f"the database has schema {version} and this Toro knows up to {SCHEMA_VERSION}; upgrade toro-fhir to open it"
            )
        if only_new and 0 < version < SCHEMA_VERSION:
            raise Unsupported(
                f"the database has schema {version} and this Toro works with {SCHEMA_VERSION}; run toro storage upgrade"
            )
        if version == 0:
            await connection.execute(
                "CREATE TABLE toro_schema (version integer PRIMARY KEY, applied_at timestamptz NOT NULL, secret bytea NOT NULL)"
            )
            secret = secrets.token_bytes(32)
        for number, statements in enumerate(MIGRATIONS[version:], version + 1):
            await connection.execute(";\n".join(statements).encode())
            sql = "INSERT INTO toro_schema VALUES (%s, now(), %s)"
            await connection.execute(sql, (number, secret))
        if version == 0 and await is_cluster(connection):
            for statement in distribute():
                await connection.execute(statement.encode())
        return secret


def distribute(tables: Collection[str] = tuple(PLACED)) -> list[str]:
    """Say what makes these tables those of a Citus cluster."""
    together = [table for table, column in PLACED.items() if column == "place"]
    statements = [f"SELECT create_reference_table('{table}')" for table in tables if PLACED[table] is None]
    for table in tables:
        column = PLACED[table]
        if column is not None:
            beside = together[0] if table in together[1:] else "none"
            statements.append(f"SELECT create_distributed_table('{table}', '{column}', colocate_with => '{beside}')")
    return statements


async def is_cluster(connection: Connection) -> bool:
    """Tell whether this is a Citus cluster."""
    cursor = await connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'")
    return await cursor.fetchone() is not None


async def _version(connection: Connection) -> tuple[int, bytes]:
    cursor = await connection.execute("SELECT to_regclass('toro_schema') IS NOT NULL")
    row = await cursor.fetchone()
    if row is None or not row[0]:
        return 0, b""
    cursor = await connection.execute("SELECT version, secret FROM toro_schema ORDER BY version DESC LIMIT 1")
    row = await cursor.fetchone()
    return (0, b"") if row is None else (row[0], row[1])
