"""What is asked of a resource in parts that all have to hold, cheap ones first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from toro_core.search.plan import SortKey
from toro_ndjson.versions import Head

__all__ = ["Limits", "Part", "Sieve", "passing"]

Limits: TypeAlias = tuple[int | None, int | None]
"""Values, inclusive, between which all lie; None where there is no bound."""
_NO_LIMITS: Final[Limits] = (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A criterion: `holds` judges a resource at a cost, `heads` yields about `size` among which are all it holds for.

    Some come twice; where it is `exact` it holds for each.
    """

    holds: Callable[[Head], bool]
    cost: int
    size: int | None = None
    heads: Callable[[], Iterable[Head]] | None = None
    exact: bool = False


class Sieve:
    """Parts that all have to hold, on one catalog at one moment; afterwards the judging goes on, and misses what is replaced."""

    def __init__(self, parts: Iterable[Part], dated: Limits, stored: Limits, odd: Collection[Head]) -> None:
        """Take the parts, and between which own values, and times of storage, all lie that are not odd."""
        self.parts: Final = sorted(parts, key=lambda part: part.cost)
        self.odd: Final = odd
        self._dated = dated
        self._stored = stored
        sized = [part for part in self.parts if part.size is not None]
        self.driver: Final = min(sized, key=lambda part: part.size or 0, default=None)

    def candidates(self) -> tuple[list[Head], Sequence[Part]] | None:
        """Return the fewest that some part finds, and what is still to be asked of each; None where no part finds any."""
        driver = self.driver
        if driver is None or driver.heads is None:
            return None
        heads = list(dict.fromkeys(driver.heads()))
        return heads, [part for part in self.parts if not (driver.exact and part is driver)]

    def limits(self, order: SortKey) -> Limits:
        """Return between which values, inclusive, all lie in an order but those that are odd."""
        return {None: self._dated, "_lastUpdated": self._stored}.get(order.param, _NO_LIMITS)

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
