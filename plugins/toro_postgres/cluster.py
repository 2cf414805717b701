"""A Citus cluster: whether the tables are spread over one, and what spreads them.

Nodes of a cluster commit one after another and have no snapshot in common, so a reader may see a commit on one of them before it is
there on the next. What promises an order over everything is not promised there, unless the setting `toro.quiet` says that
nobody else writes.
"""

from __future__ import annotations

from typing import Final

from toro_core.storage import Capability
from toro_postgres.schema import PLACED, Connection, distribute, is_cluster

__all__ = ["capabilities", "is_distributed", "spread", "undistributed"]

_EVERYWHERE: Final[frozenset[Capability]] = frozenset(("transactions", "history", "state_ttl", "joins"))
_OF_ORDER: Final[frozenset[Capability]] = frozenset(("ordered_changes", "snapshot_scan"))
_DISTRIBUTED: Final = b"SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = to_regclass('version')"
_PLACED: Final = (
    b"SELECT relname FROM pg_dist_partition JOIN pg_class ON pg_class.oid = logicalrelid"
    b" WHERE relnamespace = current_schema()::regnamespace"
)
_QUIET: Final = b"SELECT lower(coalesce(current_setting('toro.quiet', true), '')) IN ('on', 'true', 'yes', '1')"


async def is_distributed(connection: Connection) -> bool:
    """Tell whether the tables are spread over a cluster; with the extension alone they are not."""
    return await is_cluster(connection) and await _told(connection, _DISTRIBUTED)


async def undistributed(connection: Connection) -> list[str]:
    """Name the tables that could be spread over a cluster and are not."""
    if not await is_cluster(connection):
        return []
    rows = await (await connection.execute(_PLACED)).fetchall()
    placed = {name for (name,) in rows}
    return [table for table in PLACED if table not in placed]


async def capabilities(connection: Connection) -> frozenset[Capability]:
    """Return what can be promised here."""
    if await is_distributed(connection) and not await _told(connection, _QUIET):
        return _EVERYWHERE
    return _EVERYWHERE | _OF_ORDER


async def spread(connection: Connection) -> None:
    """Distribute the tables with what they hold, all of them or none."""
    async with connection.transaction():
        for statement in distribute(await undistributed(connection)):
            await connection.execute(statement.encode())


async def _told(connection: Connection, sql: bytes) -> bool:
    row = await (await connection.execute(sql)).fetchone()
    return bool(row and row[0])
