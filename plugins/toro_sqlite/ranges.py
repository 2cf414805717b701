"""Searched intervals and prefixes as bounds."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from toro_core.search.plan import MISSING, Prefix
from toro_sqlite.names import Gap
from toro_sqlite.schema import LONG
from toro_sqlite.sql import Sql

__all__ = [
    "UNBOUNDED",
    "Bounds",
    "certain_bounds",
    "date_where",
    "instant_where",
    "list_dates",
    "prefix_end",
    "sort_bounds",
    "within",
]

_MIN, _MAX = -(2**63), 2**63 - 1
_WIDE = 10 * LONG

_COMPARISONS: dict[Prefix, str] = {
    "eq": "(low >= :low AND low <= :high AND high <= :high)",
    "ne": "(low < :low OR high > :high)",
    "gt": "high > :high",
    "lt": "low < :low",
    "ge": "(high > :high OR (low >= :low AND high <= :high))",
    "le": "(low < :low OR (low >= :low AND high <= :high))",
    "sa": "low >= :high",
    "eb": "(low <= :low AND high <= :low)",
    "ap": "(low < :high AND high > :low)",
}


class Bounds(NamedTuple):
    """Sort values between which, both included, every match lies."""

    low: int = _MIN
    high: int = _MAX

    def both(self, other: Bounds) -> Bounds:
        """Where both hold."""
        return Bounds(max(self.low, other.low), min(self.high, other.high))

    def either(self, other: Bounds) -> Bounds:
        """Where at least one holds."""
        return Bounds(min(self.low, other.low), max(self.high, other.high))

    @property
    def tight(self) -> bool:
        """Tell whether an end is known."""
        return self != UNBOUNDED


UNBOUNDED = Bounds()


def date_where(prefix: Prefix, low: int, high: int) -> Sql:
    """Compare a date row's columns with [low, high)."""
    return Sql.named(_COMPARISONS[prefix], low=low, high=high)


def list_dates(pid: int, prefix: Prefix, low: int, high: int) -> Sql:
    """List the resources with such a date row; one may come more than once."""
    select = Sql("SELECT rid FROM date INDEXED BY date_low WHERE param = ? AND ", (pid,))
    where = date_where(prefix, low, high)
    if prefix == "le":
        return select + Sql("low <= ? AND ", (max(low, high),)) + where
    if prefix not in ("gt", "ge", "ap"):
        return select + where
    # high > h says nothing about low, unless the interval is short; the few long ones have an index of their own.
    after = low if prefix == "ap" else high
    least = min(low, high - LONG) if prefix == "ge" else after - LONG
    long = Sql(
        f"SELECT rid FROM date INDEXED BY date_long WHERE param = ? AND high - low > {LONG} AND high > ?", (pid, after)
    )
    if prefix == "ap":
        long += Sql(" AND low < ?", (high,))
    return select + Sql("low >= ? AND ", (least,)) + where + Sql(" UNION ALL ") + long


def instant_where(prefix: Prefix, low: int, high: int) -> Sql:
    """Compare `@at`, milliseconds that stand for [at, at + 1 ms), with [low, high) in microseconds, so that an index serves."""
    first, last = -(-low // 1000), high // 1000 - 1
    match prefix:
        case "eq":
            return Sql("@at BETWEEN ? AND ?", (first, last))
        case "ne":
            return Sql("NOT @at BETWEEN ? AND ?", (first, last))
        case "gt":
            return Sql("@at > ?", (last,))
        case "lt":
            return Sql("@at < ?", (first,))
        case "ge":
            return Sql("(@at > ? OR @at BETWEEN ? AND ?)", (last, first, last))
        case "le":
            return Sql("(@at < ? OR @at BETWEEN ? AND ?)", (first, first, last))
        case "sa":
            return Sql("@at >= ?", (-(-high // 1000),))
        case "eb":
            return Sql("@at <= ?", (low // 1000 - 1,))
        case "ap":
            # [at, at + 1 ms) overlaps: at < high and at + 1 ms > low.
            return Sql("@at BETWEEN ? AND ?", (low // 1000, -(-high // 1000) - 1))


def sort_bounds(gap: Gap | None, prefix: Prefix, low: int, high: int) -> Bounds:
    """Bound the sort values of resources with such a date, from how far the parameter's dates lie from them.

    Where that is anything, as with the birth dates of patients who sort by their last update, a bound would hold for nearly all.
    """
    if gap is None or gap.low_max - gap.low_min > _WIDE:
        return UNBOUNDED
    # An end at the limit of 64 bits was cut off there and bounds nothing.
    low_min = None if gap.low_min == _MIN else gap.low_min
    low_max = None if gap.low_max == _MAX else gap.low_max
    high_min = None if gap.high_min == _MIN else gap.high_min
    high_max = None if gap.high_max == _MAX else gap.high_max
    equal = Bounds(_less(low, low_max), _more(high, high_min))
    match prefix:
        case "eq":
            return equal
        case "gt":
            return Bounds(_less(high, high_max), _MAX)
        case "lt":
            return Bounds(_MIN, _more(low, low_min))
        case "ge":
            return Bounds(min(_less(high, high_max), equal.low), _MAX)
        case "le":
            return Bounds(_MIN, max(_more(low, low_min), equal.high))
        case "sa":
            return Bounds(_less(high, low_max), _MAX)
        case "eb":
            return Bounds(_MIN, _more(low, high_min))
        case "ap":
            return Bounds(_less(low, high_max), _more(high, low_min))
        case "ne":
            return UNBOUNDED


def certain_bounds(gap: Gap | None, prefix: Prefix, low: int, high: int) -> Bounds | None:
    """Bound sort values for which whatever date a resource has compares so, None where none is certain."""
    if gap is None or prefix == "ne" or _MIN in gap or _MAX in gap:
        return None
    from_low, until_low = low - gap.low_min, low - gap.low_max - 1
    from_high, until_high = high - gap.high_min + 1, high - gap.high_max
    match prefix:
        case "eq":
            found = (from_low, until_high)
        case "gt":
            found = (from_high, _MAX)
        case "lt":
            found = (_MIN, until_low)
        case "ge":
            # A date that begins no earlier either ends no later, or later.
            found = (min(from_low, from_high), _MAX)
        case "le":
            found = (_MIN, max(until_low, until_high))
        case "sa":
            found = (high - gap.low_min, _MAX)
        case "eb":
            found = (_MIN, low - gap.high_max)
        case "ap":
            found = (low - gap.high_min + 1, high - gap.low_max - 1)
    first, last = max(_MIN, found[0]), min(_MAX, found[1], MISSING - 1)
    return Bounds(first, last) if first <= last else None


def within(column: str, bounds: Bounds) -> Sequence[Sql]:
    """Keep a column of sort values within bounds."""
    low = [Sql(f"{column} >= ?", (bounds.low,))] if bounds.low != UNBOUNDED.low else []
    high = [Sql(f"{column} <= ?", (bounds.high,))] if bounds.high != UNBOUNDED.high else []
    return [*low, *high]


def prefix_end(prefix: str) -> str | None:
    """Return the first string after all that start with `prefix`, None where there is none."""
    for length in range(len(prefix), 0, -1):
        last = ord(prefix[length - 1])
        if last < 0x10FFFF:
            # Surrogates are no characters.
            return prefix[: length - 1] + chr(0xE000 if last == 0xD7FF else last + 1)
    return None


def _less(value: int, gap: int | None) -> int:
    return _MIN if gap is None else max(_MIN, min(_MAX, value - gap))


def _more(value: int, gap: int | None) -> int:
    return _MAX if gap is None else max(_MIN, min(_MAX, value - gap))
