"""What a walk through a patient's record has come across, kept between its pages.

A chain of state records, each named by the hash of its content and naming the one before: a page that is asked for again writes
the same record again, and nobody else's. What has grown long is written together, so that a page reads few records.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec

from toro_core.search.paging import LIFETIME, InvalidPageToken
from toro_core.storage import Key, Storage

__all__ = ["Trail"]

_RECORDS: Final = "everything/"
_LONGEST: Final = 24


class _Record(NamedTuple):
    before: str
    length: int
    keys: list[tuple[str, str]]


class Trail:
    """Keys in the order in which they were found, each once."""

    def __init__(self, storage: Storage) -> None:
        """Keep it in this storage."""
        self._storage = storage
        self._name = ""
        self._length = 0
        self._kept = 0
        self.keys: dict[Key, None] = {}

    async def load(self, name: str) -> None:
        """Take up the trail of this name; "" is the empty one. Raises InvalidPageToken where it has expired."""
        records: list[_Record] = []
        self._name = name
        while name:
            state = await self._storage.get_state(_RECORDS + name)
            if state is None:
                raise InvalidPageToken
            records.append(msgspec.msgpack.decode(state.value, type=_Record))
            name = records[-1].before
        self._length = records[0].length if records else 0
        for record in reversed(records):
            self.keys |= {Key(type_, id_): None for type_, id_ in record.keys}
        self._kept = len(self.keys)

    async def keep(self) -> str:
        """Keep what has been added, for twice as long as a page token is valid; return the trail's name."""
        if self._kept == len(self.keys):
            return self._name
        whole = self._length >= _LONGEST
        added = list(self.keys)[0 if whole else self._kept :]
        record = _Record(
            "" if whole else self._name, 1 if whole else self._length + 1, [(key.type, key.id) for key in added]
        )
        value = msgspec.msgpack.encode(record)
        name = hashlib.sha256(value).hexdigest()
        await self._storage.put_state(_RECORDS + name, value, ttl=2 * LIFETIME)
        return name
