"""How long a search may take whose cost only its execution tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from toro_core.errors import TooCostly
from toro_core.search.query import Parameter

__all__ = ["FEW", "SECONDS", "patience"]

FEW: Final = 20
"""Values up to which a search takes as long as its caller waits."""
SECONDS: Final = 3.0


@asynccontextmanager
async def patience(parameters: Sequence[Parameter], *, seconds: float = SECONDS) -> AsyncIterator[None]:
    """Stop a search with many values after a while: what no list leads to is tested value by value, resource by resource.

    Raises TooCostly.
    """
    if sum(len(parameter.values) for parameter in parameters) <= FEW:
        yield
        return
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        text = (
            "The search has many values and takes too long; ask for fewer at once, or for something rarer beside them."
        )
        raise TooCostly(text) from None
