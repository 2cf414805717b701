"""What a transaction leaves behind, by which it is known to have been committed when its connection was lost at that."""

from __future__ import annotations

import uuid
from typing import Final

from toro_postgres.clock import now
from toro_postgres.schema import Connection

__all__ = ["EVERY", "is_free", "leave", "sweep"]

EVERY: Final = 500
"""Transactions between two sweeps."""
_KEPT: Final = 3_600_000
"""Milliseconds, far more than anybody goes on asking for one."""
_SWEPT: Final = 4 * EVERY
_LATER: Final = b"SELECT at FROM receipt WHERE at < %s ORDER BY at OFFSET %s LIMIT 1"
_INSERT: Final = b"INSERT INTO receipt (id, at) SELECT %s, (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


async def leave(connection: Connection, receipt: uuid.UUID) -> None:
    """Leave a receipt in this transaction."""
    await connection.execute(_INSERT, (receipt,))


async def is_free(connection: Connection, receipt: uuid.UUID) -> bool:
    """Tell whether a transaction left no receipt; if so it takes the receipt, so that the transaction never comes to be."""
    # Waits for the transaction, should the server still be at it.
    cursor = await connection.execute(_INSERT + b" ON CONFLICT (id) DO NOTHING", (receipt,))
    if cursor.rowcount == 1:
        return True
    # Written again, for a commit that writes waits for the standbys, which may not have had the first.
    await connection.execute(b"UPDATE receipt SET at = at WHERE id = %s", (receipt,))
    return False


async def sweep(connection: Connection) -> None:
    """Delete some receipts that nobody asks for any more: more than come between two sweeps."""
    before = await now(connection) - _KEPT
    row = await (await connection.execute(_LATER, (before, _SWEPT))).fetchone()
    await connection.execute(b"DELETE FROM receipt WHERE at < %s", (before if row is None else row[0],))
