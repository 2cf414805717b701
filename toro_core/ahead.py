"""Reading one batch ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


async def ahead(batches: AsyncIterator[T]) -> AsyncGenerator[T, None]:
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
        await asyncio.gather(reading, return_exceptions=True)
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()


async def _next(batches: AsyncIterator[T]) -> T | None:
    return await anext(batches, None)
