"""What is known in memory of each version of each resource; its JSON stays in its file."""

from __future__ import annotations

from toro_core.storage import Key, Stored
from toro_ndjson.places import Place

__all__ = ["Head", "Version"]


class Version:
    """One version; `next` is the one that took its place, `order` its rank in its commit, `place` None for a tombstone."""

    __slots__ = ("at", "key", "next", "number", "order", "place", "seq")

    def __init__(self, key: Key, number: int, seq: int, order: int, at: int, place: Place | None) -> None:
        """Begin as the current one."""
        self.key = key
        self.number = number
        self.seq = seq
        self.order = order
        self.at = at
        self.place = place
        self.next: Version | None = None

    def stored(self) -> Stored:
        """Read it. Raises Damaged."""
        place = self.place
        return Stored(
            key=self.key,
            version=self.number,
            seq=self.seq,
            at=self.at,
            deleted=place is None,
            json=b"" if place is None else place.read(),
        )

    @property
    def size(self) -> int:
        """Return the bytes of its JSON."""
        return 0 if self.place is None else self.place.length


class Head:
    """A current resource as searches see it: never changed, but replaced. `rows` are None until someone has extracted them."""

    __slots__ = ("rows", "sort", "version")

    def __init__(self, version: Version, rows: bytes | None, sort: int | None) -> None:
        """Show this version with these rows."""
        self.version = version
        self.rows = rows
        self.sort = sort

    @property
    def value(self) -> int:
        """Return what it is ordered by where nothing else is asked."""
        return self.version.at * 1000 if self.sort is None else self.sort
