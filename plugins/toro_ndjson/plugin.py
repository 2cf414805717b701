"""What pluggy finds: the entry point `ndjson` of the group `toro.storage`."""

from __future__ import annotations

from toro_core.hookspecs import hookimpl
from toro_core.storage import OpenStorage
from toro_ndjson.storage import open_ndjson
from toro_ndjson.upkeep import NdjsonUpkeep

__all__ = ["toro_storage", "toro_upkeep"]


@hookimpl
def toro_storage(scheme: str) -> OpenStorage | None:
    """Open `ndjson:` URLs."""
    return open_ndjson if scheme == "ndjson" else None


@hookimpl
def toro_upkeep(scheme: str) -> object | None:
    """Look after `ndjson:` URLs."""
    return NdjsonUpkeep() if scheme == "ndjson" else None
