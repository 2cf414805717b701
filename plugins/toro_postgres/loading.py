"""Versions of another storage, taken over as they are."""

from __future__ import annotations

from collections.abc import Sequence

from toro_core.errors import NotFound, Unsupported
from toro_core.storage import Key, Loading, Stored
from toro_postgres.clock import lock_clock
from toro_postgres.homes import Home, lock_homes
from toro_postgres.reader import Database, Reader
from toro_postgres.reads import read
from toro_postgres.schema import Connection
from toro_postgres.versions import New, put

__all__ = ["load"]


async def load(connection: Connection, database: Database, versions: Sequence[Loading]) -> None:
    """Take over what is not there yet. Raises Unsupported where the storage holds anything else."""
    homes = await lock_homes(connection, database, [loading.stored.key for loading in versions])
    clock = await lock_clock(connection)
    reader = Reader(connection, database)
    reached: dict[Key, Home] = dict(homes)
    news: list[New] = []
    for stored, rows in versions:
        before = reached[stored.key]
        if stored.version <= before.version:
            await _expect_same(reader, stored)
            continue
        if stored.seq <= clock.seq:
            raise Unsupported("the storage has commits of its own; migrate into an empty one")
        news.append(New(stored, rows))
        reached[stored.key] = before.at(stored.version, deleted=stored.deleted)
    if news:
        last = news[-1].stored
        await put(connection, database, news, homes, clock=(max(clock.seq, last.seq), max(clock.at, last.at)))


async def _expect_same(reader: Reader, stored: Stored) -> None:
    try:
        same = await read(reader, stored.key, stored.version) == stored
    except NotFound:
        same = False
    if not same:
        raise Unsupported(f"{stored.key} has another version {stored.version} here; migrate into an empty storage")
