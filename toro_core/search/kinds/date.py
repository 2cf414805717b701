"""Date search: https://hl7.org/fhir/R4/search.html#date"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from toro_core.search.combine import any_of
from toro_core.search.dates import InvalidDate, interval
from toro_core.search.kinds.invalid import InvalidParameter
from toro_core.search.kinds.prefixes import prefixed
from toro_core.search.layout import Searchable
from toro_core.search.plan import Criterion, LastUpdated, Period

__all__ = ["Dates"]

_DAY: Final = 86_400_000_000


class Dates:
    """Compiles dates."""

    modifiers = ()

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take the clock, in seconds since 1970, that `ap` measures the distance from."""
        self._clock = clock

    def compile(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion:
        """Return what holds where any of the values matches. Raises InvalidParameter."""
        found: list[Criterion] = []
        for value in values:
            prefix, text = prefixed(value)
            try:
                low, high = interval(text)
            except InvalidDate:
                text = "takes dates that exist, such as `2024`, `2024-01-31`, `ge2024-01-31T08:00:00Z`"
                raise InvalidParameter("value", text) from None
            if prefix == "ap":
                low, high = self._around(low, high)
            if searchable.facts.code == "_lastUpdated":
                found.append(LastUpdated(prefix=prefix, low=low, high=high))
            found += [Period(param=part.param, prefix=prefix, low=low, high=high) for part in searchable.parts]
        return any_of(found)

    def _around(self, low: int, high: int) -> tuple[int, int]:
        """Widen by a tenth of the time between the date and today, so that the day's pages are cut alike."""
        today = int(self._clock() // 86_400) * _DAY
        margin = max(today - high, low - today, 0) // 10
        return low - margin, high + margin
