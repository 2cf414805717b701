"""Where in an order that lies which compares so with a value."""

from __future__ import annotations

import math
from typing import Final

from toro_core.search.plan import Prefix

__all__ = ["after", "bounds"]

_LAST: Final = "\U0010ffff"


def bounds(prefix: Prefix, low: float, high: float, width: float) -> tuple[float | None, float | None] | None:
    """Return between which values, inclusive, the low ends lie of all intervals, so wide at most, that compare so with this.

    None where nearly all do.
    """
    match prefix:
        case "eq":
            return low, high
        case "gt":
            return _less(high, width), None
        case "ge":
            return _less(low, width), None
        case "lt" | "eb":
            return None, low
        case "le":
            return None, high
        case "sa":
            return high, None
        case "ap":
            return _less(low, width), high
        case _:
            return None


def _less(value: float, width: float) -> float:
    if not width:
        return value
    if isinstance(value, int) and isinstance(width, int):
        return value - width
    # Of floats the width was rounded, and so is what is left.
    return math.nextafter(value - 2 * width, -math.inf)


def after(start: str) -> str | None:
    """Return what every text comes before that starts so, None where there is nothing."""
    rest = start.rstrip(_LAST)
    return rest[:-1] + chr(ord(rest[-1]) + 1) if rest else None
