"""What pluggy finds: the entry point `sqlite` of the group `toro.storage`."""

from __future__ import annotations

from toro_core.hookspecs import hookimpl
from toro_core.storage import OpenStorage
from toro_sqlite.storage import open_sqlite
from toro_sqlite.upkeep import SqliteUpkeep

__all__ = ["toro_storage", "toro_upkeep"]


@hookimpl
def toro_storage(scheme: str) -> OpenStorage | None:
    """Open `sqlite:` URLs."""
    return open_sqlite if scheme == "sqlite" else None


@hookimpl
def toro_upkeep(scheme: str) -> object | None:
    """Look after `sqlite:` URLs."""
    return SqliteUpkeep() if scheme == "sqlite" else None
