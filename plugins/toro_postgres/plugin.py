"""What pluggy finds: the entry point `postgresql` of the group `toro.storage`. The driver is imported when a URL is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from toro_core.errors import Unsupported
from toro_core.hookspecs import hookimpl
from toro_core.storage import OpenStorage, Storage

__all__ = ["open_postgres", "toro_storage"]


@hookimpl
def toro_storage(scheme: str) -> OpenStorage | None:
    """Open `postgresql:` URLs."""
    return open_postgres if scheme == "postgresql" else None


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[Storage]:
    """Open `postgresql://user@host/database`, making the tables where they are missing.

    Raises Unsupported without the driver, or for a database that is not this version's; StorageBusy where none answers.
    """
    try:
        from toro_postgres.storage import opened
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("psycopg", "psycopg_pool"):
            raise
        message = "PostgreSQL needs its driver psycopg; install it: pip install toro-fhir[postgres]"
        raise Unsupported(message) from error
    async with opened(url) as storage:
        yield storage
