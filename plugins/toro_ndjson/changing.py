"""Commits, new rows and state records, as work on a staging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from toro_core.errors import (
    AlreadyExists,
    ConditionChanged,
    Gone,
    NotFound,
    PreconditionFailed,
    StateConflict,
    StillReferenced,
    TargetMissing,
)
from toro_core.storage import Absent, Expect, Indexed, Key, Stored, Version, Write, stamp
from toro_ndjson.layout import type_file
from toro_ndjson.records import Entry, Reindexed
from toro_ndjson.rows import encoded, plain
from toro_ndjson.staging import Staging, now

__all__ = ["commit", "delete_state", "put_state", "reindex"]

_REFERRERS: Final = 10
"""Referrers named at most."""


def commit(staging: Staging, writes: Sequence[Write]) -> list[Stored]:
    """Write all, or raise what the contract says."""
    _check_before(staging, writes)
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
        _expect(write.expect, key, numbers[key], live[key])
        if write.body is None and not live[key]:
            raise Gone if numbers[key] else NotFound
        numbers[key] += 1
        live[key] = write.body is not None
        json = None if write.body is None else stamp(write.body, numbers[key], at)
        entries.append(Entry(key, numbers[key], json, None if json is None else encoded(write.rows)))
    staging.write(seq, at, entries)
    _check_after(staging, writes)
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
    _expect_revision(staging, key, if_revision)
    return staging.put(key, value, None if ttl is None else now() + round(ttl * 1000))


def delete_state(staging: Staging, key: str, if_revision: int | None) -> bool:
    """Delete a state record; False where there is none."""
    _expect_revision(staging, key, if_revision)
    if staging.state(key) is None:
        return False
    staging.put(key, None, None)
    return True


def _expect_revision(staging: Staging, key: str, if_revision: int | None) -> None:
    record = staging.state(key)
    if if_revision is not None and if_revision != (record.revision if record else 0):
        raise StateConflict


def _check_before(staging: Staging, writes: Sequence[Write]) -> None:
    for condition in (condition for write in writes for condition in write.conditions):
        found = staging.holding(condition.type, condition.criterion)
        if found != ([] if condition.finds is None else [condition.finds]):
            raise ConditionChanged


def _check_after(staging: Staging, writes: Sequence[Write]) -> None:
    for target in (target for write in writes for target in write.targets):
        if staging.head(target) is None:
            raise TargetMissing(str(target))
    for write in writes:
        if write.unreferenced and (referrers := _referrers(staging, write.key)):
            raise StillReferenced(str(write.key), referrers[:_REFERRERS])


def _referrers(staging: Staging, target: Key) -> list[str]:
    found = {
        str(key): None
        for key, rows in staging.referring(target)
        if key != target and any((row[1], row[2]) == target for row in plain(rows).get("references", ()))
    }
    return list(found)


def _expect(expect: Expect, key: Key, number: int, live: bool) -> None:
    match expect:
        case Absent() if live:
            raise AlreadyExists(f"{key} exists; update it instead")
        case Version(expected) if not live or number != expected:
            raise PreconditionFailed(f"{key} is not at version {expected}; read it again and repeat the change")
