"""New versions beside those that are there, with their index rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from psycopg import Pipeline

from toro_core.storage import Key, Rows, Stored
from toro_postgres.clock import set_clock
from toro_postgres.homes import Home, set_homes
from toro_postgres.keys import text
from toro_postgres.reader import Database
from toro_postgres.schema import Connection
from toro_postgres.sheet import INDEXED, Known, Sheet, insert
from toro_postgres.sql import Row

__all__ = ["New", "known", "put"]

_END = "UPDATE version SET ended_seq = %s WHERE rid = %s AND version = %s AND place = %s"
_FEW = 20
"""Versions that are inserted and not copied."""
_ENDED = 7
"""Where ended_seq is in a version's row."""


class New(NamedTuple):
    """A version that follows its resource's last one; without `rows`, as a tombstone is, it is not indexed."""

    stored: Stored
    rows: Rows | None


async def put(
    connection: Connection, database: Database, news: Sequence[New], homes: dict[Key, Home], *, clock: tuple[int, int]
) -> None:
    """Write versions in the order they are to be found in, and what the `clock` is to have when there are any.

    `homes` are the locked rows, as they are to be.
    """
    if not news:
        return
    entries = database.entries
    last = {new.stored.key: new for new in news}
    known_rows = await known(connection, [(homes[key].rid, homes[key].place) for key in last if homes[key].place])
    places = {key: homes[key].place for key in last}
    sheet, ended = Sheet(), list[Row]()
    versions: dict[tuple[int, int], list[Any]] = {}
    n, seq = 0, 0
    for stored, rows in news:
        key, home = stored.key, homes[stored.key]
        n, seq = (n + 1 if stored.seq == seq else 0), stored.seq
        entry = None if rows is None else entries.entry(key, rows)
        before, place = places[key], places[key] if entry is None else entry.place
        replaced = versions.get((home.rid, stored.version - 1))
        if replaced is not None:
            replaced[_ENDED] = seq
        elif stored.version > 1:
            ended.append((seq, home.rid, stored.version - 1, before))
        id = text(key.id)
        versions[home.rid, stored.version] = [
            *(place, home.rid, stored.version, home.tid, id, seq, n, None, stored.deleted, stored.at, stored.json)
        ]
        places[key] = place
        if last[key].stored is stored:
            indexed = known_rows.get(home.rid)
            if entry is not None and rows is not None:
                sort = stored.at * 1000 if rows.sort is None else rows.sort
                sheet.put((home.rid, home.tid, id, stored.version, stored.at), sort, entry, indexed)
            elif indexed is not None:
                sheet.remove(home.rid, indexed)
    changed = []
    for key, new in last.items():
        home = Home(homes[key].tid, homes[key].rid, places[key], new.stored.version, new.stored.deleted)
        changed.append((key, home))
    few = len(news) <= _FEW
    # Few rows are sent at once: others wait for the clock meanwhile.
    async with connection.pipeline() if few and Pipeline.is_supported() else nullcontext():
        if ended:
            await connection.cursor().executemany(_END.encode(), ended)
        await insert(connection, "version", [tuple(row) for row in versions.values()], copied=not few)
        await sheet.apply(connection, copied=not few)
        await set_homes(connection, database, changed)
        await set_clock(connection, *clock)


async def known(connection: Connection, wanted: Sequence[tuple[int, int]]) -> dict[int, Known]:
    """Read how resources at these rids and places are indexed."""
    found: dict[int, Known] = {}
    if wanted:
        cursor = connection.cursor()
        await cursor.executemany(INDEXED.encode(), wanted, returning=True)
        for rid, _ in wanted:
            row = await cursor.fetchone()
            if row is not None:
                found[rid] = Known.of(row)
            cursor.nextset()
    return found
