"""Dates and times plus or minus a duration: http://hl7.org/fhirpath/N1/#datetime-arithmetic"""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from toro_core.fhirpath.errors import EvaluationFailed
from toro_core.fhirpath.quantities import Quantity
from toro_core.fhirpath.temporal import DAY, Temporal

__all__ = ["moved"]

_MONTHS: Final = {"year": 12, "month": 1}
_MILLISECONDS: Final = {
    **dict.fromkeys(("week", "wk"), 604_800_000),
    **dict.fromkeys(("day", "d"), 86_400_000),
    **dict.fromkeys(("hour", "h"), 3_600_000),
    **dict.fromkeys(("minute", "min"), 60_000),
    **dict.fromkeys(("second", "s"), 1_000),
    **dict.fromkeys(("millisecond", "ms"), 1),
}
_DAYS_A_YEAR: Final = 365
_DAYS_A_MONTH: Final = 30
_PRECISIONS: Final = (86_400_000, 3_600_000, 60_000, 1)  # of a day, hour, minute, second with its fraction


def moved(start: Temporal, duration: Quantity, sign: int) -> Temporal | None:
    """Return the temporal moved by whole units of the duration, as precise as before; None beyond the calendar's end.

    Raises EvaluationFailed for a unit that is no duration or, as UCUM's year and month, not the calendar's.
    """
    count = sign * int(duration.value)
    try:
        if duration.unit in _MONTHS and start.kind != "Time":
            return _by_months(start, count * _MONTHS[duration.unit])
        if duration.unit in _MILLISECONDS:
            return _by_milliseconds(start, count * _MILLISECONDS[duration.unit])
    except (OverflowError, ValueError):
        return None
    raise EvaluationFailed("FHIRPath: only durations can be added to dates and times; write `1 month`, not `1 'mo'`.")


def _by_months(start: Temporal, months: int) -> Temporal | None:
    year, *rest = start.fields
    if not rest:
        return _checked(start, (year + _toward_zero(months, 12),))
    year, month = divmod(year * 12 + rest[0] - 1 + months, 12)
    if not 1 <= year <= 9999:
        return None
    days = [min(rest[1], calendar.monthrange(year, month + 1)[1])] if len(rest) > 1 else []
    return _checked(start, (year, month + 1, *days, *rest[2:]))


def _by_milliseconds(start: Temporal, milliseconds: int) -> Temporal | None:
    if start.kind == "Time":
        found = _shifted((2000, 1, 1, *start.fields), milliseconds)
        return Temporal("Time", found[DAY:])
    days = _toward_zero(milliseconds, 86_400_000)
    match len(start.fields):
        case 1:
            return _checked(start, (start.fields[0] + _toward_zero(days, _DAYS_A_YEAR),))
        case 2:
            return _by_months(start, _toward_zero(days, _DAYS_A_MONTH))
        case _:
            return _checked(start, _shifted(start.fields, milliseconds))


def _shifted(fields: tuple[Any, ...], milliseconds: int) -> tuple[Any, ...]:
    """Move fields that have a day at least."""
    unit = _PRECISIONS[len(fields) - DAY]
    milliseconds = _toward_zero(milliseconds, unit) * unit
    whole = fields[:5]
    if len(fields) < 6:
        found = datetime(*whole) + timedelta(milliseconds=milliseconds)
        return (found.year, found.month, found.day, found.hour, found.minute)[: len(fields)]
    seconds: Decimal = fields[5] + Decimal(milliseconds).scaleb(-3)
    if milliseconds % 1000 == 0:
        seconds = seconds.quantize(fields[5])
    minutes = int(seconds // 60) - (1 if seconds < 0 and seconds % 60 else 0)
    found = datetime(*whole) + timedelta(minutes=minutes)
    return found.year, found.month, found.day, found.hour, found.minute, seconds - 60 * minutes


def _checked(start: Temporal, fields: tuple[Any, ...]) -> Temporal | None:
    return Temporal(start.kind, fields, start.offset) if 1 <= fields[0] <= 9999 else None


def _toward_zero(value: int, unit: int) -> int:
    return value // unit if value >= 0 else -(-value // unit)
