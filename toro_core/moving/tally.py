"""What a storage holds, in numbers that two storages can be compared by."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from toro_core.ahead import ahead
from toro_core.search.indexed import STATE_PREFIX
from toro_core.search.plan import SearchPlan
from toro_core.storage import Storage, Stored

__all__ = ["Difference", "Tally", "compared_state", "differences", "same_state", "tally"]

_DIGEST: Final = 16
_WRAP: Final = 1 << (8 * _DIGEST)
_SOON: Final = 60_000
"""Milliseconds; state records that expire within them may be on one side alone."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """One type's versions: how many, how many of them tombstones, how many resources a search finds, and a hash of all."""

    versions: int = 0
    tombstones: int = 0
    current: int = 0
    total: int = 0

    def add(self, stored: Stored) -> None:
        """Count a version; in which order they come is of no matter."""
        self.versions += 1
        self.tombstones += stored.deleted
        head = b"%s %d %d %d %d " % (str(stored.key).encode(), stored.version, stored.seq, stored.at, stored.deleted)
        digest = hashlib.blake2b(head, digest_size=_DIGEST)
        digest.update(stored.json)
        self.total = (self.total + int.from_bytes(digest.digest(), "big")) % _WRAP

    @property
    def hash(self) -> str:
        """Return the sum of the versions' hashes: of ids, numbers, sequences, times, tombstones and bytes."""
        return f"{self.total:0{2 * _DIGEST}x}"


class Difference(NamedTuple):
    """A type whose numbers differ; None where a side has nothing of it."""

    type: str
    ours: Tally | None
    theirs: Tally | None


async def tally(storage: Storage, *, up_to: int | None = None) -> dict[str, Tally]:
    """Count every version, by type, in bounded memory; `up_to` leaves out commits with a greater sequence."""
    found: dict[str, Tally] = {}
    async for batch in ahead(storage.changes(0)):
        if up_to is not None and batch and batch[0].seq > up_to:
            break
        for stored in batch:
            if up_to is None or stored.seq <= up_to:
                found.setdefault(stored.key.type, Tally()).add(stored)
    if up_to is None:
        for name, counted in found.items():
            counted.current = await storage.count(SearchPlan(type=name))
    return dict(sorted(found.items()))


def differences(ours: Mapping[str, Tally], theirs: Mapping[str, Tally]) -> list[Difference]:
    """Return the types whose numbers or hashes differ."""
    return [
        Difference(name, ours.get(name), theirs.get(name))
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    ]


async def same_state(source: Storage, target: Storage) -> bool:
    """Tell whether both have the same state records, but for those about to expire and those on indexing."""
    ours = await compared_state(source, time.time_ns() // 1_000_000 + _SOON)
    theirs = {record.key: record for record in await target.list_state("")}
    lasting = {key for key, record in theirs.items() if record.expires_at is None and not key.startswith(STATE_PREFIX)}
    return lasting <= ours.keys() and all(key in theirs and theirs[key].value == value for key, value in ours.items())


async def compared_state(storage: Storage, until: int) -> dict[str, bytes]:
    """Return the values of the records that live beyond a time, in milliseconds since 1970 UTC."""
    return {
        record.key: record.value
        for record in await storage.list_state("")
        if not record.key.startswith(STATE_PREFIX) and (record.expires_at is None or record.expires_at > until)
    }
