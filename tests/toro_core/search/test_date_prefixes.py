"""Every prefix at every precision of dates, against dates, Periods and Timings of a resource."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from toro_core.search.evaluate import matches
from toro_core.search.extract import Extractor
from toro_core.search.parse import SearchParser
from toro_core.search.plan import Prefix
from toro_core.search.query import Parameter
from toro_core.storage import Key

PREFIXES = get_args(Prefix)
NOW = datetime(2024, 3, 11, tzinfo=UTC).timestamp()
BEFORE, AFTER = "ne lt le eb", "ne gt ge sa"
INSIDE, AROUND = "eq ge le ap", "ne gt ge lt le ap"
OVER_START, OVER_END = "ne lt le ap", "ne gt ge ap"

# By search value: what a resource has, and the prefixes that find it. `ap` reaches a tenth of the way to 11 March 2024.
TABLE: dict[str, dict[str, str]] = {
    "2024": {
        "2023": BEFORE,
        "2024": INSIDE,
        "2025": AFTER,
        "2024-02": INSIDE,
        "2024-02-29": INSIDE,
        "2023-12-31": BEFORE,
        "2023-12-31T23:59:59Z": BEFORE,
        "2024-01-01T00:00:00Z": INSIDE,
        "2024-12-31T23:59:59.999Z": INSIDE,
        "2025-01-01T00:00:00Z": AFTER,
        "2023-12-31T23:30:00-01:00": INSIDE,
        "2025-01-01T00:30:00+01:00": INSIDE,
        "2023/2024-06": OVER_START,
        "2024-06/2025": OVER_END,
        "2023/2025": AROUND,
        "2024-01-01/2024-12-31": INSIDE,
        "2024-05/": OVER_END,
        "/2024-05": OVER_START,
        "2023/": AROUND,
        "/2023": BEFORE,
        "2025/": AFTER,
    },
    "2024-02": {
        "2024-01-31": BEFORE + " ap",
        "2024-02-01": INSIDE,
        "2024-02-29": INSIDE,
        "2024-03-01": AFTER + " ap",
        "2024": AROUND,
        "2024-02-29T23:59:59Z": INSIDE,
        "2024-02-10/2024-03-20": OVER_END,
    },
    "2023-02": {"2023-02-28": INSIDE, "2023-03-01": AFTER + " ap", "2023-04-20": AFTER},
    "2024-03-10": {
        "2024-03-09": BEFORE,
        "2024-03-10": INSIDE,
        "2024-03-11": AFTER,
        "2024-03": AROUND,
        "2024-03-10T12:00:00Z": INSIDE,
        "2024-03-10T23:59:59.999999Z": INSIDE,
        "2024-03-10T23:30:00-01:00": AFTER,
        "2024-03-09/2024-03-10": OVER_START,
        "2024-03-10/2024-03-11": OVER_END,
    },
    "2024-03-10T10:00Z": {
        "2024-03-10T09:59:59Z": BEFORE + " ap",
        "2024-03-10T10:00:00Z": INSIDE,
        "2024-03-10T10:00:59.9Z": INSIDE,
        "2024-03-10T10:01:00Z": AFTER + " ap",
        "2024-03-10": AROUND,
    },
    "2024-03-10T10:00:00Z": {
        "2024-03-10T10:00:00Z": INSIDE,
        "2024-03-10T10:00:00.5Z": INSIDE,
        "2024-03-10T11:00:00+01:00": INSIDE,
        "2024-03-10T10:00:01Z": AFTER + " ap",
        "2024-03-10T09:59:59.999Z": BEFORE + " ap",
    },
    "2024-03-10T10:00:00.500Z": {
        "2024-03-10T10:00:00.500Z": INSIDE,
        "2024-03-10T10:00:00.4999Z": BEFORE + " ap",
        "2024-03-10T10:00:00.501Z": AFTER + " ap",
        "2024-03-10T10:00:00Z": AROUND,
    },
    "2024-03-11T00:00:00+14:00": {"2024-03-10T10:00:00Z": INSIDE, "2024-03-10T10:00:01Z": AFTER + " ap"},
}
CASES = [(value, found, prefixes) for value, rows in TABLE.items() for found, prefixes in rows.items()]


@pytest.fixture(scope="module")
def parser(extractor: Extractor) -> SearchParser:
    return SearchParser(extractor, clock=lambda: NOW)


def effective(text: str) -> dict[str, Any]:
    start, slash, end = text.partition("/")
    if not slash:
        return {"effectiveDateTime": text}
    return {"effectivePeriod": {name: value for name, value in (("start", start), ("end", end)) if value}}


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
@pytest.mark.parametrize(("value", "found", "prefixes"), CASES)
def test_every_prefix_of_a_date_at_every_precision(
    prefix: str, value: str, found: str, prefixes: str, extractor: Extractor, parser: SearchParser
) -> None:
    rows = extractor.rows({"resourceType": "Observation", **effective(found)})
    criterion = parser.parse("Observation", [Parameter(code="date", values=(prefix + value,))]).criterion
    asked = prefix or "eq"
    assert matches(criterion, Key("Observation", "1"), 0, rows) == (asked in prefixes.split())


@pytest.mark.parametrize(
    ("value", "near", "far"),
    [
        ("2014-03-11", "2013-03-12", "2013-03-09"),
        ("2014-03-11", "2015-03-10", "2015-03-13"),
        ("2034-03-11", "2033-03-12", "2033-03-08"),
        ("2024", "2024-12-31", "2025-01-01"),
    ],
)
def test_approximately_is_within_a_tenth_of_the_time_between_the_date_and_today(
    value: str, near: str, far: str, extractor: Extractor, parser: SearchParser
) -> None:
    criterion = parser.parse("Observation", [Parameter(code="date", values=(f"ap{value}",))]).criterion
    for found, expected in ((near, True), (far, False)):
        rows = extractor.rows({"resourceType": "Observation", **effective(found)})
        assert matches(criterion, Key("Observation", "1"), 0, rows) is expected
