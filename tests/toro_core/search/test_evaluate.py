from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.errors import Unsupported
from toro_core.search.evaluate import matches, order_key, sort_value
from toro_core.search.plan import (
    MISSING,
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Composite,
    Criterion,
    Has,
    Ids,
    LastUpdated,
    Not,
    Number,
    Period,
    Prefix,
    Present,
    Quantity,
    Reference,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import (
    DateRow,
    GroupRow,
    Key,
    NumberRow,
    OrderRow,
    QuantityRow,
    ReferenceRow,
    Rows,
    StringRow,
    TokenRow,
    UriRow,
)

KEY = Key("Observation", "1")
PATIENT = Key("Patient", "p")
PREFIXES = get_args(Prefix)

# The searched interval is [10, 20); each line names the prefixes that find a row with this interval.
BOUNDARIES = {
    (0, 5): "ne lt le eb",
    (5, 10): "ne lt le eb",
    (5, 11): "ne lt le ap",
    (9, 20): "ne lt le ap",
    (10, 19): "eq ge le ap",
    (10, 20): "eq ge le ap",
    (11, 19): "eq ge le ap",
    (11, 20): "eq ge le ap",
    (10, 21): "ne gt ge ap",
    (19, 21): "ne gt ge ap",
    (9, 21): "ne gt ge lt le ap",
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
        "ap": bool(set(row) & set(wanted)),
    }
    criterion = Period(param="date", prefix=prefix, low=wanted[0], high=wanted[-1] + 1)
    rows = Rows(dates=(DateRow("date", row[0], row[-1] + 1),))
    assert matches(criterion, KEY, 0, rows) == oracle[prefix]


@given(st.sampled_from(PREFIXES), *[st.integers(-3, 3).map(float)] * 4)
def test_a_not_is_what_is_left(prefix: Prefix, a: float, b: float, c: float, d: float) -> None:
    rows = Rows(numbers=(NumberRow("n", min(a, b), max(a, b)),))
    criterion = Number(param="n", prefix=prefix, low=min(c, d), high=max(c, d))
    assert matches(Not(criterion), KEY, 0, rows) != matches(criterion, KEY, 0, rows)
    assert matches(AllOf((criterion, Not(criterion))), KEY, 0, rows) is False
    assert matches(AnyOf((criterion, Not(criterion))), KEY, 0, rows) is True


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


# A number row, what is searched, and the prefixes that find it; eq and ne search [low, high), ap [low, high], the rest `low`.
NUMBERS = {
    (4.0, 4.0): "ne lt le eb",
    (9.5, 9.5): "eq lt le eb ap",
    (10.0, 10.0): "eq ge le ap",
    (10.4, 10.4): "eq gt ge sa ap",
    (10.5, 10.5): "ne gt ge sa ap",
    (11.0, 11.0): "ne gt ge sa ap",
    (11.1, 11.1): "ne gt ge sa",
    (9.6, 10.4): "eq gt ge lt le ap",
    (9.0, 10.0): "ne ge lt le ap",
    (10.0, 12.0): "ne gt ge le ap",
    (1.0, 20.0): "ne gt ge lt le ap",
}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(("row", "found"), NUMBERS.items())
def test_every_prefix_at_every_boundary_of_numbers(prefix: Prefix, row: tuple[float, float], found: str) -> None:
    low, high = {"eq": (9.5, 10.5), "ne": (9.5, 10.5), "ap": (9.0, 11.0)}.get(prefix, (10.0, 10.0))
    rows = Rows(numbers=(NumberRow("n", *row),), quantities=(QuantityRow("q", "s", "mg", *row),))
    expected = prefix in found.split()
    assert matches(Number(param="n", prefix=prefix, low=low, high=high), KEY, 0, rows) == expected
    assert not matches(Number(param="q", prefix=prefix, low=low, high=high), KEY, 0, rows)
    wanted = Quantity(param="q", prefix=prefix, low=low, high=high, system="s", code="mg")
    assert matches(wanted, KEY, 0, rows) == expected
    assert matches(replace(wanted, code=None), KEY, 0, rows) == expected
    assert not matches(replace(wanted, code="g"), KEY, 0, rows)
    assert not matches(replace(wanted, system=""), KEY, 0, rows)


def test_text_matches_by_start_by_part_or_exactly() -> None:
    rows = Rows(strings=(StringRow("name", "muller", "Müller"),))

    def found(value: str, match: Literal["starts", "contains", "exact"]) -> bool:
        return matches(Text(param="name", value=value, match=match), KEY, 0, rows)

    assert found("mul", "starts")
    assert not found("ller", "starts")
    assert found("ller", "contains")
    assert found("Müller", "exact")
    assert not found("muller", "exact")
    assert not found("Müll", "exact")


def test_a_uri_matches_whole_or_by_its_start() -> None:
    rows = Rows(uris=(UriRow("url", "http://a/b/c"),))
    assert matches(Uri(param="url", value="http://a/", match="starts"), KEY, 0, rows)
    assert not matches(Uri(param="url", value="http://a/"), KEY, 0, rows)
    assert not matches(Uri(param="url", value="a/b", match="starts"), KEY, 0, rows)


@pytest.mark.parametrize(
    "rows",
    [
        Rows(tokens=(TokenRow("p", "", ""),)),
        Rows(strings=(StringRow("p", "a", "A"),)),
        Rows(dates=(DateRow("p", 0, 1),)),
        Rows(references=(ReferenceRow("p", "Patient", "1", ""),)),
        Rows(uris=(UriRow("p", "u"),)),
        Rows(numbers=(NumberRow("p", 1, 1),)),
        Rows(quantities=(QuantityRow("p", "", "mg", 1, 1),)),
        Rows(groups=(GroupRow("p", Rows()),)),
    ],
)
def test_what_has_any_row_is_present(rows: Rows) -> None:
    assert matches(Present(param="p"), KEY, 0, rows)
    assert not matches(Present(param="q"), KEY, 0, rows)
    assert matches(Not(Present(param="q")), KEY, 0, rows)
    assert matches(Present(param="p", type="Patient"), KEY, 0, rows) == bool(rows.references)
    assert not matches(Present(param="p", type="Group"), KEY, 0, rows)


def test_an_order_is_no_presence() -> None:
    assert not matches(Present(param="p"), KEY, 0, Rows(orders=(OrderRow("p", 1, 1),)))


def test_a_composite_holds_within_one_group() -> None:
    def group(code: str, value: float) -> GroupRow:
        rows = Rows(tokens=(TokenRow("code", "", code),), quantities=(QuantityRow("value", "", "mm", value, value),))
        return GroupRow("component", rows)

    def wanted(code: str, value: float) -> Composite:
        above = Quantity(param="value", prefix="gt", low=value, high=value)
        return Composite(param="component", criteria=(Token(param="code", code=code), above))

    rows = Rows(groups=(group("systolic", 140), group("diastolic", 80)))
    assert matches(wanted("systolic", 130), KEY, 0, rows)
    assert matches(wanted("diastolic", 70), KEY, 0, rows)
    assert not matches(wanted("diastolic", 130), KEY, 0, rows)
    assert not matches(replace(wanted("systolic", 130), param="other"), KEY, 0, rows)


def test_a_compartment_has_its_members() -> None:
    assert matches(Compartment(id="1"), KEY, 0, Rows(compartments=("2", "1")))
    assert not matches(Compartment(id="1"), KEY, 0, Rows(compartments=("2",)))


class Neighbours:
    """Three resources: an observation of a patient who has an organization."""

    observation = Rows(references=(ReferenceRow("subject", "Patient", "p", "3"),), tokens=(TokenRow("code", "", "x"),))
    known = MappingProxyType(
        {
            Key("Observation", "o"): observation,
            Key("Patient", "p"): Rows(references=(ReferenceRow("organization", "Organization", "g", ""),)),
            Key("Organization", "g"): Rows(strings=(StringRow("name", "good", "Good"),)),
        }
    )

    def get(self, key: Key) -> tuple[int, Rows] | None:
        return (0, self.known[key]) if key in self.known else None

    def of_type(self, type_: str) -> Iterator[tuple[Key, int, Rows]]:
        return ((key, 0, rows) for key, rows in self.known.items() if key.type == type_)


def test_chains_are_followed_to_any_depth() -> None:
    def found(name: str, type_: str = "Patient") -> bool:
        inner = Chain(param="organization", type="Organization", criterion=Text(param="name", value=name))
        chain = Chain(param="subject", type=type_, criterion=inner)
        return matches(chain, Key("Observation", "o"), 0, Neighbours.observation, Neighbours())

    assert found("go")
    assert not found("bad")
    assert not found("go", "Group")


def test_has_looks_at_what_refers_to_the_resource() -> None:
    def found(code: str, key: Key = PATIENT) -> bool:
        has = Has(type="Observation", param="subject", criterion=Token(param="code", code=code))
        return matches(has, key, 0, Rows(), Neighbours())

    assert found("x")
    assert not found("y")
    assert not found("x", Key("Patient", "q"))
    assert not found("x", Key("Group", "p"))


def test_a_chain_is_not_judged_from_one_resource_alone() -> None:
    with pytest.raises(Unsupported):
        matches(Has(type="Observation", param="subject", criterion=AllOf(())), KEY, 0, Rows())


def test_the_second_key_decides_where_the_first_is_equal() -> None:
    sort = (SortKey(param="a"), SortKey(param="b", descending=True))
    values: dict[str, tuple[int | None, int | None]] = {
        "1": (1, 9),
        "2": (1, 3),
        "3": (1, None),
        "4": (2, 5),
        "5": (None, 7),
        "6": (None, None),
    }

    def place(id_: str) -> object:
        orders = [OrderRow(name, value, value) for name, value in zip("ab", values[id_], strict=True) if value]
        return order_key(sort, Key("Observation", id_), 0, Rows(orders=tuple(orders)))

    assert sorted(sorted(values, reverse=True), key=place) == list(values)  # type: ignore[arg-type]
