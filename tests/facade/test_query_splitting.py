from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.v1 import SearchParameter
from toro_facade.outcome import Refused
from toro_facade.query import alternatives, joined, pairs, parameter


def test_names_and_values_are_percent_decoded_and_a_plus_is_a_space() -> None:
    assert pairs(b"name=van+der%20M%C3%BChle&date=ge2024&date=le2024") == [
        ("name", "van der Mühle"),
        ("date", "ge2024"),
        ("date", "le2024"),
    ]


def test_only_the_first_equals_sign_separates_and_empty_parts_are_nothing() -> None:
    assert pairs(b"&a=b=c&&d&") == [("a", "b=c"), ("d", "")]


@pytest.mark.parametrize("query", [b"name=%", b"name=%4", b"name=%zz", b"name=%FF", b"na%C3me=x", b"a=\xff"])
def test_what_is_not_percent_encoded_utf8_is_refused(query: bytes) -> None:
    with pytest.raises(Refused) as refused:
        pairs(query)
    assert refused.value.status == 400


def test_a_modifier_is_all_that_follows_the_first_colon() -> None:
    assert parameter("_has:Observation:patient:code", "1") == SearchParameter(
        code="_has", modifier="Observation:patient:code", values=["1"]
    )


def test_a_parameter_needs_a_name() -> None:
    with pytest.raises(Refused):
        parameter(":exact", "x")


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ("a,b", ["a", "b"]),
        (r"a\,b", [r"a\,b"]),
        (r"a\\,b", [r"a\\", "b"]),
        (r"a\$b\|c,d", [r"a\$b\|c", "d"]),
        ("", [""]),
        (",", ["", ""]),
        ("a\\", ["a\\"]),
        ("a,\\", ["a", "\\"]),
    ],
)
def test_values_are_split_at_commas_that_nothing_escapes(value: str, values: list[str]) -> None:
    assert alternatives(value) == values


@given(st.text(alphabet="ab,\\$|\n", max_size=30))
def test_splitting_loses_nothing(value: str) -> None:
    assert ",".join(alternatives(value)) == value


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_a_link_says_the_parameter_that_was_applied(value: str) -> None:
    [(name, again)] = pairs(joined(parameter("name:exact", value)).encode("ascii"))
    assert (name, again) == ("name:exact", value)
    assert pairs(b"x=" + quote(value).encode()) == [("x", value)]
