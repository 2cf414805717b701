"""Point reads and one resource's history."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence

from toro_core.errors import NotFound
from toro_core.storage import HistoryPlan, Key, Page, Stored
from toro_sqlite.feeds import seq_after
from toro_sqlite.names import Names

__all__ = ["history", "past", "read", "read_many"]

_COLUMNS = "v.version, v.seq, v.at, v.deleted, v.json"
_CURRENT = f"SELECT {_COLUMNS} FROM resource r CROSS JOIN version v ON v.vid = r.vid WHERE r.tid = ? AND r.id = ?"
_VERSION = (
    f"SELECT {_COLUMNS} FROM resource r CROSS JOIN version v INDEXED BY version_rid ON v.rid = r.rid"
    " WHERE r.tid = ? AND r.id = ? AND v.version = ?"
)
_HISTORY = (
    f"SELECT {_COLUMNS}, length(v.json) FROM version v INDEXED BY version_rid"
    " WHERE v.rid = ? AND v.version < ? AND v.at >= ? AND v.at < ? AND (v.ended_seq IS NULL OR v.ended_seq >= ?)"
    " ORDER BY v.version DESC LIMIT ?"
)
_NEWEST = 2**63 - 1


def read(names: Names, key: Key, version: int | None) -> Stored:
    """Return the current version or the given one. Raises NotFound."""
    stored = _current(names, key) if version is None else past(names, key, version)
    if stored is None:
        raise NotFound(f"{key} does not exist" if version is None else f"{key} has no version {version}")
    return stored


def read_many(names: Names, keys: Sequence[Key]) -> list[Stored | None]:
    """Return the current versions in the order of the keys."""
    return [_current(names, key) for key in keys]


def history(names: Names, key: Key, plan: HistoryPlan) -> Page:
    """Return a resource's versions, newest first; the cursor is the last one's number."""
    tid = names.type(key.type)
    rid = None if tid is None else names.resource(tid, key.id)
    below = _NEWEST if plan.cursor is None else plan.cursor[0]
    since = 0 if plan.since is None else plan.since
    until = _NEWEST if plan.until is None else plan.until
    ended = 0 if plan.current_after is None else seq_after(names.connection, plan.current_after)
    found: list[Stored] = []
    size = 0
    rows = names.connection.execute(_HISTORY, (rid, below, since, until, ended, plan.limit + 1))
    for version, seq, at, deleted, json, length in rows:
        if found and (len(found) >= plan.limit or size + length > plan.max_bytes):
            rows.close()
            return Page(resources=found, cursor=(found[-1].version,))
        found.append(_stored(key, (version, seq, at, deleted, json)))
        size += length
    if not found and plan.cursor is None and _current(names, key) is None:
        raise NotFound(f"{key} does not exist")
    return Page(resources=found, cursor=None)


def _current(names: Names, key: Key) -> Stored | None:
    tid = names.type(key.type)
    row = names.connection.execute(_CURRENT, (tid, key.id)).fetchone()
    return None if row is None else _stored(key, row)


def past(names: Names, key: Key, version: int) -> Stored | None:
    """Return a version, None where there is none of this number."""
    if version >= _NEWEST:
        return None
    row = names.connection.execute(_VERSION, (names.type(key.type), key.id, version)).fetchone()
    return None if row is None else _stored(key, row)


def _stored(key: Key, row: tuple[int, int, int, int, bytes]) -> Stored:
    version, seq, at, deleted, json = row
    return Stored(key, version, seq, at, bool(deleted), json)
