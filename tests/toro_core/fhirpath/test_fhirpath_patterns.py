import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.fhirpath.automaton import Pattern
from toro_core.fhirpath.errors import EvaluationFailed, InvalidExpression, UnsupportedExpression

ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[a-b1-]", r"\d", r"\W", r"\.", "^", "$"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    groups = inner.map("({})".format) | inner.map("(?:{})".format)
    quantifiers = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,2}", "{1,}"])
    return (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("({0[0]}|{0[1]})".format)
        | st.tuples(groups, quantifiers).map("".join)
    )


PATTERNS = st.recursive(ATOMS, larger, max_leaves=8)


def free(steps: int) -> None:
    """Count nothing."""


@given(PATTERNS, st.text("abc1.\n", max_size=8))
def test_patterns_match_what_python_says(pattern: str, text: str) -> None:
    wanted = re.compile(pattern.replace("$", r"\Z"), re.DOTALL)
    assert Pattern(pattern).is_in(text, free) is (wanted.search(text) is not None)
    assert Pattern(pattern).is_all_of(text, free) is (wanted.fullmatch(text) is not None)


@pytest.mark.parametrize(
    ("pattern", "substitution", "text", "replaced"),
    [
        (r"\..*", "", "Patient.name.x", "Patient"),
        ("(a)(b)", "$2-$1", "xabyab", "xb-ayb-a"),
        ("a+?", "x", "aaa", "xxx"),
        ("(a|ab)(c|bcd)", "[$1$2]", "abcd", "[abcd]"),
        ("a*", "-", "baac", "-b--c-"),
        ("a", r"\$0\\", "a", "$0\\"),
        (r"(\d\d)/(?:\d\d)/(x)?", "$1$2", "01/02/", "01"),
        ("", "x", "abc", "abc"),
    ],
)
def test_matches_are_replaced(pattern: str, substitution: str, text: str, replaced: str) -> None:
    assert Pattern(pattern).replaced(text, substitution, free) == replaced


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\p{Lu}\p{L}+$", "Ängström", True),
        (r"^\P{L}+$", "12", True),
        (r"\u0041\x42\t", "AB\t", True),
        ("[[:]]", "[]", True),
        ("[^]a]", "]a", False),
        ("[]a-]+", "-", True),
    ],
)
def test_characters_and_classes(pattern: str, text: str, found: bool) -> None:
    assert Pattern(pattern).is_in(text, free) is found


@pytest.mark.parametrize(
    "pattern", ["(a*)*b", "(a|aa)+$", "(a|a)*b", "(.*)(.*)(.*)(.*)(.*)[^a]", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_patterns_that_explode_elsewhere_take_time_as_long_as_the_text(pattern: str) -> None:
    started = time.monotonic()
    Pattern(pattern).is_in("a" * 100_000, free)
    Pattern(pattern).replaced("a" * 2_000, "x", free)
    assert time.monotonic() - started < 5


def test_the_work_is_counted() -> None:
    spent: list[int] = []

    def spend(steps: int) -> None:
        spent.append(steps)
        if sum(spent) > 100_000:
            raise EvaluationFailed

    with pytest.raises(EvaluationFailed):
        Pattern("a(.*b)?").replaced("a" * 20_000, "x", spend)
    spent.clear()
    with pytest.raises(EvaluationFailed):
        Pattern("a").is_in("b" * 1_000_000, spend)


@pytest.mark.parametrize("pattern", ["(", ")", "[", "a{2", "a{3,2}", "a{x}", "*", "a**", "\\", "[b-a]", r"\xZZ"])
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidExpression):
        Pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "(?i)a", "(a)\\1", r"\bx", "a++", r"\p{Latin}", "a{5000}{5000}", "x" * 3000]
)
def test_what_no_automaton_can_do_or_is_too_large_is_refused(pattern: str) -> None:
    with pytest.raises((UnsupportedExpression, InvalidExpression)):
        Pattern(pattern)
