from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.auth.scopes import Grant, grants_of, is_v1, narrow, parse_scope, spell

LAB = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


@pytest.mark.parametrize(
    ("text", "type_", "permissions", "query"),
    [
        ("system/Patient.read", "Patient", "rs", ""),
        ("system/*.write", "*", "cud", ""),
        ("system/*.*", "*", "cruds", ""),
        ("system/Patient.*", "Patient", "cruds", ""),
        ("system/Observation.rs", "Observation", "rs", ""),
        ("system/Observation.c", "Observation", "c", ""),
        ("system/*.cruds", "*", "cruds", ""),
        (f"system/Observation.rs?{LAB}", "Observation", "rs", LAB),
        (
            f"system/Observation.rs?{LAB}&code=http://loinc.org|1-8",
            "Observation",
            "rs",
            f"{LAB}&code=http://loinc.org|1-8",
        ),
    ],
)
def test_v1_and_v2_scopes_are_read(text: str, type_: str, permissions: str, query: str) -> None:
    assert parse_scope(text) == Grant(type=type_, permissions=permissions, query=query)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "openid",
        "launch",
        "launch/patient",
        "offline_access",
        "user/Patient.read",
        "patient/Patient.rs",
        "system/Patient",
        "system/Patient.",
        "system/Patient.sr",
        "system/Patient.dus",
        "system/Patient.rr",
        "system/Patient.rx",
        "system/Patient.READ",
        "system/patient.read",
        "system/.read",
        "system/Pat*.read",
        "SYSTEM/Patient.read",
        "system/Patient.read?",
        f"system/Observation.read?{LAB}",
        "system/Observation.rs?",
        "system/Observation.rs?category",
        "system/Observation.rs?category=",
        "system/Observation.rs?=laboratory",
        "system/Observation.rs?a=b&",
        "system/Observation.rs?&a=b",
        'system/Observation.rs?a="b"',
        "system/Observation.rs?a=b\\,c",
        "system/Observation.rs?a=\u00e4",
        "system/Observation.rs system/Patient.rs",
        "system/Observation.rs\n",
        "system/Observation.rs?a=" + "b" * 2000,
    ],
)
def test_other_scopes_and_misspelt_ones_grant_nothing(text: str) -> None:
    assert parse_scope(text) is None
    assert grants_of([text]) == ()
    assert narrow([text], grants_of(["system/*.cruds"])) == ()


@pytest.mark.parametrize(
    ("registered", "requested", "granted"),
    [
        ("system/*.cruds", "system/Patient.rs", "system/Patient.rs"),
        ("system/*.cruds", "system/Patient.read system/Encounter.read", "system/Patient.read system/Encounter.read"),
        ("system/*.cruds", "system/*.*", "system/*.*"),
        ("system/Observation.rs", "system/*.read", "system/Observation.read"),
        ("system/Observation.rs", "system/*.rs", "system/Observation.rs"),
        ("system/Observation.rs", "system/*.*", "system/Observation.read"),
        ("system/Observation.read", "system/Observation.cruds", "system/Observation.rs"),
        ("system/Observation.r", "system/Observation.read", "system/Observation.r"),
        ("system/*.write", "system/Patient.*", "system/Patient.write"),
        ("system/Patient.rs system/Observation.rs", "system/*.read", "system/Patient.read system/Observation.read"),
        ("system/*.r system/Patient.rs", "system/*.rs", "system/*.r system/Patient.rs"),
        ("system/*.rs system/Patient.rs", "system/*.rs", "system/*.rs"),
        ("system/Patient.rs", "system/Patient.rs system/Observation.rs", "system/Patient.rs"),
        ("system/Patient.rs", "system/Patient.rs system/Patient.rs", "system/Patient.rs"),
        ("system/Patient.rs", "user/Patient.rs openid system/Patient.rs", "system/Patient.rs"),
        ("system/Patient.rs", "system/Observation.rs", ""),
        ("system/Patient.rs", "system/Patient.c", ""),
        ("system/Patient.rs", "", ""),
        (f"system/Observation.rs?{LAB}", "system/Observation.rs", f"system/Observation.rs?{LAB}"),
        (f"system/Observation.rs?{LAB}", "system/*.read", f"system/Observation.rs?{LAB}"),
        ("system/Observation.cruds", f"system/Observation.rs?{LAB}", f"system/Observation.rs?{LAB}"),
        (f"system/Observation.rs?{LAB}", f"system/Observation.rs?{LAB}", f"system/Observation.rs?{LAB}"),
        (f"system/Observation.rs?{LAB}", "system/Observation.rs?code=1", f"system/Observation.rs?{LAB}&code=1"),
        (f"system/Observation.rs?{LAB} system/Observation.r", "system/Observation.rs", None),
    ],
)
def test_what_is_asked_is_granted_as_far_as_it_is_registered(
    registered: str, requested: str, granted: str | None
) -> None:
    expected = f"system/Observation.rs?{LAB} system/Observation.r" if granted is None else granted
    assert narrow(requested.split(), grants_of(registered.split())) == tuple(expected.split())


def test_v1_is_told_by_its_words() -> None:
    assert is_v1("system/*.*")
    assert is_v1("system/Patient.write")
    assert not is_v1("system/Patient.rs")


_TYPES = st.sampled_from(["*", "Patient", "Observation", "Encounter"])
_PERMISSIONS = st.sets(st.sampled_from("cruds"), min_size=1).map(lambda s: "".join(c for c in "cruds" if c in s))
_QUERIES = st.sets(st.sampled_from(["a=1", "b=2", "c=3"]), max_size=2).map(lambda s: "&".join(sorted(s)))
_GRANTS = st.builds(Grant, type=_TYPES, permissions=_PERMISSIONS, query=_QUERIES)
_SCOPES = st.builds(lambda grant, v1: spell(grant, v1=v1), _GRANTS, st.booleans())


def _allows(grants: tuple[Grant, ...], type_: str, permission: str, holding: frozenset[str]) -> bool:
    """Decide for one resource, of which exactly these constraints hold."""
    return any(
        grant.type in ("*", type_)
        and permission in grant.permissions
        and set(filter(None, grant.query.split("&"))) <= holding
        for grant in grants
    )


@given(
    st.lists(_SCOPES, max_size=4),
    st.lists(_SCOPES, max_size=4),
    st.sampled_from(["Patient", "Observation", "Encounter", "Device"]),
    st.sampled_from("cruds"),
    st.frozensets(st.sampled_from(["a=1", "b=2", "c=3"])),
)
def test_granted_is_allowed_by_request_and_registration_and_by_nothing_else(
    requested: list[str], registered: list[str], type_: str, permission: str, holding: frozenset[str]
) -> None:
    granted = grants_of(narrow(requested, grants_of(registered)))
    asked = _allows(grants_of(requested), type_, permission, holding)
    may = _allows(grants_of(registered), type_, permission, holding)
    assert _allows(granted, type_, permission, holding) == (asked and may)


@given(_GRANTS, st.booleans())
def test_a_scope_means_the_same_however_it_is_spelt(grant: Grant, v1: bool) -> None:
    assert parse_scope(spell(grant, v1=v1)) == grant


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    parsed = parse_scope(text)
    assert parsed is None or spell(parsed) == text or is_v1(text)
