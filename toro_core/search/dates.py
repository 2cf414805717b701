"""FHIR dates and times as half-open intervals in microseconds since 1970 UTC.

https://hl7.org/fhir/R4/search.html#date: a value covers the time its precision leaves open, `2024-02` the whole month; one
without a zone is taken as UTC. An open end is NEVER or FOREVER.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias

from toro_core.search.plan import FOREVER, NEVER

__all__ = ["Interval", "InvalidDate", "interval", "period", "timing"]

Interval: TypeAlias = tuple[int, int]

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_DAY: Final = 86_400 * _SECOND
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH: Final = date(1970, 1, 1).toordinal()
_PATTERN: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60)(?:\.(\d+))?)?"
    r"(?:Z|([+-])(0\d|1[0-3]):([0-5]\d)|([+-])14:00)?)?)?)?",
    re.ASCII,
)
_SECONDS: Final = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)", re.ASCII
)


class InvalidDate(ValueError):
    """The text is not a FHIR date, dateTime or instant, or names a day that does not exist."""


def interval(text: str) -> Interval:
    """Return the time a date, dateTime or instant covers; a time may end at its minutes, as search allows."""
    return _second(text) or _read(text)


def _second(text: str) -> Interval | None:
    """Read what nearly every time is, a second with a zone, in a quarter of the time; None for all else."""
    if _SECONDS.fullmatch(text) is None:
        return None
    try:
        since = datetime.fromisoformat(text) - _START
    except ValueError:
        return None  # a leap second, or no day
    low = (since.days * 86_400 + since.seconds) * _SECOND
    return low, low + _SECOND


def _read(text: str) -> Interval:
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise InvalidDate
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute, edge = match.groups()
    if day is None:
        return _year_or_month(int(year), int(month) if month else None)
    low = _midnight(int(year), int(month), int(day))
    if hour is None:
        return low, low + _DAY
    low += (int(hour) * 60 + int(minute)) * _MINUTE
    if sign:
        low -= (int(zone_hour) * 60 + int(zone_minute)) * (_MINUTE if sign == "+" else -_MINUTE)
    elif edge:
        low -= 14 * 60 * (_MINUTE if edge == "+" else -_MINUTE)
    if second is None:
        return low, low + _MINUTE
    low += int(second) * _SECOND
    if fraction is None:
        return low, low + _SECOND
    return low + int(fraction[:6].ljust(6, "0")), low + int(fraction[:6].ljust(6, "0")) + 10 ** max(
        6 - len(fraction), 0
    )


def period(value: Any) -> Interval | None:
    """Return the time a Period covers, None where it has no bound that can be read."""
    start, end = _known(value.get("start")), _known(value.get("end"))
    if start is None and end is None:
        return None
    return start[0] if start else NEVER, end[1] if end else FOREVER


def timing(value: Any) -> Interval | None:
    """Return the outer limits of a Timing: of its events, else of its repetition's bounds."""
    events = [known for event in value.get("event", ()) if (known := _known(event))]
    if events:
        return min(low for low, _ in events), max(high for _, high in events)
    bounds = value.get("repeat", {}).get("boundsPeriod")
    return period(bounds) if bounds else None


def _known(text: Any) -> Interval | None:
    try:
        return interval(text) if text else None
    except InvalidDate:
        return None


def _year_or_month(year: int, month: int | None) -> Interval:
    low = _midnight(year, 1 if month is None else month, 1)
    if month is None:
        return low, low + (366 if monthrange(year, 2)[1] == 29 else 365) * _DAY
    return low, low + monthrange(year, month)[1] * _DAY


def _midnight(year: int, month: int, day: int) -> int:
    try:
        return (date(year, month, day).toordinal() - _EPOCH) * _DAY
    except ValueError:
        raise InvalidDate from None
