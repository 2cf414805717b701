"""How many resources types have, near enough to choose a way by."""

from __future__ import annotations

import time

from toro_postgres.schema import Connection
from toro_postgres.sql import Sql, rows

__all__ = ["Sizes"]

_MOST = 40_000
"""Up to which is counted, which takes some 3 ms."""
_SECONDS = 10.0
"""Until it is counted again."""


class Sizes:
    """Counts types, and remembers for a while."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._seen: dict[int, tuple[float, int]] = {}

    async def of(self, connection: Connection, tid: int) -> int:
        """Return how many resources of a type there were a moment ago, or that there were many."""
        now = time.monotonic()
        at, size = self._seen.get(tid, (-_SECONDS, 0))
        if now - at >= _SECONDS:
            counted = Sql("SELECT count(*) FROM (SELECT 1 FROM resource WHERE tid = %s LIMIT %s) l", (tid, _MOST))
            ((size,),) = await rows(connection, counted)
            self._seen[tid] = now, size
        return size
