from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.search.evaluate import matches, sort_value
from toro_core.search.plan import (
    MISSING,
    AllOf,
    AnyOf,
    Criterion,
    Ids,
    LastUpdated,
    Period,
    Prefix,
    Reference,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import DateRow, Key, OrderRow, ReferenceRow, Rows, StringRow, TokenRow, UriRow

KEY = Key("Observation", "1")
PREFIXES = get_args(Prefix)

# The searched interval is [10, 20); each line names the prefixes that find a row with this interval.
BOUNDARIES = {
    (0, 5): "ne lt le eb",
    (5, 10): "ne lt le eb",
    (5, 11): "ne lt le",
    (9, 20): "ne lt le",
    (10, 19): "eq ge le",
    (10, 20): "eq ge le",
    (11, 19): "eq ge le",
    (11, 20): "eq ge le",
    (10, 21): "ne gt ge",
    (19, 21): "ne gt ge",
    (9, 21): "ne gt ge lt le",
    (20, 21): "ne gt ge sa",
    (25, 30): "ne gt ge sa",
}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(("row", "found"), BOUNDARIES.items())
def test_every_prefix_at_every_boundary(prefix: Prefix, row: tuple[int, int], found: str) -> None:
    rows = Rows(dates=(DateRow("date", *row),))
    assert matches(Period(param="date", prefix=prefix, low=10, high=20), KEY, 0, rows) == (prefix in found.split())


@given(st.sampled_from(PREFIXES), *[st.integers(0, 12)] * 4)
def test_prefixes_compare_the_points_of_both_intervals(prefix: Prefix, a: int, b: int, c: int, d: int) -> None:
    row, wanted = range(min(a, b), max(a, b) + 1), range(min(c, d), max(c, d) + 1)
    after = [point > wanted[-1] for point in row]
    before = [point < wanted[0] for point in row]
    equal = set(row) <= set(wanted)
    oracle = {
        "eq": equal,
        "ne": not equal,
        "gt": any(after),
        "lt": any(before),
        "ge": any(after) or equal,
        "le": any(before) or equal,
        "sa": all(after),
        "eb": all(before),
    }
    criterion = Period(param="date", prefix=prefix, low=wanted[0], high=wanted[-1] + 1)
    rows = Rows(dates=(DateRow("date", row[0], row[-1] + 1),))
    assert matches(criterion, KEY, 0, rows) == oracle[prefix]


def test_the_time_of_the_last_update_is_one_millisecond_wide() -> None:
    def found(prefix: Prefix, low: int, high: int) -> bool:
        return matches(LastUpdated(prefix=prefix, low=low, high=high), KEY, 5, Rows())

    assert found("eq", 5000, 6000)
    assert not found("eq", 5001, 6000)
    assert found("lt", 5001, 6000)
    assert not found("gt", 5000, 6000)
    assert found("sa", 4000, 5000)
    assert found("eb", 6000, 7000)


few = st.sampled_from(["", "a", "b"])
ids = st.sampled_from(["1", "2"])
params = st.sampled_from(["p", "q"])
leaves = st.one_of(
    st.builds(Token, param=params, system=st.none() | few, code=st.none() | few),
    st.builds(Text, param=params, value=st.sampled_from(["a", "ab", "b"])),
    st.builds(Reference, param=params, type=st.none() | few, id=ids, version=st.none() | few),
    st.builds(Uri, param=params, value=few),
    st.builds(Ids, ids=st.tuples(ids)),
)
criteria: st.SearchStrategy[Criterion] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple).map(AllOf), st.lists(inner, max_size=3).map(tuple).map(AnyOf)
    ),
    max_leaves=8,
)
resources = st.lists(
    st.tuples(
        ids,
        st.builds(
            Rows,
            tokens=st.lists(st.builds(TokenRow, params, few, few), max_size=3).map(tuple),
            strings=st.lists(st.builds(StringRow, params, st.sampled_from(["a", "abc", "ba"]), few), max_size=2).map(
                tuple
            ),
            references=st.lists(st.builds(ReferenceRow, params, few, ids, few), max_size=2).map(tuple),
            uris=st.lists(st.builds(UriRow, params, few), max_size=2).map(tuple),
        ),
    ),
    max_size=6,
)


def found_by(criterion: Criterion, population: list[tuple[str, Rows]]) -> set[int]:
    """Find resources by enumerating what each row answers to, and by set algebra."""
    everything = set(range(len(population)))
    match criterion:
        case AllOf(parts):
            return everything.intersection(*(found_by(part, population) for part in parts))
        case AnyOf(parts):
            return set().union(*(found_by(part, population) for part in parts))
        case Ids(ids=wanted):
            return {n for n, (id_, _) in enumerate(population) if {id_} & set(wanted)}
    answers: dict[Criterion, set[int]] = {}
    for n, (_, rows) in enumerate(population):
        answered: list[Criterion] = []
        for param, system, code in rows.tokens:
            answered += [Token(param=param, system=s, code=c) for s in (None, system) for c in (None, code)]
        for param, folded, _ in rows.strings:
            answered += [Text(param=param, value=folded[:end]) for end in range(1, len(folded) + 1)]
        for param, type_, id_, version in rows.references:
            for t in (None, type_):
                answered += [Reference(param=param, type=t, id=id_, version=v) for v in (None, version)]
        answered += [Uri(param=param, value=value) for param, value in rows.uris]
        for one in answered:
            answers.setdefault(one, set()).add(n)
    return answers.get(criterion, set())


@given(criteria, resources)
def test_a_plan_finds_what_set_algebra_over_its_rows_finds(
    criterion: Criterion, population: list[tuple[str, Rows]]
) -> None:
    found = {n for n, (id_, rows) in enumerate(population) if matches(criterion, Key("T", id_), 0, rows)}
    assert found == found_by(criterion, population)


def test_sorting_takes_the_lowest_value_ascending_and_the_highest_descending() -> None:
    rows = Rows(sort=7, orders=(OrderRow("code", "a", "b"), OrderRow("issued", 1, 9)))
    assert sort_value(SortKey(param="code"), KEY, 3, rows) == "a"
    assert sort_value(SortKey(param="code", descending=True), KEY, 3, rows) == "b"
    assert sort_value(SortKey(param="issued", descending=True), KEY, 3, rows) == 9
    assert sort_value(SortKey(param="other"), KEY, 3, rows) == MISSING
    assert sort_value(SortKey(param="other", descending=True), KEY, 3, rows) == MISSING
    assert sort_value(SortKey(param="_id"), KEY, 3, rows) == "1"
    assert sort_value(SortKey(param="_lastUpdated"), KEY, 3, rows) == 3000
    assert sort_value(SortKey(), KEY, 3, rows) == 7
    assert sort_value(SortKey(), KEY, 3, Rows()) == 3000
    assert sort_value(SortKey(), KEY, 3, Rows(sort=MISSING)) == MISSING
