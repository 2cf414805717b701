"""The counter row that gives commits their sequence and time."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

from psycopg import Pipeline

from toro_core.storage import Watermark
from toro_postgres.schema import Connection

__all__ = ["Clock", "lock_clock", "now", "seal", "set_clock"]

_NOW = b"SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_LOCK = b"SELECT seq, at FROM clock WHERE one = 1 FOR UPDATE"
_SET = b"UPDATE clock SET seq = %s, at = %s WHERE one = 1"


class Clock(NamedTuple):
    """The last commit's sequence, the least time the next may have, and the time it gets."""

    seq: int
    at: int
    now: int


async def now(connection: Connection) -> int:
    """Return the server's time in milliseconds since 1970 UTC; it is the same for every process."""
    row = await (await connection.execute(_NOW)).fetchone()
    assert row is not None  # noqa: S101 - it has no FROM
    return int(row[0])


async def lock_clock(connection: Connection) -> Clock:
    """Lock the counter until the transaction ends, and read it."""
    # Sent at once, executed one after the other: the time is that of who has the lock.
    async with connection.pipeline() if Pipeline.is_supported() else nullcontext():
        cursor, later = await connection.execute(_LOCK), await connection.execute(_NOW)
    row, moment = await cursor.fetchone(), await later.fetchone()
    assert row is not None  # noqa: S101 - the schema puts it there
    assert moment is not None  # noqa: S101 - it has no FROM
    return Clock(row[0], row[1], max(row[1], int(moment[0])))


async def set_clock(connection: Connection, seq: int, at: int) -> None:
    """Keep what the next commit comes after."""
    await connection.execute(_SET, (seq, at))


async def seal(connection: Connection) -> Watermark:
    """Return where the commits have come to; those that follow get a later time."""
    clock = await lock_clock(connection)
    await set_clock(connection, clock.seq, clock.now + 1)
    return Watermark(seq=clock.seq, at=clock.now)
