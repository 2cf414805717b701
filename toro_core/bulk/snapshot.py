"""Resources as they were at an export's sequence."""

from __future__ import annotations

from collections.abc import Sequence

from toro_core.errors import NotFound
from toro_core.storage import HistoryPlan, Key, Storage, Stored

__all__ = ["read_at"]


async def read_at(storage: Storage, keys: Sequence[Key], seq: int) -> Sequence[Stored | None]:
    """Return the versions that were current at a sequence, None for what did not exist then or was deleted."""
    return [
        None if found is None or found.deleted else found
        for found in [
            current if current is None or current.seq <= seq else await _before(storage, current.key, seq)
            for current in await storage.read_many(keys)
        ]
    ]


async def _before(storage: Storage, key: Key, seq: int) -> Stored | None:
    plan = HistoryPlan(key=key)
    while True:
        try:
            page = await storage.history(plan)
        except NotFound:
            return None
        for stored in page.resources:
            if stored.seq <= seq:
                return stored
        if page.cursor is None:
            return None
        plan = HistoryPlan(key=key, cursor=page.cursor)
