"""How long a search may take whose cost only its execution tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from toro_core.errors import TooCostly
from toro_core.search.query import Parameter

__all__ = ["patience"]

_SECONDS: Final = 3.0
_FEW: Final = 20
"""Values up to which a search takes as long as its caller waits."""
_NEAR: Final = 2
"""The same of references that a chain follows."""


@asynccontextmanager
async def patience(parameters: Sequence[Parameter], *, seconds: float = _SECONDS) -> AsyncIterator[None]:
    """Stop a search with many values or a long chain after a while: what no list leads to is tested one by one.

    Raises TooCostly.
    """
    values = sum(len(parameter.values) for parameter in parameters)
    if values <= _FEW and max(map(_links, parameters), default=0) <= _NEAR:
        yield
        return
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        text = "The search has many values or a long chain and takes too long; ask for less at once, or for something rarer."
        raise TooCostly(text) from None


def _links(parameter: Parameter) -> int:
    """Count the references that a parameter follows."""
    name = f"{parameter.code}:{parameter.modifier}"
    return name.count(".") + name.count("_has:")
