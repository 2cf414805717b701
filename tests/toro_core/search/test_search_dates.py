from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.search.dates import InvalidDate, interval, period, timing
from toro_core.search.plan import FOREVER, NEVER

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(*moment: int) -> int:
    return (datetime(*moment, tzinfo=UTC) - EPOCH) // MICROSECOND  # type: ignore[arg-type, misc]  # year, month, …


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2023", micros(2023, 1, 1), micros(2024, 1, 1)),
        ("2024", micros(2024, 1, 1), micros(2025, 1, 1)),
        ("1900", micros(1900, 1, 1), micros(1901, 1, 1)),
        ("2000", micros(2000, 1, 1), micros(2001, 1, 1)),
        ("2024-02", micros(2024, 2, 1), micros(2024, 3, 1)),
        ("2024-12", micros(2024, 12, 1), micros(2025, 1, 1)),
        ("2024-02-29", micros(2024, 2, 29), micros(2024, 3, 1)),
        ("2024-01-31T08:30", micros(2024, 1, 31, 8, 30), micros(2024, 1, 31, 8, 31)),
        ("2024-01-31T08:30Z", micros(2024, 1, 31, 8, 30), micros(2024, 1, 31, 8, 31)),
        ("2024-01-31T08:30:15Z", micros(2024, 1, 31, 8, 30, 15), micros(2024, 1, 31, 8, 30, 16)),
        ("2024-01-31T08:30:15.5Z", micros(2024, 1, 31, 8, 30, 15, 500000), micros(2024, 1, 31, 8, 30, 15, 600000)),
        ("2024-01-31T08:30:15.123Z", micros(2024, 1, 31, 8, 30, 15, 123000), micros(2024, 1, 31, 8, 30, 15, 124000)),
        (
            "2024-01-31T08:30:15.1234567Z",
            micros(2024, 1, 31, 8, 30, 15, 123456),
            micros(2024, 1, 31, 8, 30, 15, 123457),
        ),
        ("2024-01-01T00:30:00+02:00", micros(2023, 12, 31, 22, 30), micros(2023, 12, 31, 22, 30, 1)),
        ("2024-01-31T20:00:00-05:30", micros(2024, 2, 1, 1, 30), micros(2024, 2, 1, 1, 30, 1)),
        ("2024-01-31T20:00:00-14:00", micros(2024, 2, 1, 10), micros(2024, 2, 1, 10, 0, 1)),
        ("2016-12-31T23:59:60Z", micros(2017, 1, 1), micros(2017, 1, 1, 0, 0, 1)),
        ("0001", micros(1, 1, 1), micros(2, 1, 1)),
        ("9999-12-31", micros(9999, 12, 31), micros(9999, 12, 31) + 86_400_000_000),
    ],
)
def test_a_date_covers_what_its_precision_leaves_open(text: str, low: int, high: int) -> None:
    assert interval(text) == (low, high)


def test_the_ends_of_the_calendar_do_not_overflow() -> None:
    assert interval("9999")[1] == interval("9999-12")[1] == interval("9999-12-31")[1]
    assert interval("9999-12-31T23:59:59-14:00")[0] > interval("9999-12-31")[1]
    assert interval("0001-01-01T00:00:00+14:00")[0] < interval("0001")[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "2024-13",
        "2024-00",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-01-00",
        "0000",
        "2024-1-1",
        "20240101",
        "2024-01-01T",
        "2024-01-01T08",
        "2024-01-01T24:00:00Z",
        "2024-01-01T08:60:00Z",
        "2024-01-01T08:00:61Z",
        "2024-01-01 08:00",
        "2024-01-01Z",
        "2024-01-01T08:00:00+15:00",
        "2024-01-01T08:00:00+14:30",
        "2024-01-01T08:00:00.Z",
        "٢٠٢٤",
        "2024\n",
        "now",
    ],
)
def test_an_impossible_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidDate):
        interval(text)


@given(st.datetimes(timezones=st.integers(-839, 839).map(lambda m: timezone(timedelta(minutes=m)))))
def test_an_instant_lies_where_python_puts_it(moment: datetime) -> None:
    low = (moment - EPOCH) // MICROSECOND
    assert interval(moment.isoformat(timespec="microseconds")) == (low, low + 1)


@given(st.datetimes(), st.sampled_from([4, 7, 10, 16, 19, 21, 23]), st.sampled_from([4, 7, 10, 16, 19, 21, 23]))
def test_a_shorter_date_covers_every_longer_one_it_begins(moment: datetime, one: int, other: int) -> None:
    text = moment.isoformat(timespec="microseconds")
    (low, high), (inner_low, inner_high) = interval(text[: min(one, other)]), interval(text[: max(one, other)])
    assert low <= inner_low < inner_high <= high


@given(st.datetimes(), st.datetimes())
def test_dates_are_ordered_as_their_moments(one: datetime, other: datetime) -> None:
    assert (interval(one.isoformat())[0] < interval(other.isoformat())[0]) == (one < other)


def test_a_period_runs_from_its_start_to_the_end_of_its_end() -> None:
    assert period({"start": "2024-01", "end": "2024-02"}) == (micros(2024, 1, 1), micros(2024, 3, 1))


def test_a_period_is_open_where_a_bound_is_missing_or_unreadable() -> None:
    assert period({"start": "2024"}) == (micros(2024, 1, 1), FOREVER)
    assert period({"end": "2024"}) == (NEVER, micros(2025, 1, 1))
    assert period({"start": "2024", "end": "2024-02-31"}) == (micros(2024, 1, 1), FOREVER)
    assert period({}) is None


def test_a_timing_covers_its_events_or_else_its_bounds() -> None:
    assert timing({"event": ["2024-03-02", "2024-01-01"]}) == (micros(2024, 1, 1), micros(2024, 3, 3))
    assert timing({"repeat": {"boundsPeriod": {"start": "2024"}}}) == (micros(2024, 1, 1), FOREVER)
    assert timing({"repeat": {"frequency": 1}}) is None
    assert timing({}) is None
