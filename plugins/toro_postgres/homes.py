"""Where resources are and at which version: the rows that a transaction locks to write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from toro_core.storage import Key
from toro_postgres.keys import text
from toro_postgres.reader import Database
from toro_postgres.schema import Connection

__all__ = ["Home", "lock_homes", "set_homes"]

_INSERT = (
    "INSERT INTO home (tid, id, rid, place, version, deleted)"
    " SELECT tid, id, nextval('resource_rid'), 0, 0, true FROM unnest(%s::integer[], %s::bytea[]) AS k(tid, id)"
    " ON CONFLICT (tid, id) DO NOTHING RETURNING tid, id, rid"
)
_LOCK = "SELECT rid, place, version, deleted FROM home WHERE tid = %s AND id = %s FOR UPDATE"
_SHARE = "SELECT rid, place, version, deleted FROM home WHERE tid = %s AND id = %s FOR SHARE"
_UPDATE = "UPDATE home SET place = %s, version = %s, deleted = %s WHERE tid = %s AND id = %s"
# A cluster updates what it distributes one by one.
_UPDATE_ALL = (
    "UPDATE home h SET place = k.place, version = k.version, deleted = k.deleted"
    " FROM unnest(%s::bigint[], %s::bigint[], %s::boolean[], %s::integer[], %s::bytea[]) AS k(place, version, deleted, tid, id)"
    " WHERE h.tid = k.tid AND h.id = k.id"
)


@dataclass(frozen=True, slots=True)
class Home:
    """A resource's row; `version` is 0 where it has never been stored. `place` is where its current version is."""

    tid: int
    rid: int
    place: int
    version: int
    deleted: bool

    @property
    def is_live(self) -> bool:
        """Tell whether there is a current version that is not a tombstone."""
        return not self.deleted

    def at(self, version: int, *, deleted: bool) -> Home:
        """Return the row with another current version."""
        return replace(self, version=version, deleted=deleted)


async def lock_homes(
    connection: Connection, database: Database, written: Sequence[Key], targets: Sequence[Key] = ()
) -> dict[Key, Home]:
    """Lock the rows of resources that are written, making them where they are missing, and of those that must not be deleted.

    New rows go in at once and in order, the others are locked one by one in order, so that transactions seldom wait in a circle.
    """
    names, found = database.names, dict[Key, Home]()
    keys = sorted(dict.fromkeys(written))
    tids = {key.type: names.type(key.type) or 0 for key in (*keys, *targets)}
    by_row = {(tids[key.type], text(key.id)): key for key in keys}
    rows = sorted(by_row)
    cursor = await connection.execute(_INSERT.encode(), ([tid for tid, _ in rows], [id for _, id in rows]))
    async for tid, id, rid in cursor:
        found[by_row[tid, bytes(id)]] = Home(tid, rid, 0, 0, True)
    await _lock(connection, _LOCK, [key for key in keys if key not in found], tids, found)
    await _lock(connection, _SHARE, sorted({*targets} - found.keys()), tids, found)
    for key in targets:
        found.setdefault(key, Home(tids[key.type], 0, 0, 0, True))
    return found


async def set_homes(connection: Connection, database: Database, homes: Sequence[tuple[Key, Home]]) -> None:
    """Keep what the rows, each of which is locked, have become."""
    rows = [(home.place, home.version, home.deleted, home.tid, text(key.id)) for key, home in homes]
    if rows and not database.is_cluster:
        await connection.execute(_UPDATE_ALL.encode(), [list(column) for column in zip(*rows, strict=True)])
    elif rows:
        await connection.cursor().executemany(_UPDATE.encode(), rows)


async def _lock(
    connection: Connection, statement: str, keys: Sequence[Key], tids: dict[str, int], found: dict[Key, Home]
) -> None:
    if not keys:
        return
    cursor = connection.cursor()
    # Sent at once, executed one by one.
    await cursor.executemany(statement.encode(), [(tids[key.type], text(key.id)) for key in keys], returning=True)
    for key in keys:
        row = await cursor.fetchone()
        if row is not None:
            found[key] = Home(tids[key.type], *row)
        cursor.nextset()
