"""The tables, and how they come to be.

Postings (`token`, `reference`, `uri`) carry the resource's sort value in their key, so that one posting list is read in the order
of the answer and another is probed with one exact key. Ranges (`date`, `string`) are clustered by resource and indexed by value,
numbers and quantities (`amount`) and sort keys (`ordering`) by value alone. Types, parameters, systems, uris and units are
numbers; a reference's target is a row of `resource`, made without a version where the target is not stored.
See docs/adr/0002-storage-contract-first-cut.md and docs/adr/0012-search-in-sqlite.md.
"""

from __future__ import annotations

import sqlite3

import sqlite_utils

from toro_core.errors import Unsupported

__all__ = ["APPLICATION_ID", "LONG", "SCHEMA_VERSION", "create", "migrate", "version_of"]

APPLICATION_ID = 0x544F524F
"""Marks the file as Toro's: "TORO"."""
LONG = 366 * 86_400_000_000
"""Microseconds; a longer interval also stands in the partial index `date_long`."""

_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, at INTEGER NOT NULL)",
        "INSERT INTO clock VALUES (1, 0, 0)",
        "CREATE TABLE type (tid INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        # by_target: the sort keys are the references' targets, and not in `ordering`.
        # low_min … high_max bound how far the parameter's dates lie from the sort values of their resources.
        "CREATE TABLE param (pid INTEGER PRIMARY KEY, tid INTEGER NOT NULL, code TEXT NOT NULL,"
        " by_target INTEGER NOT NULL DEFAULT 0,"
        " low_min INTEGER, low_max INTEGER, high_min INTEGER, high_max INTEGER, UNIQUE (tid, code))",
        "CREATE TABLE value (uid INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
        "INSERT INTO value VALUES (0, '')",
        # sort is null where the resource is deleted or not stored, postings where it has none.
        "CREATE TABLE resource (rid INTEGER PRIMARY KEY, tid INTEGER NOT NULL, id TEXT NOT NULL,"
        " vid INTEGER, version INTEGER, at INTEGER, sort INTEGER, postings BLOB)",
        "CREATE UNIQUE INDEX resource_id ON resource (tid, id)",
        "CREATE INDEX resource_sort ON resource (tid, sort) WHERE sort IS NOT NULL",
        "CREATE INDEX resource_at ON resource (tid, at) WHERE sort IS NOT NULL",
        "CREATE TABLE version (vid INTEGER PRIMARY KEY, rid INTEGER NOT NULL, version INTEGER NOT NULL, seq INTEGER NOT NULL,"
        " ended_seq INTEGER, deleted INTEGER NOT NULL, at INTEGER NOT NULL, json BLOB NOT NULL)",
        "CREATE UNIQUE INDEX version_rid ON version (rid, version)",
        "CREATE TABLE token (param INTEGER, code TEXT, system INTEGER, sort INTEGER, rid INTEGER,"
        " PRIMARY KEY (param, code, system, sort, rid)) WITHOUT ROWID",
        "CREATE TABLE reference (param INTEGER, target INTEGER, sort INTEGER, rid INTEGER,"
        " PRIMARY KEY (param, target, sort, rid)) WITHOUT ROWID",
        "CREATE TABLE uri (param INTEGER, value INTEGER, sort INTEGER, rid INTEGER,"
        " PRIMARY KEY (param, value, sort, rid)) WITHOUT ROWID",
        "CREATE TABLE date (rid INTEGER, param INTEGER, low INTEGER, high INTEGER,"
        " PRIMARY KEY (rid, param, low, high)) WITHOUT ROWID",
        "CREATE INDEX date_low ON date (param, low, high)",
        f"CREATE INDEX date_long ON date (param, high) WHERE high - low > {LONG}",
        "CREATE TABLE string (rid INTEGER, param INTEGER, n INTEGER, folded TEXT, exact TEXT,"
        " PRIMARY KEY (rid, param, n)) WITHOUT ROWID",
        "CREATE INDEX string_folded ON string (param, folded)",
        # high is null where it equals low; what a resource is sorted by is in its postings too.
        "CREATE TABLE ordering (param INTEGER, low, rid INTEGER, high, PRIMARY KEY (param, low, rid)) WITHOUT ROWID",
        "CREATE INDEX ordering_high ON ordering (param, high, rid) WHERE high IS NOT NULL",
        "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, expires_at INTEGER)"
        " WITHOUT ROWID",
        "CREATE INDEX state_expires ON state (expires_at) WHERE expires_at IS NOT NULL",
    ),
    (
        # grouped: groups of rows have been under this parameter; they are in `resource.postings` alone.
        "ALTER TABLE param ADD COLUMN grouped INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE unit (nid INTEGER PRIMARY KEY, system INTEGER NOT NULL, code TEXT NOT NULL, UNIQUE (system, code))",
        # high is '' where it equals low, which is greater than every number and takes no room.
        "CREATE TABLE amount (param INTEGER, unit INTEGER, low REAL, high, rid INTEGER,"
        " PRIMARY KEY (param, unit, low, high, rid)) WITHOUT ROWID",
        "CREATE INDEX amount_wide ON amount (param, unit, high) WHERE high <> ''",
    ),
    # sparse: some resource that has a sort value may have no date under it.
    ("ALTER TABLE param ADD COLUMN sparse INTEGER NOT NULL DEFAULT 1",),
)

SCHEMA_VERSION = len(_MIGRATIONS)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty database. Raises Unsupported for an older, a newer or a foreign one."""
    version = version_of(connection)
    if 0 < version < SCHEMA_VERSION:
        raise Unsupported(
            f"the database has schema {version} and this Toro needs {SCHEMA_VERSION}; stop what uses it and run "
            "`toro storage upgrade`, which makes a backup first"
        )
    migrate(connection)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to this version's schema, in one transaction. Raises Unsupported for a newer or a foreign one."""
    if version_of(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have migrated while this one waited for the lock.
        version = version_of(connection)
        database = sqlite_utils.Database(connection)
        for number, statements in enumerate(_MIGRATIONS[version:], version + 1):
            if number == 1:
                database.execute("CREATE TABLE schema (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)")
            for statement in statements:
                database.execute(statement)
            database.execute("INSERT INTO schema VALUES (?, datetime('now'))", [number])
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema's version, 0 where there are no tables yet. Raises Unsupported for a newer or a foreign database."""
    tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()[0]
    if not tables:
        return 0
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise Unsupported("the file is another program's SQLite database; name a new file")
    version: int = connection.execute("SELECT max(version) FROM schema").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise Unsupported(
            f"the database has schema {version} and this Toro knows up to {SCHEMA_VERSION}; upgrade toro-fhir to open it"
        )
    return version
