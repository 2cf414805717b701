"""What lines of the journal say, and how they are read back."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from toro_core.storage import Key, StateRecord
from toro_ndjson.lines import PREFIX

__all__ = ["Entry", "Laid", "Reindexed", "Said", "StateChange", "lay_out", "reindexed", "state_change"]

_ENCODER: Final = msgspec.json.Encoder()


class Entry(NamedTuple):
    """A version as a commit's line has it; `json` is None for a tombstone, `rows` where nobody has extracted them."""

    key: Key
    number: int
    json: bytes | None
    rows: bytes | None


class Laid(NamedTuple):
    """A line to be sealed, and where in the sealed line each entry's JSON begins and what it adds up to."""

    payload: bytes
    places: Sequence[tuple[int, int, int] | None]


class StateChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A state record written, or deleted where it has no value."""

    key: str
    revision: int
    value: bytes | None = None
    expires_at: int | None = None

    def record(self) -> StateRecord | None:
        """Return the record as it is now."""
        if self.value is None:
            return None
        return StateRecord(key=self.key, value=self.value, revision=self.revision, expires_at=self.expires_at)


class Reindexed(msgspec.Struct, frozen=True):
    """New rows of a version."""

    type: str
    id: str
    version: int
    rows: msgspec.Raw


class _Written(msgspec.Struct, frozen=True):
    type: str
    id: str
    version: int
    rows: msgspec.Raw = msgspec.Raw()
    json: msgspec.Raw = msgspec.Raw()


class Said(msgspec.Struct, frozen=True):
    """A line of the journal. `start` is how long the journal was when this line's batch began: all before it was durable."""

    start: int = msgspec.field(name="from")
    seq: int = 0
    at: int = 0
    writes: list[_Written] = []
    reindexed: list[Reindexed] = []
    state: StateChange | None = None

    def entries(self, line: bytes) -> Iterable[tuple[Entry, tuple[int, int, int] | None]]:
        """Return the versions with the offset, length and sum of their JSON in the line this was read from."""
        at = 0
        for each in self.writes:
            place = None
            json = bytes(each.json) or None
            if json is not None:
                at = line.index(json, at)
                place = at, len(json), zlib.crc32(json)
                at += len(json)
            rows = bytes(each.rows) or None
            yield Entry(Key(sys.intern(each.type), each.id), each.version, json, rows), place


def lay_out(start: int, seq: int, at: int, entries: Iterable[Entry]) -> Laid:
    """Write a commit."""
    parts = [b'{"from":%d,"seq":%d,"at":%d,"writes":[' % (start, seq, at)]
    # Sealing puts the sum in the place of the brace.
    offset = PREFIX - 1 + len(parts[0])
    places: list[tuple[int, int, int] | None] = []
    for entry in entries:
        comma = b"," if places else b""
        kind, id_ = _ENCODER.encode(entry.key.type), _ENCODER.encode(entry.key.id)
        part = b'%s{"type":%s,"id":%s,"version":%d' % (comma, kind, id_, entry.number)
        if entry.rows is not None:
            part += b',"rows":' + entry.rows
        parts.append(part)
        offset += len(part)
        if entry.json is None:
            places.append(None)
            end = b"}"
        else:
            json = _one_line(entry.json)
            parts += (b',"json":', json)
            offset += len(b',"json":')
            places.append((offset, len(json), zlib.crc32(json)))
            offset += len(json)
            end = b"}"
        parts.append(end)
        offset += len(end)
    parts.append(b"]}")
    return Laid(b"".join(parts), places)


def _one_line(json: bytes) -> bytes:
    """Return JSON of one line as it is, other as a string, which `Place` reads back."""
    return _ENCODER.encode(json.decode()) if b"\n" in json or b"\r" in json else json


def reindexed(start: int, rows: Sequence[Reindexed]) -> bytes:
    """Write new rows."""
    return b'{"from":%d,"reindexed":%s}' % (start, _ENCODER.encode(rows))


def state_change(start: int, change: StateChange) -> bytes:
    """Write a state record."""
    return b'{"from":%d,"state":%s}' % (start, _ENCODER.encode(change))
