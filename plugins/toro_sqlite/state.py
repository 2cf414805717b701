"""State records: small, compare-and-set, judged by this storage's clock."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import sqlite3

from toro_core.errors import StateConflict
from toro_core.storage import StateRecord
from toro_sqlite.names import Names
from toro_sqlite.ranges import prefix_end
from toro_sqlite.sql import Sql, execute
from toro_sqlite.transaction import Transaction, now

__all__ = ["delete_state", "get_state", "list_state", "put_state"]

_COLUMNS = "key, value, revision, expires_at"
_LIVE = "(expires_at IS NULL OR expires_at > ?)"
_SWEPT = 10
"""Expired records deleted beside each put: more than a put adds, so that they do not pile up."""


def put_state(transaction: Transaction, key: str, value: bytes, if_revision: int | None, ttl: float | None) -> int:
    """Write a record; its revision is the next of the storage's sequence, so that a key's never comes again."""
    connection = transaction.connection
    _expect(connection, key, if_revision)
    revision, _ = transaction.tick()
    moment = now()
    expires_at = None if ttl is None else moment + round(ttl * 1000)
    connection.execute(
        f"INSERT OR REPLACE INTO state ({_COLUMNS}) VALUES (?, ?, ?, ?)", (key, value, revision, expires_at)
    )
    connection.execute(
        "DELETE FROM state WHERE key IN (SELECT key FROM state WHERE expires_at <= ? AND key <> ? LIMIT ?)",
        (moment, key, _SWEPT),
    )
    return revision


def delete_state(transaction: Transaction, key: str, if_revision: int | None) -> bool:
    """Delete a record; False where there was none."""
    live = _expect(transaction.connection, key, if_revision)
    transaction.connection.execute("DELETE FROM state WHERE key = ?", (key,))
    return live


def get_state(names: Names, key: str) -> StateRecord | None:
    """Return a live record."""
    sql = f"SELECT {_COLUMNS} FROM state WHERE key = ? AND {_LIVE}"
    row = names.connection.execute(sql, (key, now())).fetchone()
    return None if row is None else _record(row)


def list_state(names: Names, prefix: str) -> list[StateRecord]:
    """Return the live records under a prefix, in key order."""
    where = Sql("key >= ?", (prefix,))
    if (end := prefix_end(prefix)) is not None:
        where += Sql(" AND key < ?", (end,))
    sql = Sql(f"SELECT {_COLUMNS} FROM state WHERE ") + where + Sql(f" AND {_LIVE} ORDER BY key", (now(),))
    return [_record(row) for row in execute(names.connection, sql)]


def _expect(connection: sqlite3.Connection, key: str, if_revision: int | None) -> bool:
    """Tell whether a live record is there; raise StateConflict where it is not at the revision expected."""
    row = connection.execute(f"SELECT revision FROM state WHERE key = ? AND {_LIVE}", (key, now())).fetchone()
    current = 0 if row is None else row[0]
    if if_revision is not None and if_revision != current:
        raise StateConflict
    return row is not None


def _record(row: tuple[str, bytes, int, int | None]) -> StateRecord:
    key, value, revision, expires_at = row
    return StateRecord(key=key, value=value, revision=revision, expires_at=expires_at)
