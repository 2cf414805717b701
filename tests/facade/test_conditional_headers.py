from __future__ import annotations

import pytest

from toro_facade.headers import expected_version, http_date, matches, modified_since, preferences
from toro_facade.outcome import Refused


@pytest.mark.parametrize(
    ("header", "tag"), [('W/"3"', 'W/"3"'), ('"3"', 'W/"3"'), (' "a-1" ', 'W/"a-1"'), ("*", ""), ("", "")]
)
def test_if_match_names_one_version_or_any(header: str, tag: str) -> None:
    assert expected_version(header) == tag


@pytest.mark.parametrize("header", ["3", 'W/"3', 'W/"3", W/"4"', 'w/"3"', '"a b"', '""'])
def test_an_if_match_that_is_no_entity_tag_is_refused(header: str) -> None:
    with pytest.raises(Refused) as refused:
        expected_version(header)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("header", "has"), [('W/"3"', True), ('"3"', True), ('"1", W/"3"', True), ("*", True), ('"4"', False), ("3", False)]
)
def test_if_none_match_compares_weakly_in_a_list(header: str, has: bool) -> None:
    assert matches(header, 'W/"3"') is has


def test_if_modified_since_counts_whole_seconds_and_ignores_what_is_no_date() -> None:
    date = http_date(1_700_000_000).decode()
    assert date == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert not modified_since(date, 1_700_000_000)
    assert modified_since(date, 1_700_000_001)
    assert modified_since("yesterday", 0)


def test_preferences_are_read_with_either_separator() -> None:
    assert preferences('return=minimal; handling="lenient"') == {"return": "minimal", "handling": "lenient"}
    assert preferences("handling=strict, respond-async, handling=lenient") == {
        "handling": "strict",
        "respond-async": "",
    }
