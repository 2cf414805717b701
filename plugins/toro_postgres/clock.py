"""The counter row that gives commits their sequence and time."""

from __future__ import annotations

from typing import NamedTuple

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
    row = await (await connection.execute(_LOCK)).fetchone()
    assert row is not None  # noqa: S101 - the schema puts it there
    moment = await now(connection)
    return Clock(row[0], row[1], max(row[1], moment))


async def set_clock(connection: Connection, seq: int, at: int) -> None:
    """Keep what the next commit comes after."""
    await connection.execute(_SET, (seq, at))


async def seal(connection: Connection) -> Watermark:
    """Return where the commits have come to; those that follow get a later time."""
    clock = await lock_clock(connection)
    await set_clock(connection, clock.seq, clock.now + 1)
    return Watermark(seq=clock.seq, at=clock.now)
