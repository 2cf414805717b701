"""Where a page begins, and where those before it did: the way back. See docs/adr/0030."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from toro_core.search.plan import Cursor

__all__ = ["START", "Place"]

START: Final[Cursor] = ()
"""Where the first page begins."""
_BYTES: Final = 1000
"""What a way back may have in a token: some fifty pages by one sort key, ten by several long ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A page begins after `cursor`; `trail` has where earlier ones began, the last one last."""

    cursor: Cursor = START
    trail: tuple[Cursor, ...] = ()

    def onward(self, cursor: Cursor) -> Place:
        """Return where the next page begins, having forgotten what lies too far back."""
        trail = (*self.trail, self.cursor)
        while len(msgspec.msgpack.encode(trail)) > _BYTES:
            trail = trail[1:]
        return Place(cursor=cursor, trail=trail)

    def back(self) -> Place | None:
        """Return where the page before begins, None where that is not known."""
        return Place(cursor=self.trail[-1], trail=self.trail[:-1]) if self.trail else None
