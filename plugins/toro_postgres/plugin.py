"""What pluggy finds: the entry point `postgresql` of the group `toro.storage`. The driver is imported when a URL is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from toro_core.errors import Unsupported
from toro_core.hookspecs import hookimpl
from toro_core.storage import OpenStorage, Storage

__all__ = ["open_postgres", "toro_storage", "toro_upkeep"]


@hookimpl
def toro_storage(scheme: str) -> OpenStorage | None:
    """Open `postgresql:` URLs."""
    return open_postgres if scheme == "postgresql" else None


@hookimpl
def toro_upkeep(scheme: str) -> object | None:
    """Look after `postgresql:` URLs."""
    if scheme != "postgresql":
        return None
    with _driver():
        from toro_postgres.upkeep import PostgresUpkeep
    return PostgresUpkeep()


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[Storage]:
    """Open `postgresql://user@host/database`, making the tables where they are missing.

    Raises Unsupported without the driver, or for a database that is not this version's; StorageBusy where none answers.
    """
    with _driver():
        from toro_postgres.storage import opened
    async with opened(url) as storage:
        yield storage


@contextmanager
def _driver() -> Iterator[None]:
    """Say what is missing where the driver is."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("psycopg", "psycopg_pool"):
            raise
        message = "PostgreSQL needs its driver psycopg; install it: pip install toro-fhir[postgres]"
        raise Unsupported(message) from error
