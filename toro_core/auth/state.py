"""The part of a storage that authentication needs: its small state records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from toro_core.storage import StateRecord

__all__ = ["StateStore"]


class StateStore(Protocol):
    """State records as `toro_core.storage.Storage` keeps them."""

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        """Write a record and return its revision. Raises StateConflict."""

    async def get_state(self, key: str) -> StateRecord | None:
        """Return the record, or None."""

    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        """Return the live records whose key starts with `prefix`, in key order."""

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        """Delete the record; False where there was none."""
