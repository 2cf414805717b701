"""Versions by key."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence

from toro_core.errors import NotFound
from toro_core.storage import HistoryPlan, Key, Page, Stored
from toro_postgres.feeds import first_seq_after
from toro_postgres.keys import text
from toro_postgres.reader import Reader
from toro_postgres.sql import Sql, rows

__all__ = ["history", "read", "read_many"]

# Homes and versions lie in different shards, so that the home is found first.
_HOME = "WITH h AS MATERIALIZED (SELECT rid, place, version FROM home WHERE tid = %s AND id = %s AND version > 0) "
_CURRENT = (
    _HOME + "SELECT v.version, v.seq, v.at, v.deleted, v.json"
    " FROM h JOIN version v ON v.rid = h.rid AND v.version = h.version AND v.place = h.place"
)
_VERSION = (
    _HOME + "SELECT v.version, v.seq, v.at, v.deleted, v.json FROM h JOIN version v ON v.rid = h.rid AND v.version = %s"
)
_MANY = (
    "WITH h AS MATERIALIZED (SELECT k.n, o.rid, o.place, o.version FROM unnest(%s::integer[], %s::bytea[]) WITH ORDINALITY"
    " AS k(tid, id, n) JOIN home o ON o.tid = k.tid AND o.id = k.id)"
    " SELECT h.n, v.version, v.seq, v.at, v.deleted, v.json"
    " FROM h JOIN version v ON v.rid = h.rid AND v.version = h.version AND v.place = h.place"
)
_NEWEST = 2**63 - 1
_CHUNK = 100


async def read(reader: Reader, key: Key, version: int | None) -> Stored:
    """Return the current version or the given one. Raises NotFound."""
    tid = await _type(reader, key.type)
    found = []
    if version is None:
        found = await rows(reader.connection, Sql(_CURRENT, (tid, text(key.id))))
    elif version <= _NEWEST:
        found = await rows(reader.connection, Sql(_VERSION, (tid, text(key.id), version)))
    if not found:
        raise NotFound(f"{key} does not exist" if version is None else f"{key} has no version {version}")
    return Stored(key, *found[0])


async def read_many(reader: Reader, keys: Sequence[Key]) -> list[Stored | None]:
    """Return the current versions in the order of the keys."""
    tids = [await _type(reader, key.type) for key in keys]
    found: list[Stored | None] = [None] * len(keys)
    for n, *row in await rows(reader.connection, Sql(_MANY, (tids, [text(key.id) for key in keys]))):
        version, seq, at, deleted, json = row
        found[n - 1] = Stored(keys[n - 1], version, seq, at, deleted, json)
    return found


async def history(reader: Reader, key: Key, plan: HistoryPlan) -> Page:
    """Return a resource's versions, newest first; the cursor is the last one's number."""
    tid = await _type(reader, key.type)
    below = _NEWEST if plan.cursor is None else int(plan.cursor[0] or 0)
    found: list[Stored] = []
    size = 0
    while True:
        statement = Sql(_HOME, (tid, text(key.id))) + _narrowed(plan, below)
        chunk = await rows(reader.connection, statement + Sql(" LIMIT %s", (min(plan.limit + 1 - len(found), _CHUNK),)))
        for version, seq, at, deleted, json in chunk:
            size += len(json)
            if found and (len(found) >= plan.limit or size > plan.max_bytes):
                return Page(resources=found, cursor=(found[-1].version,))
            found.append(Stored(key, version, seq, at, deleted, json))
            below = version
        if not chunk or len(found) > plan.limit:
            break
    if not found and plan.cursor is None:
        await read(reader, key, None)
    return Page(resources=found, cursor=None)


def _narrowed(plan: HistoryPlan, below: int) -> Sql:
    statement = Sql(
        "SELECT v.version, v.seq, v.at, v.deleted, v.json FROM h JOIN version v ON v.rid = h.rid WHERE v.version < %s",
        (below,),
    )
    if plan.since is not None:
        statement += Sql(" AND v.at >= %s", (plan.since,))
    if plan.until is not None:
        statement += Sql(" AND v.at < %s", (plan.until,))
    if plan.current_after is not None:
        statement += (
            Sql(" AND (v.ended_seq IS NULL OR v.ended_seq >= ") + first_seq_after(plan.current_after) + Sql(")")
        )
    return statement + Sql(" ORDER BY v.version DESC")


async def _type(reader: Reader, name: str) -> int | None:
    names = reader.database.names
    if names.type(name) is None:
        await names.refresh(reader.connection)
    return names.type(name)
