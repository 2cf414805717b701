"""Reading out JSON by type: as quickly as a storage gives it, from its scan where it has no quicker way."""

from __future__ import annotations

from collections.abc import AsyncIterator

from toro_core.storage import GivesLines, LineBatch, ScanPlan, Storage, joined

__all__ = ["lines", "on_one_line"]


def lines(storage: Storage, plan: ScanPlan) -> AsyncIterator[LineBatch]:
    """Yield what is current and not deleted, as `GivesLines.lines` does."""
    return storage.lines(plan) if isinstance(storage, GivesLines) else _scanned(storage, plan)


async def _scanned(storage: Storage, plan: ScanPlan) -> AsyncIterator[LineBatch]:
    async for batch in storage.scan(plan):
        if batch:
            yield LineBatch(batch[-1].seq, joined(batch))


def on_one_line(json: bytes) -> bytes:
    """Take line breaks out of JSON; they are between members, since in strings they are escaped."""
    return json.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in json or b"\r" in json else json
