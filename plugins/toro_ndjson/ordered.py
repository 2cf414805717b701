"""A list that stays in order while it is added to and taken from, in blocks, so that no change moves much."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, Final, TypeAlias

__all__ = ["Entry", "Ordered"]

Entry: TypeAlias = tuple[Any, ...]
"""Compares with others of its list. A shorter tuple that begins like it stands before it, and so serves as a bound."""
_BLOCK: Final = 1_000
"""Entries that a block begins with; with twice as many it becomes two."""
_PIECE: Final = 64
_FIRST: Final = itemgetter(0)


class Ordered:
    """Entries in order. Whoever walks through them changes nothing meanwhile."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Put these in order."""
        every = sorted(entries)
        self._blocks = [every[start : start + _BLOCK] for start in range(0, len(every), _BLOCK)]
        self._firsts = [block[0] for block in self._blocks]
        self._count = len(every)

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def add(self, entry: Entry) -> None:
        """Put one in its place."""
        self._count += 1
        if not self._blocks:
            self._blocks.append([entry])
            self._firsts.append(entry)
            return
        number = max(bisect_right(self._firsts, entry) - 1, 0)
        block = self._blocks[number]
        insort(block, entry)
        if len(block) > 2 * _BLOCK:
            self._blocks.insert(number + 1, block[_BLOCK:])
            self._firsts.insert(number + 1, block[_BLOCK])
            del block[_BLOCK:]
        self._firsts[number] = block[0]

    def remove(self, entry: Entry) -> None:
        """Take one out that is there."""
        number, at = self._at(entry)
        block = self._blocks[number]
        del block[at]
        self._count -= 1
        if block:
            self._firsts[number] = block[0]
        else:
            del self._blocks[number], self._firsts[number]

    def rank(self, bound: Entry) -> int:
        """Count those before a bound."""
        number, at = self._at(bound)
        return sum(map(len, self._blocks[:number])) + at

    def between(self, low: Entry | None = None, high: Entry | None = None) -> Iterator[Entry]:
        """Yield those from one bound to before the other."""
        return chain.from_iterable(self.upwards(low, high))

    def upwards(self, low: Entry | None = None, high: Entry | None = None) -> Iterator[list[Entry]]:
        """Yield the same in pieces, small ones first."""
        first, start = (0, 0) if low is None else self._at(low)
        last, end = (len(self._blocks), 0) if high is None else self._at(high)
        size = _PIECE
        for number in range(first, min(last + 1, len(self._blocks))):
            block = self._blocks[number]
            begin, stop = start if number == first else 0, end if number == last else len(block)
            while begin < stop:
                piece = block[begin : min(begin + size, stop)]
                begin += size
                size *= 2
                yield piece

    def downwards(self, low: Entry | None = None, high: Entry | None = None) -> Iterator[list[Entry]]:
        """Yield the same in pieces from their end: by the first member downwards, by the others upwards where it is equal."""
        size = _PIECE
        while (entry := self._before(high, size)) is not None:
            start = entry[:1] if low is None else max(entry[:1], low)
            piece = list(self.between(start, high))
            if not piece:
                return
            # Sorting leaves in place what is equal, backwards too.
            piece.sort(key=_FIRST, reverse=True)
            yield piece
            high = start
            size *= 2

    def _before(self, bound: Entry | None, count: int) -> Entry | None:
        """Return the entry so many places before a bound, or the first of its block; None where there is none."""
        number, at = (len(self._blocks), 0) if bound is None else self._at(bound)
        if not at:
            number -= 1
            if number < 0:
                return None
            at = len(self._blocks[number])
        return self._blocks[number][max(0, at - count)]

    def _at(self, bound: Entry) -> tuple[int, int]:
        """Return the block and the place in it where a bound stands."""
        number = max(bisect_right(self._firsts, bound) - 1, 0)
        if not self._blocks:
            return 0, 0
        return number, bisect_left(self._blocks[number], bound)
