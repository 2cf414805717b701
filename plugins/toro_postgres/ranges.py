"""Searched intervals as conditions, and as bounds of the sort value."""

from __future__ import annotations

from typing import NamedTuple

from toro_core.search.plan import Prefix
from toro_postgres.names import Gap
from toro_postgres.sql import Sql, all_of

__all__ = ["UNBOUNDED", "Bounds", "date_where", "instant_where", "number_where", "sort_bounds", "within"]

_MIN, _MAX = -(2**63), 2**63 - 1

_DATES: dict[Prefix, str] = {
    "eq": "d.low >= {low} AND d.low <= {high} AND d.high <= {high}",
    "ne": "(d.low < {low} OR d.high > {high})",
    "gt": "d.high > {high}",
    "lt": "d.low < {low}",
    "ge": "d.high > least({low}, {high}) AND (d.high > {high} OR (d.low >= {low} AND d.high <= {high}))",
    "le": "d.low <= greatest({low}, {high}) AND (d.low < {low} OR (d.low >= {low} AND d.high <= {high}))",
    "sa": "d.low >= {high}",
    "eb": "d.high <= {low}",
    "ap": "d.low < {high} AND d.high > {low}",
}
_NUMBERS: dict[Prefix, str] = {
    "eq": "a.low >= {low} AND a.low < {high} AND a.high < {high}",
    "ne": "(a.low < {low} OR a.high >= {high})",
    "gt": "a.high > {low}",
    "ge": "a.high >= {low}",
    "lt": "a.low < {low}",
    "le": "a.low <= {low}",
    "sa": "a.low > {low}",
    "eb": "a.high < {low}",
    "ap": "a.low <= {high} AND a.high >= {low}",
}


class Bounds(NamedTuple):
    """Sort values between which, both included, every match lies."""

    low: int = _MIN
    high: int = _MAX

    def both(self, other: Bounds) -> Bounds:
        """Where both hold."""
        return Bounds(max(self.low, other.low), min(self.high, other.high))


UNBOUNDED = Bounds()


def date_where(prefix: Prefix, low: int, high: int) -> Sql:
    """Compare the columns of a date row `d` with [low, high)."""
    return _filled(_DATES[prefix], "%s::bigint", low, high)


def number_where(prefix: Prefix, low: float, high: float) -> Sql:
    """Compare the columns of an amount `a` with [low, high] or [low, high)."""
    return _filled(_NUMBERS[prefix], "%s::float8", float(low), float(high))


def instant_where(prefix: Prefix, low: int, high: int) -> Sql:
    """Compare `@at`, milliseconds that stand for [at, at + 1 ms), with [low, high) in microseconds, so that an index serves."""
    first, last = -(-low // 1000), high // 1000 - 1
    equal = Sql("@at BETWEEN %s AND %s", (first, last))
    match prefix:
        case "eq":
            return equal
        case "ne":
            return Sql("NOT ") + equal
        case "gt":
            return Sql("@at > %s", (last,))
        case "lt":
            return Sql("@at < %s", (first,))
        case "ge":
            return Sql("(@at > %s OR ", (last,)) + equal + Sql(")")
        case "le":
            return Sql("(@at < %s OR ", (first,)) + equal + Sql(")")
        case "sa":
            return Sql("@at >= %s", (-(-high // 1000),))
        case "eb":
            return Sql("@at <= %s", (low // 1000 - 1,))
        case "ap":
            return Sql("@at BETWEEN %s AND %s", (low // 1000, -(-high // 1000) - 1))


def sort_bounds(gap: Gap | None, prefix: Prefix, low: int, high: int) -> Bounds:
    """Bound the sort values of resources with such a date, from how far the parameter's dates lie from them.

    A date's low lies between sort + low_min and sort + low_max, its high likewise.
    """
    if gap is None:
        return UNBOUNDED
    low_from, high_from = _low(low, gap.low_max), _low(high, gap.high_max)
    match prefix:
        case "eq":
            return Bounds(low_from, _high(high, gap.high_min))
        case "gt":
            return Bounds(high_from, _MAX)
        case "ge":
            # Either it ends later, or it begins no earlier.
            return Bounds(min(high_from, low_from), _MAX)
        case "sa":
            return Bounds(_low(high, gap.low_max), _MAX)
        case "lt":
            return Bounds(_MIN, _high(low, gap.low_min))
        case "le":
            return Bounds(_MIN, max(_high(low, gap.low_min), _high(high, gap.high_min)))
        case "eb":
            return Bounds(_MIN, _high(low, gap.high_min))
        case "ap":
            return Bounds(_low(low, gap.high_max), _high(high, gap.low_min))
        case "ne":
            return UNBOUNDED


def within(bounds: Bounds) -> Sql:
    """Keep `@sort` within bounds."""
    low = [Sql("@sort >= %s", (bounds.low,))] if bounds.low != _MIN else []
    high = [Sql("@sort <= %s", (bounds.high,))] if bounds.high != _MAX else []
    return all_of([*low, *high])


def _low(value: int, gap: int) -> int:
    """Return the least sort value from which a date may reach a value, `gap` at most above it."""
    return _MIN if gap == _MAX else max(_MIN, min(_MAX, value - gap))


def _high(value: int, gap: int) -> int:
    return _MAX if gap == _MIN else max(_MIN, min(_MAX, value - gap))


def _filled(condition: str, mark: str, low: float, high: float) -> Sql:
    """Put bound parameters where a condition names its ends."""
    args: list[float] = []
    parts = condition.replace("{low}", "{low}\0").replace("{high}", "{high}\0").split("\0")
    text = ""
    for part in parts:
        for name, value in (("{low}", low), ("{high}", high)):
            if part.endswith(name):
                part = part[: -len(name)] + mark
                args.append(value)
        text += part
    return Sql(text, tuple(args))
