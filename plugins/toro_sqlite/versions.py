"""New versions beside those that are there, inside the writer's transaction, with their index rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from toro_core.storage import Key, Rows, Stored
from toro_sqlite.rows import Sheet
from toro_sqlite.transaction import Transaction

__all__ = ["Before", "New", "current", "put", "waves"]

T = TypeVar("T")

_CURRENT = (
    "SELECT r.id, r.tid, r.rid, r.vid, r.version, r.sort, r.postings FROM json_each(?) j"
    " CROSS JOIN resource r ON r.tid = ? AND r.id = j.value"
)
_INSERT_VERSION = (
    "INSERT INTO version (vid, rid, version, seq, ended_seq, deleted, at, json) VALUES (?, ?, ?, ?, NULL, ?, ?, ?)"
)
_END_VERSION = "UPDATE version SET ended_seq = ? WHERE vid = ?"
_INSERT_RESOURCE = (
    "INSERT INTO resource (vid, version, at, sort, postings, rid, tid, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE_RESOURCE = "UPDATE resource SET vid = ?, version = ?, at = ?, sort = ?, postings = ? WHERE rid = ?"


class Before(NamedTuple):
    """A resource's row; `vid` is None where it is only referred to, `sort` and `postings` where nothing of it is indexed."""

    tid: int
    rid: int | None = None
    vid: int | None = None
    version: int = 0
    sort: int | None = None
    postings: bytes | None = None


class New(NamedTuple):
    """A version to be the current one of its resource; without `rows`, as a tombstone is, it is not indexed."""

    stored: Stored
    rows: Rows | None


def current(transaction: Transaction, keys: Sequence[Key]) -> list[Before]:
    """Look up what new versions of different resources come after."""
    ids: dict[str, list[str]] = {}
    for type_, id_ in keys:
        ids.setdefault(type_, []).append(id_)
    tids = {type_: transaction.names.make_type(type_) for type_ in ids}
    found: dict[tuple[str, str], Before] = {}
    for type_, wanted in ids.items():
        rows = transaction.connection.execute(_CURRENT, (msgspec.json.encode(wanted).decode(), tids[type_]))
        for id_, tid, rid, vid, *more in rows:
            found[type_, id_] = Before(tid, rid) if vid is None else Before(tid, rid, vid, *more)
    return [found.get(key) or Before(tids[key[0]]) for key in keys]


def waves(items: Sequence[T], key: Callable[[T], Key]) -> Iterator[list[T]]:
    """Split where a key comes again, since its second version is written upon the first."""
    wave: list[T] = []
    keys: set[Key] = set()
    for item in items:
        its_key = key(item)
        if its_key in keys:
            yield wave
            wave, keys = [], set()
        wave.append(item)
        keys.add(its_key)
    yield wave


def put(transaction: Transaction, news: Sequence[New], befores: Sequence[Before]) -> None:
    """Write versions of different resources, each upon what was before it, in the order they are to be found in."""
    connection, names = transaction.connection, transaction.names
    # Numbers first, so that references between the resources of one commit find them.
    rids = [
        before.rid or names.reserve_resource(before.tid, new.stored.key.id)
        for new, before in zip(news, befores, strict=True)
    ]
    last_vid: int = connection.execute("SELECT coalesce(max(vid), 0) FROM version").fetchone()[0]
    sheet = Sheet(names)
    versions, ended, inserted, updated = [], [], [], []
    for vid, ((stored, rows), before, rid) in enumerate(zip(news, befores, rids, strict=True), last_vid + 1):
        sort, postings = None, None
        if before.sort is not None and before.postings is not None:
            sheet.remove(rid, before.sort, before.postings)
        if rows is not None:
            sort = stored.at * 1000 if rows.sort is None else rows.sort
            postings = sheet.add(rid, before.tid, sort, rows)
        versions.append((vid, rid, stored.version, stored.seq, stored.deleted, stored.at, stored.json))
        if before.vid is not None:
            ended.append((stored.seq, before.vid))
        row = (vid, stored.version, stored.at, sort, postings, rid)
        if before.rid is None:
            inserted.append((*row, before.tid, stored.key.id))
        else:
            updated.append(row)
    for statement, values in (
        (_INSERT_VERSION, versions),
        (_END_VERSION, ended),
        (_INSERT_RESOURCE, inserted),
        (_UPDATE_RESOURCE, updated),
    ):
        if values:
            connection.executemany(statement, values)
    names.inserted_reserved()
    sheet.apply(connection)
