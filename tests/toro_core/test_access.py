from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.access import Access, Decision, Forbidden, permits
from toro_core.auth.scopes import grants_of
from toro_core.caller import Caller
from toro_core.errors import ToroError
from toro_core.search.plan import AllOf, AnyOf, Criterion, Token
from toro_core.storage import Key, Rows, TokenRow

LAB = Token(param="category", code="laboratory")
VITAL = Token(param="category", code="vital-signs")


def _compile(resource_type: str, query: str) -> Criterion:
    name, _, value = query.partition("=")
    if name == "category":
        return Token(param="category", code=value)
    if name == "_count":
        return AllOf(())
    raise ToroError(f"{resource_type} has no parameter {name}")


def _decide(scopes: str, resource_type: str, permissions: str) -> Criterion:
    caller = Caller(client_id="partner", grants=grants_of(scopes.split()))
    return Access(_compile).decide(caller, resource_type, permissions).clause


@pytest.mark.parametrize(
    "scopes", ["system/Observation.rs", "system/*.read", "system/*.*", "system/Observation.r system/*.s"]
)
def test_a_wide_grant_has_no_clause(scopes: str) -> None:
    assert _decide(scopes, "Observation", "r") == AllOf(())
    assert _decide(scopes, "Observation", "rs") == AllOf(())


@pytest.mark.parametrize(
    ("scopes", "permissions", "missing"),
    [
        ("", "r", "system/Observation.r"),
        ("system/Patient.cruds", "r", "system/Observation.r"),
        ("system/Observation.s", "r", "system/Observation.r"),
        ("system/Observation.r", "rs", "system/Observation.s"),
        ("system/*.read", "c", "system/Observation.c"),
        ("system/*.read", "d", "system/Observation.d"),
        ("system/*.write", "rs", "system/Observation.rs"),
        ("system/Observation.rs?nonsense=1", "r", "system/Observation.r"),
        ("system/Observation.rs?_count=1", "r", "system/Observation.r"),
        ("system/*.cruds", "", "system/Observation.cruds"),
    ],
)
def test_what_no_grant_allows_is_forbidden_and_the_missing_scope_named(
    scopes: str, permissions: str, missing: str
) -> None:
    with pytest.raises(Forbidden, match=missing) as refused:
        _decide(scopes, "Observation", permissions)
    assert refused.value.scope == missing
    assert refused.value.reason == "INSUFFICIENT_SCOPE"


def test_granular_grants_are_alternatives() -> None:
    both = "system/Observation.rs?category=laboratory system/Observation.rs?category=vital-signs"
    assert _decide(both, "Observation", "s") == AnyOf((LAB, VITAL))
    assert _decide(both, "Observation", "rs") == AnyOf((LAB, VITAL))


def test_several_permissions_need_the_clauses_of_all() -> None:
    scopes = "system/Observation.r?category=laboratory system/Observation.s?category=vital-signs"
    assert _decide(scopes, "Observation", "rs") == AllOf((AnyOf((LAB,)), AnyOf((VITAL,))))


def test_a_constraint_on_any_type_is_compiled_for_each() -> None:
    assert _decide("system/*.rs?category=laboratory", "Condition", "r") == AnyOf((LAB,))


def test_a_wide_grant_beside_a_granular_one_wins() -> None:
    assert _decide("system/Observation.rs?category=laboratory system/Observation.r", "Observation", "r") == AllOf(())


def test_a_grant_that_cannot_be_compiled_takes_nothing_from_the_others() -> None:
    assert _decide(
        "system/Observation.rs?nonsense=1 system/Observation.rs?category=laboratory", "Observation", "r"
    ) == (AnyOf((LAB,)))


def test_written_content_has_to_match_the_clause() -> None:
    decision = Decision(clause=AnyOf((LAB,)))
    key = Key("Observation", "1")
    inside = Rows(tokens=(TokenRow("category", "http://x", "laboratory"),))
    assert permits(decision, key, 0, inside)
    assert not permits(decision, key, 0, Rows(tokens=(TokenRow("category", "http://x", "vital-signs"),)))
    assert not permits(decision, key, 0, Rows())
    assert permits(Decision(clause=AllOf(())), key, 0, Rows())
    assert not permits(Decision(clause=AnyOf(())), key, 0, inside)


_SCOPE = st.builds(
    "system/{}.{}{}".format,
    st.sampled_from(["*", "Observation", "Patient"]),
    st.sampled_from(["r", "s", "rs", "cud", "cruds"]),
    st.sampled_from(["", "?category=a", "?category=b", "?nonsense=1", "?_count=1"]),
)


@given(st.lists(_SCOPE, max_size=4), st.sampled_from("cruds"), st.sampled_from(["a", "b", "c"]))
def test_nobody_reaches_what_none_of_their_grants_allows(scopes: list[str], permission: str, category: str) -> None:
    caller = Caller(client_id="partner", grants=grants_of(scopes))
    rows = Rows(tokens=(TokenRow("category", "", category),))
    expected = any(
        grant.type in ("*", "Observation")
        and permission in grant.permissions
        and grant.query in ("", f"category={category}")
        for grant in caller.grants
    )
    try:
        decision = Access(_compile).decide(caller, "Observation", permission)
    except Forbidden:
        reached = False
    else:
        reached = permits(decision, Key("Observation", "1"), 0, rows)
    assert reached == expected
