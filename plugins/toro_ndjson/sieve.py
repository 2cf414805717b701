"""What is asked of a resource in parts that all have to hold, cheap ones first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from toro_core.search.plan import SortKey
from toro_ndjson.orders import NO_LIMITS, Limits
from toro_ndjson.versions import Head

__all__ = ["RANKING", "Part", "Sieve", "passing"]

RANKING: Final = 8
"""What putting one in order costs, in tests of membership."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A criterion: `holds` judges a resource at a cost, `heads` yields about `size` among which are all it holds for.

    Where it is `exact` it holds for each, and none comes twice.
    """

    holds: Callable[[Head], bool]
    cost: int
    size: int | None = None
    heads: Callable[[], Iterable[Head]] | None = None
    exact: bool = False
    reads: bool = False
    """Judging parses rows."""
    ranged: bool = False
    """What it holds for is in the part of the order that is gone along, as a range of dates is."""


class Sieve:
    """Parts that all have to hold, on one catalog at one moment; afterwards the judging goes on, and misses what is replaced."""

    def __init__(
        self, parts: Iterable[Part], own: Limits, stored: Limits, odd: Collection[Head], within: Part | None
    ) -> None:
        """Take the parts, and between which own values, and times of storage, all lie that are not odd.

        What lies `within` may be listed, and is still to be asked everything.
        """
        self.parts: Final = sorted(parts, key=lambda part: part.cost)
        self.odd: Final = odd
        self._own = own
        self._stored = stored
        sized = [part for part in (*self.parts, within) if part is not None and part.size is not None]
        self.driver: Final = min(sized, key=lambda part: part.size or 0, default=None)

    def candidates(self) -> tuple[Iterable[Head], Sequence[Part]] | None:
        """Return the fewest that some part finds, some twice, and what is still to be asked; None where no part finds any."""
        driver = self.driver
        if driver is None or driver.heads is None:
            return None
        if driver.exact:
            return driver.heads(), [part for part in self.parts if part is not driver]
        return driver.heads(), self.parts

    def limits(self, order: SortKey) -> Limits:
        """Return between which values, inclusive, all lie in an order but those that are odd."""
        return {None: self._own, "_lastUpdated": self._stored}.get(order.param, NO_LIMITS)

    def few(self, wanted: int, ordered: int, every: int) -> bool:
        """Say whether it is cheaper to judge what the driver lists than to find so many along so much of an order.

        That is guessed, as if no criterion had to do with another, from how many there are of `every` resource of the type.
        """
        if self.driver is None or not self.driver.size:
            return self.driver is not None
        found, left, tested = float(max(every, 1)), float(self.driver.size), float(self.driver.size)
        for part in self.parts:
            share = 1.0 if part.size is None else min(1.0, part.size / max(every, 1))
            found *= 1.0 if part.ranged and ordered < every else share
            if part is not self.driver:
                tested += left * part.cost
                left *= share
        found *= min(1.0, ordered / max(every, 1))
        steps = min(ordered, wanted * ordered / max(found, 1e-9))
        return tested + RANKING * found <= steps * (1 + self.parts[0].cost if self.parts else 1)

    @property
    def cost(self) -> int:
        """Return what judging costs at most."""
        return 1 + sum(part.cost for part in self.parts)


def passing(parts: Sequence[Part], heads: Iterable[Head]) -> list[Head]:
    """Return those for which every part holds."""
    found = list(heads)
    for part in parts:
        found = list(filter(part.holds, found))
    return found
