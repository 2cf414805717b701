"""A commit, inside the writer's transaction: expectations, versions, postings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from toro_core.errors import AlreadyExists, Gone, NotFound, PreconditionFailed
from toro_core.storage import Absent, Key, Stored, Version, Write, stamp
from toro_sqlite.conditions import check_after, check_before
from toro_sqlite.rows import Sheet
from toro_sqlite.transaction import Transaction

__all__ = ["commit"]

_INSERT_VERSION = (
    "INSERT INTO version (vid, rid, version, seq, ended_seq, deleted, at, json) VALUES (?, ?, ?, ?, NULL, ?, ?, ?)"
)
_END_VERSION = "UPDATE version SET ended_seq = ? WHERE vid = ?"
_INSERT_RESOURCE = (
    "INSERT INTO resource (vid, version, at, sort, postings, rid, tid, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE_RESOURCE = "UPDATE resource SET vid = ?, version = ?, at = ?, sort = ?, postings = ? WHERE rid = ?"


class _Before(NamedTuple):
    """The resource's row; `vid` is None where it is only referred to, `sort` and `postings` where it is deleted."""

    tid: int
    rid: int | None = None
    vid: int | None = None
    version: int = 0
    sort: int | None = None
    postings: bytes | None = None


def commit(transaction: Transaction, writes: Sequence[Write]) -> list[Stored]:
    """Write all, or raise what the contract says having written some: the caller rolls back."""
    check_before(transaction.names, writes)
    seq, at = transaction.tick()
    stored = [stored for wave in _waves(writes) for stored in _write(transaction, wave, seq, at)]
    check_after(transaction.names, writes)
    return stored


def _waves(writes: Sequence[Write]) -> Iterator[list[Write]]:
    """Split where a key comes again, since its second version is written upon the first."""
    wave: list[Write] = []
    keys: set[Key] = set()
    for write in writes:
        if write.key in keys:
            yield wave
            wave, keys = [], set()
        wave.append(write)
        keys.add(write.key)
    yield wave


def _write(transaction: Transaction, writes: list[Write], seq: int, at: int) -> list[Stored]:
    connection, names = transaction.connection, transaction.names
    befores = [_before(transaction, write.key) for write in writes]
    for write, before in zip(writes, befores, strict=True):
        _check(write, before)
    # Numbers first, so that references between the resources of one commit find them.
    rids = [
        before.rid or names.reserve_resource(before.tid, write.key.id)
        for write, before in zip(writes, befores, strict=True)
    ]
    last_vid: int = connection.execute("SELECT coalesce(max(vid), 0) FROM version").fetchone()[0]
    sheet = Sheet(names)
    stored, versions, ended, inserted, updated = [], [], [], [], []
    for vid, (write, before, rid) in enumerate(zip(writes, befores, rids, strict=True), last_vid + 1):
        version = before.version + 1
        json, sort, postings = b"", None, None
        if before.sort is not None and before.postings is not None:
            sheet.remove(rid, before.sort, before.postings)
        if write.body is not None:
            json = stamp(write.body, version, at)
            sort = at * 1000 if write.rows.sort is None else write.rows.sort
            postings = sheet.add(rid, before.tid, sort, write.rows)
        deleted = write.body is None
        versions.append((vid, rid, version, seq, deleted, at, json))
        if before.vid is not None:
            ended.append((seq, before.vid))
        row = (vid, version, at, sort, postings, rid)
        if before.rid is None:
            inserted.append((*row, before.tid, write.key.id))
        else:
            updated.append(row)
        stored.append(Stored(key=write.key, version=version, seq=seq, at=at, deleted=deleted, json=json))
    for statement, rows in (
        (_INSERT_VERSION, versions),
        (_END_VERSION, ended),
        (_INSERT_RESOURCE, inserted),
        (_UPDATE_RESOURCE, updated),
    ):
        if rows:
            connection.executemany(statement, rows)
    names.inserted_reserved()
    sheet.apply(connection)
    return stored


def _before(transaction: Transaction, key: Key) -> _Before:
    tid = transaction.names.make_type(key.type)
    row = transaction.connection.execute(
        "SELECT tid, rid, vid, version, sort, postings FROM resource WHERE tid = ? AND id = ?", (tid, key.id)
    ).fetchone()
    if row is None:
        return _Before(tid)
    return _Before(*row) if row[2] is not None else _Before(tid, row[1])


def _check(write: Write, before: _Before) -> None:
    live = before.sort is not None
    if write.body is None and not live:
        if before.vid is None:
            raise NotFound(f"{write.key} does not exist")
        raise Gone(f"{write.key} is already deleted")
    match write.expect:
        case Absent() if live:
            raise AlreadyExists(f"{write.key} exists; update it instead")
        case Version(number) if not live or before.version != number:
            raise PreconditionFailed(f"{write.key} is not at version {number}; read it again and repeat the change")
