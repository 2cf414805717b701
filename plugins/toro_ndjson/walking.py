"""Judges resources one by one, at once, for as long as that stays cheap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from toro_core.search.plan import SearchPlan
from toro_ndjson.ordered import Entry
from toro_ndjson.sieve import Part, Sieve
from toro_ndjson.versions import Head

__all__ = ["INLINE", "along", "judged"]

INLINE: Final = 20_000
"""What judging may cost, in tests of membership, before it is done in a thread: some milliseconds."""


def along(plan: SearchPlan, asked: Sieve, walk: Iterator[Entry], budget: int) -> list[Head] | None:
    """Return the first of a walk that pass, a page and one more; None where that costs more."""
    tests = [(part.holds, part.cost) for part in asked.parts]
    limit, single = plan.limit, len(plan.sort) == 1
    budget = min(budget * asked.cost, INLINE)
    found: list[Head] = []
    spent, counted, last = 0, 0, None
    # Where more keys decide, all that are equal in the first are needed; of those equal to the cursor some are before it.
    before = plan.cursor[0] if plan.cursor is not None and not single else None
    for value, _, head in walk:
        if counted > limit and (single or value != last):
            return found
        spent += 1
        for holds, cost in tests:
            spent += cost
            if not holds(head):
                break
        else:
            found.append(head)
            counted += value != before
            last = value
        if spent > budget:
            return None
    return found


def judged(parts: Sequence[Part], heads: Iterable[Head], at_most: int | None) -> list[Head] | None:
    """Return those that pass, or so many; None where that costs too much."""
    tests = [(part.holds, part.cost) for part in parts]
    found: list[Head] = []
    spent = 0
    for head in heads:
        if len(found) == at_most or spent > INLINE:
            break
        for holds, cost in tests:
            spent += cost
            if not holds(head):
                break
        else:
            found.append(head)
    else:
        return found
    return found if len(found) == at_most else None
