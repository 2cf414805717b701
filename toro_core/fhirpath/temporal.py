"""Dates, dateTimes and times, each as precise as it was written: http://hl7.org/fhirpath/N1/#date"""

from __future__ import annotations

import calendar
import re
from collections.abc import Hashable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

__all__ = ["DAY", "Kind", "Temporal", "compare", "parse_date_time", "parse_time"]

Kind: TypeAlias = Literal["Date", "DateTime", "Time"]

DAY: Final = 3
"""The number of fields of a date that names the day."""
_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?(?:(T)(?:(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?(Z|[+-]\d\d:\d\d)?)?)?"
)
_TIME = re.compile(r"T?(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?")
_MONTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_WIDTHS: Final = (4, 2, 2, 2, 2, 2)
_SEPARATORS: Final = ("", "-", "-", "T", ":", ":")


class Temporal:
    """A date, dateTime or time. `fields` are year, month, day, hour, minute, second as far as known; a time's begin with the hour.

    Seconds are Decimal and keep their digits. `offset` is that from UTC in minutes, None where none is given.
    """

    __slots__ = ("fields", "kind", "offset")

    def __init__(self, kind: Kind, fields: tuple[Any, ...], offset: int | None = None) -> None:
        self.kind: Kind = kind
        self.fields = fields
        self.offset = offset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Temporal) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    def __repr__(self) -> str:
        return f"Temporal({self.kind}, {self})"

    def __str__(self) -> str:
        skipped = DAY if self.kind == "Time" else 0
        texts = [
            ("" if at == 0 else _SEPARATORS[at + skipped]) + _padded(field, _WIDTHS[at + skipped])
            for at, field in enumerate(self.fields)
        ]
        return "".join(texts) + _offset_text(self.offset)

    @property
    def precision(self) -> int:
        """The number of fields; a time's are counted as if it had a day."""
        return len(self.fields) + (DAY if self.kind == "Time" else 0)

    def key(self) -> Hashable:
        """Return what is equal for equal instants of the same precision."""
        return self.kind == "Time", self.in_utc(), self.offset is None or self.precision <= DAY

    def in_utc(self) -> tuple[Any, ...]:
        """Return the fields moved to UTC, as they are where no offset is given or no minute is known."""
        if not self.offset or len(self.fields) < 5:
            return self.fields
        try:
            moved = datetime(*self.fields[:5]) - timedelta(minutes=self.offset)
        except OverflowError:
            return self.fields
        return (moved.year, moved.month, moved.day, moved.hour, moved.minute, *self.fields[5:])


def parse_date_time(text: str) -> Temporal | None:
    """Read a date or dateTime as FHIR and FHIRPath write them, without `@`; None where it is neither."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, t, hour, minute, second, offset = match.groups()
    if hour and day is None:
        return None
    fields = _date(year, month, day)
    if fields is None:
        return None
    if hour:
        time = _time(hour, minute, second)
        if time is None:
            return None
        fields += time
    return Temporal("DateTime" if t else "Date", fields, _minutes(offset))


def parse_time(text: str) -> Temporal | None:
    """Read a time, with or without its `T`; None where it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    fields = _time(*match.groups())
    return None if fields is None else Temporal("Time", fields)


def compare(left: Temporal, right: Temporal) -> int | None:
    """Return -1, 0 or 1; None where the precisions or a missing offset leave it open. Takes two times or no time."""
    has_offset = left.offset is not None, right.offset is not None
    timed = left.precision > DAY and right.precision > DAY
    if timed and left.kind != "Time" and has_offset[0] != has_offset[1]:
        return None
    ones, others = (left.in_utc(), right.in_utc()) if all(has_offset) else (left.fields, right.fields)
    for one, other in zip(ones, others, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(ones) == len(others) else None


def _date(year: str, month: str | None, day: str | None) -> tuple[Any, ...] | None:
    numbers = int(year), int(month or 1), int(day or 1)
    if numbers[0] == 0 or not 1 <= numbers[1] <= 12 or not 1 <= numbers[2] <= _days(numbers[0], numbers[1]):
        return None
    return numbers if day else numbers[:2] if month else numbers[:1]


def _days(year: int, month: int) -> int:
    return 29 if month == 2 and calendar.isleap(year) else _MONTHS[month - 1]


def _time(hour: str, minute: str | None, second: str | None) -> tuple[Any, ...] | None:
    fields: tuple[Any, ...] = (int(hour),)
    if minute:
        fields += (int(minute),)
    if second:
        fields += (Decimal(second),)
    return fields if all(field < limit for field, limit in zip(fields, (24, 60, 61), strict=False)) else None


def _minutes(offset: str | None) -> int | None:
    if offset is None:
        return None
    if offset == "Z":
        return 0
    minutes = int(offset[1:3]) * 60 + int(offset[4:])
    return minutes if offset[0] == "+" else -minutes


def _offset_text(offset: int | None) -> str:
    if offset is None:
        return ""
    if offset == 0:
        return "Z"
    hours, minutes = divmod(abs(offset), 60)
    return f"{'+' if offset > 0 else '-'}{hours:02}:{minutes:02}"


def _padded(field: Any, width: int) -> str:
    if isinstance(field, Decimal):
        whole, _, digits = f"{field:f}".partition(".")
        return whole.zfill(width) + (f".{digits}" if digits else "")
    return str(field).zfill(width)
