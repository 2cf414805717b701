"""Searched intervals as conditions, and as bounds of the sort value."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from toro_core.search.plan import Prefix
from toro_postgres.names import Gap
from toro_postgres.sql import Sql, join

__all__ = ["UNBOUNDED", "Bounds", "date_where", "instant_where", "number_where", "sort_bounds", "within"]

_MIN, _MAX = -(2**63), 2**63 - 1
_TIGHT = 35 * 86_400_000_000
"""Microseconds that a parameter's dates may lie from the sort values so that a walk between bounds meets little else."""
_End: TypeAlias = Literal["low_min", "low_max", "high_min", "high_max"]

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
    """Expressions between whose values, both included, every match's sort value lies; None where there is no end.

    Where they are `tight`, few other resources of the type lie there, so that no list is needed beside them.
    """

    low: Sql | None = None
    high: Sql | None = None
    tight: bool = False

    def both(self, other: Bounds) -> Bounds:
        """Where both hold."""
        low, high = _known(self.low, other.low), _known(self.high, other.high)
        return Bounds(_of("greatest", low), _of("least", high), self.tight or other.tight)

    def either(self, other: Bounds) -> Bounds:
        """Where one of both holds."""
        low = _known(self.low, other.low) if self.low and other.low else []
        high = _known(self.high, other.high) if self.high and other.high else []
        return Bounds(_of("least", low), _of("greatest", high), self.tight and other.tight)


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


def sort_bounds(pid: int, gap: Gap | None, prefix: Prefix, low: int, high: int) -> Bounds:
    """Bound the sort values of resources with such a date, from how far the parameter's dates lie from them.

    A date's low lies between sort + low_min and sort + low_max, its high likewise. A statement reads these itself, for others may
    widen them; `gap` is what was read a moment ago.
    """
    if gap is None or prefix == "ne":
        return UNBOUNDED

    def least(value: int, end: _End) -> Sql | None:
        """Give the least sort value from which a date may reach a value."""
        return None if getattr(gap, end) == _MAX else _reached(pid, value, end, _MIN)

    def most(value: int, end: _End) -> Sql | None:
        return None if getattr(gap, end) == _MIN else _reached(pid, value, end, _MAX)

    tight = all(-_TIGHT <= each <= _TIGHT for each in gap)
    match prefix:
        case "eq":
            return Bounds(least(low, "low_max"), most(high, "high_min"), tight)
        case "gt":
            return Bounds(least(high, "high_max"), None, tight)
        case "ge":
            # Either it ends later, or it begins no earlier.
            later, no_earlier = Bounds(least(high, "high_max")), Bounds(least(low, "low_max"))
            return later.either(no_earlier)._replace(tight=tight)
        case "sa":
            return Bounds(least(high, "low_max"), None, tight)
        case "lt":
            return Bounds(None, most(low, "low_min"), tight)
        case "le":
            earlier, no_later = Bounds(None, most(low, "low_min")), Bounds(None, most(high, "high_min"))
            return earlier.either(no_later)._replace(tight=tight)
        case "eb":
            return Bounds(None, most(low, "high_min"), tight)
        case "ap":
            return Bounds(least(low, "high_max"), most(high, "low_min"), tight)


def within(bounds: Bounds) -> list[Sql]:
    """Keep `@sort` within bounds."""
    low = [Sql("@sort >= ") + bounds.low] if bounds.low else []
    high = [Sql("@sort <= ") + bounds.high] if bounds.high else []
    return [*low, *high]


def _reached(pid: int, value: int, end: _End, open: int) -> Sql:
    """Take an end of the parameter's gap from a value; `open` where that end is unbounded, or there have been no dates."""
    return Sql(
        f"coalesce((SELECT CASE WHEN n.{end} NOT IN ({_MIN}, {_MAX})"
        f" THEN least(greatest(%s::numeric - n.{end}, {_MIN}), {_MAX})::bigint END FROM name n WHERE n.nid = %s), %s)",
        (value, pid, open),
    )


def _known(*ends: Sql | None) -> list[Sql]:
    return [end for end in ends if end is not None]


def _of(function: str, ends: list[Sql]) -> Sql | None:
    return Sql(f"{function}(") + join(", ", ends) + Sql(")") if len(ends) > 1 else next(iter(ends), None)


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
