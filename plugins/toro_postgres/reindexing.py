"""New index rows for versions that stay as they are."""

from __future__ import annotations

from collections.abc import Sequence

from toro_core.storage import Indexed, Key, Rows
from toro_postgres.homes import Home, lock_homes, set_homes
from toro_postgres.keys import text
from toro_postgres.reader import Database
from toro_postgres.schema import Connection
from toro_postgres.sheet import COLUMNS, Sheet, insert
from toro_postgres.sql import Row
from toro_postgres.versions import known

__all__ = ["reindex"]

_AT = b"SELECT at FROM resource WHERE rid = %s AND place = %s"
_TAKE = f"DELETE FROM version WHERE rid = %s AND version = %s AND place = %s RETURNING {', '.join(COLUMNS['version'])}"  # noqa: S608


async def reindex(connection: Connection, database: Database, indexed: Sequence[Indexed]) -> None:
    """Replace the rows of live resources that are still at their version."""
    # The last one given for a resource counts.
    wanted: dict[Key, tuple[int, Rows]] = {each.key: (each.version, each.rows) for each in indexed}
    homes = await lock_homes(connection, database, list(wanted))
    current = {key: homes[key] for key in wanted if homes[key].is_live and homes[key].version == wanted[key][0]}
    before = await known(connection, [(home.rid, home.place) for home in current.values()])
    sheet, moved, versions = Sheet(), list[tuple[Key, Home]](), list[Row]()
    for key, home in current.items():
        rows = wanted[key][1]
        row = await (await connection.execute(_AT, (home.rid, home.place))).fetchone()
        if row is None:
            continue
        entry = database.entries.entry(key, rows)
        sort = row[0] * 1000 if rows.sort is None else rows.sort
        sheet.put((home.rid, home.tid, text(key.id), home.version, row[0]), sort, entry, before.get(home.rid))
        if entry.place != home.place:
            # In another compartment by now: the version goes with its index rows.
            taken = await connection.execute(_TAKE.encode(), (home.rid, home.version, home.place))
            versions += [(entry.place, *version[1:]) async for version in taken]
            moved.append((key, Home(home.tid, home.rid, entry.place, home.version, home.deleted)))
    await insert(connection, "version", versions)
    await sheet.apply(connection)
    await set_homes(connection, database, moved)
