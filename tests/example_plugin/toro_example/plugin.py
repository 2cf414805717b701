"""What pluggy finds: the entry point `example` of the group `toro.storage`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from toro_core.hookspecs import hookimpl
from toro_core.storage import OpenStorage, Storage
from toro_example.storage import ExampleStorage

__all__ = ["toro_storage", "toro_upkeep"]


@asynccontextmanager
async def open_example(url: str) -> AsyncIterator[Storage]:
    """Open an empty storage, which is gone when it is closed."""
    yield ExampleStorage()


class ExampleUpkeep:
    """Every opening is a scratch area of its own."""

    @asynccontextmanager
    async def scratch(self, url: str) -> AsyncIterator[str]:
        """Give the URL itself."""
        yield url


@hookimpl
def toro_storage(scheme: str) -> OpenStorage | None:
    """Open `example:` URLs."""
    return open_example if scheme == "example" else None


@hookimpl
def toro_upkeep(scheme: str) -> object | None:
    """Let `toro storage check` have scratch areas."""
    return ExampleUpkeep() if scheme == "example" else None
