"""Commits, new rows and state records, as work on a staging."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from toro_core.judging import judge_after, judge_before, judge_revision, judge_write
from toro_core.storage import Indexed, Key, Stored, Write, stamp
from toro_ndjson.layout import type_file
from toro_ndjson.records import Entry, Reindexed
from toro_ndjson.rows import encoded
from toro_ndjson.staging import Staging, now

__all__ = ["commit", "delete_state", "put_state", "reindex"]


def commit(staging: Staging, writes: Sequence[Write]) -> list[Stored]:
    """Write all, or raise what the contract says."""
    judge_before(writes, staging)
    for type_ in {write.key.type for write in writes}:
        type_file(type_)  # a type is part of a file's name
    seq, at = staging.tick()
    numbers: dict[Key, int] = {}
    live: dict[Key, bool] = {}
    entries = []
    for write in writes:
        key = write.key
        if key not in numbers:
            last = staging.last(key)
            numbers[key], live[key] = (0, False) if last is None else (last.number, last.place is not None)
        judge_write(write, numbers[key], live[key])
        numbers[key] += 1
        live[key] = write.body is not None
        json = None if write.body is None else stamp(write.body, numbers[key], at)
        entries.append(Entry(key, numbers[key], json, None if json is None else encoded(write.rows)))
    staging.write(seq, at, entries)
    judge_after(writes, staging)
    return [
        Stored(key=each.key, version=each.number, seq=seq, at=at, deleted=each.json is None, json=each.json or b"")
        for each in entries
    ]


def reindex(staging: Staging, indexed: Sequence[Indexed]) -> None:
    """Give resources new rows."""
    staging.reindex(
        [
            Reindexed(type=key.type, id=key.id, version=version, rows=msgspec.Raw(encoded(rows)))
            for key, version, rows in indexed
        ]
    )


def put_state(staging: Staging, key: str, value: bytes, if_revision: int | None, ttl: float | None) -> int:
    """Write a state record and return its revision."""
    judge_revision(staging.state(key), if_revision)
    return staging.put(key, value, None if ttl is None else now() + round(ttl * 1000))


def delete_state(staging: Staging, key: str, if_revision: int | None) -> bool:
    """Delete a state record; False where there is none."""
    judge_revision(staging.state(key), if_revision)
    if staging.state(key) is None:
        return False
    staging.put(key, None, None)
    return True
