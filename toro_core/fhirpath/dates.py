"""The time of the evaluation and the bounds of what is imprecise: http://hl7.org/fhirpath/#additional-functions"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any, Final

from toro_core.fhirpath import quantities
from toro_core.fhirpath.building import Build, Call, Function
from toro_core.fhirpath.quantities import Quantity
from toro_core.fhirpath.scalar import ANYTHING, NUMBERS, Taken, scalar
from toro_core.fhirpath.temporal import DAY, Temporal
from toro_core.fhirpath.typed import Typed
from toro_core.fhirpath.values import BOOLEAN, DATE, DATE_TIME, INTEGER, QUANTITY, TIME, Value

__all__ = ["DATES"]

_QUANTITIES: Final = Taken("a quantity", (Quantity,), frozenset({QUANTITY}), frozenset())
_DEFAULT_DIGITS: Final = 8
_MOST_DIGITS: Final = 28
_FIELDS: Final = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
"""The number of fields of a date or dateTime of so many digits."""
_TIME_FIELDS: Final = {2: 1, 4: 2, 6: 3, 9: 3}
_FIRST: Final = (1, 1, 1, 0, 0, Decimal("0.000"))
_LAST: Final = (9999, 12, 31, 23, 59, Decimal("59.999"))
_EARLIEST_OFFSET: Final = 14 * 60
_LATEST_OFFSET: Final = -12 * 60


def _clock(type_: str, read: Callable[[datetime], Temporal]) -> Build:
    def build(call: Call) -> Typed:
        return Typed(run=lambda items, scope: [read(scope.clock())], type=type_, many=False, constant=True)

    return build


def _now(clock: datetime) -> Temporal:
    offset = clock.utcoffset()
    minutes = None if offset is None else int(offset.total_seconds()) // 60
    return Temporal("DateTime", (*_day(clock), *_time(clock)), minutes)


def _day(clock: datetime) -> tuple[int, int, int]:
    return clock.year, clock.month, clock.day


def _time(clock: datetime) -> tuple[Any, ...]:
    return clock.hour, clock.minute, Decimal(clock.second) + Decimal(clock.microsecond // 1000).scaleb(-3)


def _boundary(*, high: bool) -> Callable[..., Value]:
    def bound(value: Value, precision: int | None = None) -> Value:
        if isinstance(value, bool | str):
            return None
        if isinstance(value, Temporal):
            return _time_bound(value, precision, high) if value.kind == "Time" else _date_bound(value, precision, high)
        if isinstance(value, Quantity):
            found = _number_bound(value.value, precision, high)
            return None if found is None else Quantity(found, value.unit)
        return _number_bound(Decimal(value), precision, high)

    return bound


def _number_bound(value: Decimal, precision: int | None, high: bool) -> Decimal | None:
    digits = _DEFAULT_DIGITS if precision is None else precision
    if not 0 <= digits <= _MOST_DIGITS or abs(value.adjusted()) > _MOST_DIGITS:
        return None
    context = Context(prec=4 * _MOST_DIGITS, rounding=ROUND_CEILING if high else ROUND_FLOOR)
    half = Decimal(5).scaleb(-_decimals(value) - 1)
    bound = context.add(value, half if high else -half)
    return bound.quantize(Decimal(1).scaleb(-digits), context=context)


def _date_bound(value: Temporal, precision: int | None, high: bool) -> Temporal | None:
    wanted = _FIELDS.get(precision if precision is not None else 8 if value.kind == "Date" else 17)
    if wanted is None:
        return None
    fields, filling = value.fields, _LAST if high else _FIRST
    if len(fields) == DAY + 1:
        fields = (*fields, 0)  # FHIR has no hour without its minute: 08 means 08:00
    if len(fields) < wanted:
        fields = (*fields, *filling[len(fields) : wanted])
        if high and len(fields) >= DAY and len(value.fields) < DAY:
            fields = (*fields[:2], calendar.monthrange(fields[0], fields[1])[1], *fields[DAY:])
    fields = fields[:wanted]
    if wanted <= DAY:
        return Temporal("Date", fields)
    offset = value.offset if value.offset is not None else _LATEST_OFFSET if high else _EARLIEST_OFFSET
    return Temporal("DateTime", _with_milliseconds(fields, 6, high), offset)


def _time_bound(value: Temporal, precision: int | None, high: bool) -> Temporal | None:
    wanted = _TIME_FIELDS.get(9 if precision is None else precision)
    if wanted is None:
        return None
    filling = (_LAST if high else _FIRST)[DAY:]
    fields = (*value.fields, *filling[len(value.fields) :])[:wanted]
    return Temporal("Time", _with_milliseconds(fields, 3, high))


def _with_milliseconds(fields: tuple[Any, ...], complete: int, high: bool) -> tuple[Any, ...]:
    if len(fields) < complete or _decimals(fields[-1]):
        return fields
    return (*fields[:-1], fields[-1] + Decimal("0.999" if high else "0.000"))


def _precision(value: Value) -> int | None:
    if isinstance(value, Temporal):
        return len("".join(filter(str.isdigit, str(Temporal(value.kind, value.fields)))))
    return None if isinstance(value, bool | str | Quantity) else _decimals(Decimal(value))


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _comparable(one: Quantity, other: Quantity) -> bool:
    return quantities.ratio(one, other) is not None


DATES: Final[Mapping[str, Function]] = {
    "now": Function(_clock(DATE_TIME, _now)),
    "today": Function(_clock(DATE, lambda clock: Temporal("Date", _day(clock)))),
    "timeOfDay": Function(_clock(TIME, lambda clock: Temporal("Time", _time(clock)))),
    "lowBoundary": scalar(ANYTHING, None, _boundary(high=False), NUMBERS, optional=1),
    "highBoundary": scalar(ANYTHING, None, _boundary(high=True), NUMBERS, optional=1),
    "precision": scalar(ANYTHING, INTEGER, _precision),
    "comparable": scalar(_QUANTITIES, BOOLEAN, _comparable, _QUANTITIES),
}
