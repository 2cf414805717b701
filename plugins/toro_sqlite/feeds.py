"""Versions of many resources in commit order: scans, the feed of changes, histories of types.

`version.vid` grows in commit order and `version.at` never falls, so that both are found in it by bisection.
"""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, NamedTuple

from toro_core.storage import HistoryPlan, Key, Page, ScanPlan, Stored
from toro_sqlite.names import Names

__all__ = [
    "CURRENT",
    "Batch",
    "Walk",
    "first_after",
    "history_of_types",
    "last_seq",
    "seq_after",
    "walk_changes",
    "walk_scan",
]

_COLUMNS = "v.vid, v.seq, t.name, r.id, v.version, v.at, v.deleted, v.json"
_FROM = "FROM version v CROSS JOIN resource r ON r.rid = v.rid CROSS JOIN type t ON t.tid = r.tid"
CURRENT = "(v.ended_seq IS NULL OR v.ended_seq > ?)"
"""A version `v` was current at a sequence."""
_FIRST_CHUNK, _MOST_IN_CHUNK = 8, 1_000
_FRAME = 100
"""Bytes that a version counts beside its JSON, so that a long row of deletions is cut into batches too."""


class Batch(NamedTuple):
    """Some whole commits' versions; `vid` is the last one that was looked at, None where nothing follows."""

    versions: list[Stored]
    vid: int | None


def walk_scan(plan: ScanPlan) -> Walk:
    """Walk a scan's versions."""
    last = plan.as_of if plan.up_to is None else min(plan.as_of, plan.up_to)
    return Walk(after=plan.after, last=last, plan=plan, size=plan.max_bytes)


def walk_changes(after: int, last: int, size: int) -> Walk:
    """Walk every version of the commits after a sequence, up to another."""
    return Walk(after=after, last=last, plan=None, size=size)


def last_seq(names: Names) -> int:
    """Return the last commit's sequence, 0 where there is none."""
    row = names.connection.execute("SELECT seq FROM version ORDER BY vid DESC LIMIT 1").fetchone()
    return 0 if row is None else int(row[0])


def history_of_types(names: Names, plan: HistoryPlan) -> Page:
    """Return versions of many resources, newest first; the cursor is the last one's vid."""
    connection = names.connection
    where: list[str] = ["v.vid < ?"]
    values: list[Any] = [plan.cursor[0] if plan.cursor else 2**63 - 1]
    if plan.since is not None:
        where.append("v.vid >= ?")
        values.append(first_after(connection, "at", plan.since - 1))
    if plan.until is not None:
        where.append("v.vid < ?")
        values.append(first_after(connection, "at", plan.until - 1))
    if plan.current_after is not None:
        where.append("(v.ended_seq IS NULL OR v.ended_seq >= ?)")
        values.append(seq_after(connection, plan.current_after))
    if plan.types:
        where.append(f"t.name IN ({', '.join('?' * len(plan.types))})")
        values += plan.types
    rows = connection.execute(
        f"SELECT {_COLUMNS} {_FROM} WHERE {' AND '.join(where)} ORDER BY v.vid DESC LIMIT ?", (*values, plan.limit + 1)
    )
    found: list[Stored] = []
    size, last = 0, 0
    for row in rows:
        size += len(row[-1])
        if found and (len(found) >= plan.limit or size > plan.max_bytes):
            rows.close()
            return Page(resources=found, cursor=(last,))
        found.append(_stored(row))
        last = row[0]
    return Page(resources=found, cursor=None)


def first_after(connection: sqlite3.Connection, column: str, value: int) -> int:
    """Return the first vid whose `seq` or `at` is greater than a value, one past the last where none is."""
    # Both in one question would be answered by reading the whole table.
    ends = "SELECT (SELECT coalesce(min(vid), 1) FROM version), (SELECT coalesce(max(vid), 0) + 1 FROM version)"
    low, high = connection.execute(ends).fetchone()
    statement = f"SELECT vid, {column} FROM version WHERE vid >= ? ORDER BY vid LIMIT 1"
    while low < high:
        middle = (low + high) // 2
        vid, found = connection.execute(statement, (middle,)).fetchone()
        low, high = (low, middle) if found > value else (vid + 1, high)
    return int(low)


def seq_after(connection: sqlite3.Connection, at: int) -> int:
    """Return the first sequence of a time later than this one."""
    vid = first_after(connection, "at", at)
    row = connection.execute("SELECT seq FROM version WHERE vid >= ? ORDER BY vid LIMIT 1", (vid,)).fetchone()
    return 2**63 - 1 if row is None else int(row[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Reads the batch after a vid, from the walk's beginning where that is None; without a plan, every version."""

    after: int
    last: int
    plan: ScanPlan | None
    size: int

    def __call__(self, names: Names, vid: int | None) -> Batch:
        """Read it."""
        where, values = "v.vid > ? AND v.vid < ?", self.vids(names.connection, vid)
        if self.plan is not None:
            where += f" AND {CURRENT}"
            values = (*values, self.plan.as_of)
            if self.plan.types:
                where += f" AND t.name IN ({', '.join('?' * len(self.plan.types))})"
                values += self.plan.types
        rows = names.connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE {where} ORDER BY v.vid", values)
        return _cut(rows, self.size)

    def vids(self, connection: sqlite3.Connection, vid: int | None) -> tuple[Any, ...]:
        """Return between which vids the rest lies, neither included."""
        if vid is None:
            vid = first_after(connection, "seq", self.after) - 1
            if self.plan is not None and self.plan.since is not None:
                vid = max(vid, first_after(connection, "at", self.plan.since) - 1)
        return vid, first_after(connection, "seq", self.last)


def _cut(rows: sqlite3.Cursor, room: int) -> Batch:
    """Take whole commits until there is no more room."""
    found: list[Stored] = []
    chunk = rows.fetchmany(_FIRST_CHUNK)
    while chunk:
        found += map(_stored, chunk)
        size = sum([len(row[-1]) for row in chunk]) + _FRAME * len(chunk)
        room -= size
        last_vid, commit = chunk[-1][:2]
        if room <= 0:
            for row in rows:
                if row[1] != commit:
                    rows.close()
                    return Batch(found, last_vid)
                found.append(_stored(row))
                last_vid = row[0]
            break
        # As many as may fit, going by the last ones' size: a row at a time would cost a third more.
        chunk = rows.fetchmany(min(_MOST_IN_CHUNK, room * len(chunk) // (size + 1) + 1))
    return Batch(found, None)


def _stored(row: tuple[int, int, str, str, int, int, int, bytes]) -> Stored:
    _, seq, type_, id_, version, at, deleted, json = row
    return Stored(Key(type_, id_), version, seq, at, deleted == 1, json)
