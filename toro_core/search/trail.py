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
_LENGTH: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A page begins after `cursor`; `trail` has where earlier ones began, the last one last.

    Each position is in MessagePack, with its length before and behind it: either end is taken off without reading the rest.
    """

    cursor: Cursor = START
    trail: bytes = b""

    def onward(self, cursor: Cursor) -> Place:
        """Return where the next page begins, having forgotten what lies too far back."""
        passed = msgspec.msgpack.encode(self.cursor)
        if len(passed) > _BYTES:
            return Place(cursor=cursor)
        length = len(passed).to_bytes(_LENGTH)
        trail = self.trail + length + passed + length
        while len(trail) > _BYTES:
            trail = trail[int.from_bytes(trail[:_LENGTH]) + 2 * _LENGTH :]
        return Place(cursor=cursor, trail=trail)

    def back(self) -> Place | None:
        """Return where the page before begins, None where that is not known."""
        if not self.trail:
            return None
        end = len(self.trail) - _LENGTH
        start = end - int.from_bytes(self.trail[end:])
        cursor = msgspec.msgpack.decode(self.trail[start:end], type=Cursor)
        return Place(cursor=cursor, trail=self.trail[: start - _LENGTH])
