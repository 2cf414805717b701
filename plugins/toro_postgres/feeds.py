"""Versions of many resources in commit order: scans, the feed of changes, histories of types."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from toro_core.storage import HistoryPlan, Key, Page, ScanPlan, Stored
from toro_postgres.keys import untext
from toro_postgres.reader import Reader
from toro_postgres.sql import Row, Sql, all_of, rows

__all__ = ["Batch", "first_seq_after", "history_of_types", "last_seq", "scan", "scanned"]

_COLUMNS = "v.seq, v.n, v.tid, v.id, v.version, v.at, v.deleted, v.json"
_FIRST, _MOST = 16, 1_000
_NEWEST = 2**63 - 1


class Batch(NamedTuple):
    """Some whole commits' versions; `seq` is that of the last one, None where nothing follows."""

    versions: list[Stored]
    seq: int | None


async def last_seq(reader: Reader) -> int:
    """Return the last commit's sequence, 0 where there is none."""
    (row,) = await rows(reader.connection, Sql("SELECT coalesce(max(seq), 0) FROM version"))
    return int(row[0])


async def scan(reader: Reader, plan: ScanPlan, *, every: bool = False) -> Batch:
    """Return the first batch of a scan, or of `every` version of its commits."""
    tests = await scanned(reader, plan, every=every)
    found: list[Row] = []
    after, chunk, room = (plan.after, _NEWEST), _FIRST, plan.max_bytes
    while True:
        where = all_of([Sql("(v.seq, v.n) > (%s, %s)", after), *tests])
        new = await _select(reader, where, Sql(f" ORDER BY v.seq, v.n LIMIT {chunk}"))
        found += new
        if len(new) < chunk:
            return Batch(await _stored(reader, found), None)
        for place, row in enumerate(new, len(found) - len(new)):
            room -= len(row[-1])
            if room <= 0:
                found = found[: place + 1]
                # The rest of the commit in which there was no more room.
                after = row[0], row[1]
                where = all_of([Sql("v.seq = %s AND v.n > %s", after), *tests])
                found += await _select(reader, where, Sql(" ORDER BY v.n"))
                return Batch(await _stored(reader, found), after[0])
        after = new[-1][0], new[-1][1]
        chunk = max(1, min(_MOST, room * len(found) // (plan.max_bytes - room + 1) + 1))


async def scanned(reader: Reader, plan: ScanPlan, *, every: bool = False) -> list[Sql]:
    """Tell which versions a scan has, wherever it has come to."""
    last = plan.as_of if plan.up_to is None else min(plan.as_of, plan.up_to)
    tests = [Sql("v.seq <= %s", (last,)), *await _of_types(reader, plan.types)]
    if not every:
        tests.append(Sql("(v.ended_seq IS NULL OR v.ended_seq > %s)", (plan.as_of,)))
    if plan.since is not None:
        tests.append(Sql("v.at > %s", (plan.since,)))
    return tests


async def history_of_types(reader: Reader, plan: HistoryPlan) -> Page:
    """Return versions of many resources, newest first; the cursor is the last one's place in the order."""
    tests = await _of_types(reader, plan.types)
    if plan.since is not None:
        tests.append(Sql("v.at >= %s", (plan.since,)))
    if plan.until is not None:
        tests.append(Sql("v.at < %s", (plan.until,)))
    if plan.current_after is not None:
        first = first_seq_after(plan.current_after)
        tests.append(Sql("(v.ended_seq IS NULL OR v.ended_seq >= ") + first + Sql(")"))
    found: list[Row] = []
    size, position = 0, plan.cursor or (_NEWEST, 0)
    while True:
        where = all_of([Sql("(v.seq, v.n) < (%s, %s)", tuple(position)), *tests])
        wanted = min(plan.limit + 1 - len(found), 100)
        chunk = await _select(reader, where, Sql(f" ORDER BY v.seq DESC, v.n DESC LIMIT {wanted}"))
        for row in chunk:
            size += len(row[-1])
            if found and (len(found) >= plan.limit or size > plan.max_bytes):
                return Page(resources=await _stored(reader, found), cursor=(found[-1][0], found[-1][1]))
            found.append(row)
            position = row[:2]
        if len(chunk) < wanted:
            return Page(resources=await _stored(reader, found), cursor=None)


def first_seq_after(at: int) -> Sql:
    """Select the first sequence of a time later than this one; versions replaced then or later were still current at it."""
    first = "coalesce((SELECT f.seq FROM version f WHERE f.at > %s ORDER BY f.at, f.seq LIMIT 1), %s)"
    return Sql(first, (at, _NEWEST))


async def _select(reader: Reader, where: Sql, end: Sql) -> list[Row]:
    return await rows(reader.connection, Sql(f"SELECT {_COLUMNS} FROM version v WHERE ") + where + end)


async def _of_types(reader: Reader, types: Sequence[str]) -> list[Sql]:
    if not types:
        return []
    names = reader.database.names
    if any(names.type(type) is None for type in types):
        await names.refresh(reader.connection)
    tids = [tid for type in types if (tid := names.type(type)) is not None]
    return [Sql("v.tid = ANY(%s::integer[])", (tids,))]


async def _stored(reader: Reader, found: Sequence[Row]) -> list[Stored]:
    names = reader.database.names
    if not names.types({row[2] for row in found}):
        await names.refresh(reader.connection)
    return [
        Stored(Key(names.type_name(tid), untext(id)), version, seq, at, deleted, json)
        for seq, _, tid, id, version, at, deleted, json in found
    ]
