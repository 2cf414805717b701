"""Compare intervals and ranges under a prefix, as `plan.Period` and `plan.Number` say."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from toro_core.search.plan import Prefix

__all__ = ["compares", "number_compares"]

_Interval: TypeAlias = tuple[int, int]
_Range: TypeAlias = tuple[float, float]


def compares(prefix: Prefix, found: _Interval, wanted: _Interval) -> bool:
    """Say whether the half-open interval `found` compares so with `wanted`."""
    within = wanted[0] <= found[0] and found[1] <= wanted[1]
    match prefix:
        case "eq":
            return within
        case "ne":
            return not within
        case "gt":
            return found[1] > wanted[1]
        case "lt":
            return found[0] < wanted[0]
        case "ge":
            return found[1] > wanted[1] or within
        case "le":
            return found[0] < wanted[0] or within
        case "sa":
            return found[0] >= wanted[1]
        case "eb":
            return found[1] <= wanted[0]
        case "ap":
            return found[0] < wanted[1] and found[1] > wanted[0]
        case _:
            assert_never(prefix)


def number_compares(prefix: Prefix, found: _Range, wanted: _Range) -> bool:
    """Say whether the closed range `found` compares so with `wanted`."""
    match prefix:
        case "eq":
            return wanted[0] <= found[0] and found[1] < wanted[1]
        case "ne":
            return not (wanted[0] <= found[0] and found[1] < wanted[1])
        case "gt":
            return found[1] > wanted[0]
        case "lt":
            return found[0] < wanted[0]
        case "ge":
            return found[1] >= wanted[0]
        case "le":
            return found[0] <= wanted[0]
        case "sa":
            return found[0] > wanted[0]
        case "eb":
            return found[1] < wanted[0]
        case "ap":
            return found[0] <= wanted[1] and found[1] >= wanted[0]
        case _:
            assert_never(prefix)
