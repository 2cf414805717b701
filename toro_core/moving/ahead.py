"""Reading one batch ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from toro_core.storage import Stored

__all__ = ["ahead"]


async def ahead(batches: AsyncIterator[Sequence[Stored]]) -> AsyncIterator[Sequence[Stored]]:
    """Yield the batches, reading the next one while the last is worked on."""
    reading = asyncio.ensure_future(_next(batches))
    try:
        while (batch := await reading) is not None:
            reading = asyncio.ensure_future(_next(batches))
            # The reading begins before work that does not yield to the loop.
            await asyncio.sleep(0)
            yield batch
    finally:
        reading.cancel()
        await asyncio.wait([reading])


async def _next(batches: AsyncIterator[Sequence[Stored]]) -> Sequence[Stored] | None:
    return await anext(batches, None)
