"""One state record whose revision grows with every change that other processes have to see within a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from toro_core.auth.state import StateStore

__all__ = ["Epoch", "bump"]

_KEY: Final = "auth/epoch"
_FRESH: Final = 0.5


async def bump(states: StateStore) -> None:
    """Tell every process that clients or keys have changed."""
    await states.put_state(_KEY, b"{}")


class Epoch:
    """The epoch as this process last read it, at most half a second ago."""

    def __init__(
        self,
        states: StateStore,
        on_change: Callable[[], Awaitable[None]],
        *,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the record from these states and await `on_change` before a new epoch counts; `timer` counts seconds."""
        self._states = states
        self._on_change = on_change
        self._timer = timer
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self.revision = -1

    def is_fresh(self) -> bool:
        """Say whether the epoch was read within the last half second."""
        return self._timer() - self._read_at < _FRESH

    async def refresh(self) -> None:
        """Read the epoch where it is not fresh. Callers at the same time share one reading."""
        async with self._reading:
            if self.is_fresh():
                return
            # Taken before reading: a change that falls in between is seen by the next reading.
            asked_at = self._timer()
            record = await self._states.get_state(_KEY)
            revision = record.revision if record else 0
            if revision != self.revision:
                await self._on_change()
                self.revision = revision
            self._read_at = asked_at
