"""State records: small, compare-and-set, judged by the server's clock, which is the same for every process."""

from __future__ import annotations

from toro_core.errors import StateConflict
from toro_core.storage import StateRecord
from toro_postgres.clock import now
from toro_postgres.keys import Keys, prefix_end, text, untext
from toro_postgres.schema import Connection
from toro_postgres.sql import Row

__all__ = ["delete_state", "get_state", "list_state", "put_state"]

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_LIVE = "(expires_at IS NULL OR expires_at > %s)"
_COLUMNS = "key, value, revision, expires_at"
_SWEPT = 10
"""Expired records deleted beside each put: more than a put adds, so that they do not pile up."""


async def put_state(
    connection: Connection, keys: Keys, key: str, value: bytes, if_revision: int | None, ttl: float | None
) -> int:
    """Write a record; its revision is the next of a sequence, so that a key's never comes again."""
    moment = await _lock(connection, keys, key)
    await _expect(connection, key, if_revision, moment)
    # After the lock, so that it is greater than those that were given out for the key before.
    row = await (await connection.execute(b"SELECT nextval('state_revision')")).fetchone()
    assert row is not None  # noqa: S101 - it has no FROM
    revision = int(row[0])
    expires_at = None if ttl is None else moment + round(ttl * 1000)
    await connection.execute(
        b"INSERT INTO state (key, value, revision, expires_at) VALUES (%s, %s, %s, %s) ON CONFLICT (key) DO UPDATE"
        b" SET value = excluded.value, revision = excluded.revision, expires_at = excluded.expires_at",
        (text(key), value, revision, expires_at),
    )
    return revision


async def sweep_state(connection: Connection) -> None:
    """Delete some records that have expired."""
    moment = await now(connection)
    sql = b"SELECT key FROM state WHERE expires_at <= %s LIMIT %s"
    found = await (await connection.execute(sql, (moment, _SWEPT))).fetchall()
    for (key,) in found:
        await connection.execute(b"DELETE FROM state WHERE key = %s AND expires_at <= %s", (key, moment))


async def delete_state(connection: Connection, keys: Keys, key: str, if_revision: int | None) -> bool:
    """Delete a record; False where there was none."""
    moment = await _lock(connection, keys, key)
    live = await _expect(connection, key, if_revision, moment)
    await connection.execute(b"DELETE FROM state WHERE key = %s", (text(key),))
    return live


async def get_state(connection: Connection, key: str) -> StateRecord | None:
    """Return a live record."""
    sql = f"SELECT {_COLUMNS} FROM state WHERE key = %s AND (expires_at IS NULL OR expires_at > {_NOW})"  # noqa: S608
    row = await (await connection.execute(sql.encode(), (text(key),))).fetchone()
    return None if row is None else _record(row)


async def list_state(connection: Connection, prefix: str) -> list[StateRecord]:
    """Return the live records under a prefix, in key order."""
    start = text(prefix)
    end = prefix_end(start)
    sql = f"SELECT {_COLUMNS} FROM state WHERE key >= %s AND (%s::bytea IS NULL OR key < %s::bytea)"  # noqa: S608
    sql += f" AND (expires_at IS NULL OR expires_at > {_NOW}) ORDER BY key"
    return [_record(row) async for row in await connection.execute(sql.encode(), (start, end, end))]


async def _lock(connection: Connection, keys: Keys, key: str) -> int:
    """Keep others from the record, whether there is one or not, and return the time."""
    await connection.execute(b"SELECT pg_advisory_xact_lock(%s)", (keys.place("state", key),))
    return await now(connection)


async def _expect(connection: Connection, key: str, if_revision: int | None, moment: int) -> bool:
    """Tell whether a live record is there; raise StateConflict where it is not at the revision expected."""
    sql = f"SELECT revision FROM state WHERE key = %s AND {_LIVE}"  # noqa: S608
    row = await (await connection.execute(sql.encode(), (text(key), moment))).fetchone()
    current = 0 if row is None else row[0]
    if if_revision is not None and if_revision != current:
        raise StateConflict
    return row is not None


def _record(row: Row) -> StateRecord:
    key, value, revision, expires_at = row
    return StateRecord(key=untext(key), value=value, revision=revision, expires_at=expires_at)
