"""Number and quantity search: https://hl7.org/fhir/R4/search.html#number, https://hl7.org/fhir/R4/search.html#quantity"""

from __future__ import annotations

from collections.abc import Sequence

from toro_core.search.combine import any_of
from toro_core.search.kinds.invalid import InvalidParameter
from toro_core.search.kinds.prefixes import prefixed
from toro_core.search.layout import Searchable
from toro_core.search.numbers import Bounds, InvalidNumber, bounds, to_float
from toro_core.search.plan import Criterion, Number, Prefix
from toro_core.search.quantities import searched
from toro_core.search.values import split_escaped, unescaped

__all__ = ["Numbers", "Quantities"]


class Numbers:
    """Compiles numbers."""

    modifiers = ()

    def compile(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion:
        """Return what holds where any of the values matches. Raises InvalidParameter."""
        found: list[Criterion] = []
        for value in values:
            prefix, (low, high) = _amount(value)
            found += [
                Number(param=part.param, prefix=prefix, low=to_float(low), high=to_float(high))
                for part in searchable.parts
            ]
        return any_of(found)


class Quantities:
    """Compiles quantities."""

    modifiers = ()

    def compile(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion:
        """Return what holds where any of the values matches. Raises InvalidParameter."""
        found: list[Criterion] = []
        for value in values:
            number, *unit = split_escaped(value, "|")
            prefix, wanted = _amount(number)
            system, code = map(unescaped, unit) if len(unit) == 2 else ("", "")
            if len(unit) not in {0, 2} or (unit and not code):
                raise InvalidParameter("value", "takes `number`, `number|system|code` or `number||code`")
            found += [searched(part.param, prefix, wanted, system, code or None) for part in searchable.parts]
        return any_of(found)


def _amount(value: str) -> tuple[Prefix, Bounds]:
    prefix, text = prefixed(value)
    try:
        return prefix, bounds(prefix, text)
    except InvalidNumber:
        raise InvalidParameter("value", "takes numbers such as `100`, `5.40`, `ge1.5e3`") from None
