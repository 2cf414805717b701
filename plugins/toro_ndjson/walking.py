"""Judges resources one by one on the event loop, a few milliseconds at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from toro_core.search.plan import SearchPlan
from toro_ndjson.catalog import Catalog
from toro_ndjson.ordered import Entry
from toro_ndjson.sieve import Part
from toro_ndjson.versions import Head

__all__ = ["INLINE", "Budget", "along", "judged"]

INLINE: Final = 20_000
"""What judging may cost, in tests of membership, before others get their turn: some milliseconds."""
_TURNS: Final = 20
_PIECE: Final = 250
_DEAR: Final = 400
"""What judging one resource may cost here: with more, a piece would keep others waiting."""


def _anything(_: Head) -> bool:
    return True


class Budget:
    """What may be spent. Others get their turn in between, as long as they leave everything as it is."""

    def __init__(self, catalog: Catalog, parts: Sequence[Part], most: int | None = None) -> None:
        """Spend at most so much, or as much as is better spent here than in a thread."""
        self._catalog = catalog
        self._moment = catalog.moment
        # Where rows are read a thread reads many of them faster.
        turns = 1 if any(part.reads for part in parts) else _TURNS
        self._left = INLINE * turns if most is None else min(most, INLINE * turns)
        self._turn = INLINE

    async def spend(self, cost: int) -> bool:
        """Say whether there is more to spend and everything is as it was."""
        self._left -= cost
        self._turn -= cost
        if self._left <= 0:
            return False
        if self._turn <= 0:
            self._turn = INLINE
            await asyncio.sleep(0)
        return self._catalog.moment == self._moment


async def along(
    plan: SearchPlan, parts: Sequence[Part], walk: Iterator[list[Entry]], budget: Budget
) -> list[Head] | None:
    """Return the first of a walk for which all parts hold, a page and one more; None where that costs too much."""
    if _dear(parts):
        return None
    (first, first_cost), *others = [(part.holds, part.cost) for part in parts] or [(_anything, 0)]
    limit, single = plan.limit, len(plan.sort) == 1
    found: list[Head] = []
    counted, last = 0, None
    # Where more keys decide, all that are equal in the first are needed; of those equal to the cursor some are before it.
    before = plan.cursor[0] if plan.cursor is not None and not single else None
    for piece in walk:
        spent = len(piece) * (1 + first_cost)
        for value, _, head in (entry for entry in piece if first(entry[2])):
            if counted > limit and (single or value != last):
                return found
            for holds, cost in others:
                spent += cost
                if not holds(head):
                    break
            else:
                found.append(head)
                counted += value != before
                last = value
        if not await budget.spend(spent):
            return None
    return found


async def judged(
    parts: Sequence[Part], heads: Iterable[Head], at_most: int | None, budget: Budget
) -> list[Head] | None:
    """Return those for which all parts hold, each once, or so many; None where that costs too much."""
    if _dear(parts):
        return None
    tests = [(part.holds, part.cost) for part in parts]
    some = iter(heads)
    found: dict[Head, None] = {}
    while piece := list(islice(some, _PIECE)):
        spent = len(piece)
        for head in piece:
            for holds, cost in tests:
                spent += cost
                if not holds(head):
                    break
            else:
                found[head] = None
        if at_most is not None and len(found) >= at_most:
            return list(islice(found, at_most))
        if not await budget.spend(spent):
            return None
    return list(found)


def _dear(parts: Sequence[Part]) -> bool:
    return sum(part.cost for part in parts) > _DEAR
