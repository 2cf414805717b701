"""Numbers and quantities: ranges of values in a unit."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Callable, Collection

from toro_core.search.plan import Prefix
from toro_sqlite.nodes import Node
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, join

__all__ = ["amounts"]

_LISTS: dict[Prefix, tuple[str, ...]] = {
    "eq": ("low >= :low AND low < :high AND (high = '' OR high < :high)",),
    "ne": ("low < :low", "low >= :high", "high <> '' AND high >= :high AND low >= :low AND low < :high"),
    "gt": ("low > :low", "high <> '' AND high > :low AND low <= :low"),
    "ge": ("low >= :low", "high <> '' AND high >= :low AND low < :low"),
    "lt": ("low < :low",),
    "le": ("low <= :low",),
    "sa": ("low > :low",),
    "eb": ("low < :low AND (high = '' OR high < :low)",),
    "ap": ("low >= :low AND low <= :high", "high <> '' AND high >= :low AND low < :low"),
}
"""Ranges of lows, and after them ranges of the highs of the few rows that have one of their own."""

_TESTS: dict[Prefix, Callable[[float, float, float, float], bool]] = {
    "eq": lambda t_low, t_high, low, high: low <= t_low and t_high < high,
    "ne": lambda t_low, t_high, low, high: not (low <= t_low and t_high < high),
    "gt": lambda t_low, t_high, low, high: t_high > low,
    "ge": lambda t_low, t_high, low, high: t_high >= low,
    "lt": lambda t_low, t_high, low, high: t_low < low,
    "le": lambda t_low, t_high, low, high: t_low <= low,
    "sa": lambda t_low, t_high, low, high: t_low > low,
    "eb": lambda t_low, t_high, low, high: t_high < low,
    "ap": lambda t_low, t_high, low, high: t_low <= high and t_high >= low,
}


def amounts(
    reader: Reader, pid: int, prefix: Prefix, low: float, high: float, units: Sql, among: Collection[int]
) -> Node:
    """Make the criterion that an amount compares so; `units` selects the column `unit`, `among` has the same units."""
    test = _TESTS[prefix]
    where = reader.ask(
        lambda blob: any(
            p == pid and unit in among and test(lowest, lowest if highest is None else highest, low, high)
            for p, unit, lowest, highest in blob.amounts
        )
    )
    listing = join(
        " UNION ALL ",
        (
            Sql(f"SELECT rid FROM amount {_index(condition)} WHERE param = ? AND ", (pid,))
            + units
            + Sql(" AND ")
            + Sql.named(condition, low=low, high=high)
            for condition in _LISTS[prefix]
        ),
    )
    return Node(where=where, listing=listing)


def _index(condition: str) -> str:
    return "INDEXED BY amount_wide" if condition.startswith("high <> ''") else "NOT INDEXED"
