"""A shortcut may only say that a constraint surely holds where its expression says so too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toro_core.definitions import load
from toro_core.fhirpath import Environment, compile_invariant
from toro_core.validation.invariants import shortcut

DEFINITIONS = load()
UCUM = "http://unitsofmeasure.org"
DAYS = ["2024", "2024-05", "2024-05-06", "2024-05-07"]
TIMES = ["2024-05-06T10:00:00Z", "2024-05-06T11:00:00Z", "2024-05-06T10:00:00+02:00", "2024-05-06T10:00:00.5Z"]
DATES = st.sampled_from([*DAYS, *TIMES])
QUANTITIES = st.fixed_dictionaries(
    {}, optional={"value": st.integers(0, 3), "system": st.sampled_from([UCUM, "urn:x"]), "code": st.just("kg")}
)
CONCEPT = st.just({"coding": [{"system": "urn:x", "code": "a"}]})
OBSERVATIONS = st.fixed_dictionaries(
    {"resourceType": st.just("Observation"), "code": CONCEPT},
    optional={
        "valueQuantity": QUANTITIES,
        "valueString": st.just("x"),
        "dataAbsentReason": CONCEPT,
        "component": st.just([{"code": {"coding": [{"system": "urn:x", "code": "a"}]}}]),
        "hasMember": st.just([{"reference": "Observation/1"}]),
    },
)
CASES: list[tuple[str, str, st.SearchStrategy[Any]]] = [
    ("Period", "per-1", st.fixed_dictionaries({}, optional={"start": DATES, "end": DATES})),
    ("Quantity", "qty-3", QUANTITIES),
    (
        "Attachment",
        "att-1",
        st.fixed_dictionaries({}, optional={"data": st.just("eA=="), "contentType": st.just("a/b")}),
    ),
    ("ContactPoint", "cpt-2", st.fixed_dictionaries({}, optional={"value": st.just("1"), "system": st.just("fax")})),
    ("Observation", "obs-6", OBSERVATIONS),
    ("Observation", "obs-7", OBSERVATIONS),
]
OF_PROFILES: list[tuple[str, str, st.SearchStrategy[Any]]] = [
    ("dateTime", "$this is dateTime implies $this.toString().length() >= 10", DATES),
    ("dateTime", "($this as dateTime).toString().length() >= 8", DATES),
    (
        "Observation",
        "(component.empty() and hasMember.empty()) implies (dataAbsentReason.exists() or value.exists())",
        OBSERVATIONS,
    ),
    ("Quantity", f"ofType(Quantity).system.empty() or ofType(Quantity).system = '{UCUM}'", QUANTITIES),
]


def expression(type_name: str, key: str) -> str:
    return next(one.expression for one in DEFINITIONS.structure(type_name).invariants if one.key == key)


@pytest.mark.parametrize(("type_name", "key", "nodes"), CASES + OF_PROFILES, ids=lambda value: str(value)[:40])
def test_a_shortcut_agrees_with_its_expression(type_name: str, key: str, nodes: st.SearchStrategy[Any]) -> None:
    text = expression(type_name, key) if (type_name, key) in {case[:2] for case in CASES} else key
    surely = shortcut(text)
    assert surely is not None
    holds = compile_invariant(text, type_name, DEFINITIONS)
    taken = []

    @settings(max_examples=60, deadline=None, database=None)
    @given(nodes)
    def agrees(node: Any) -> None:
        resource = node if isinstance(node, dict) and "resourceType" in node else {"resourceType": "Basic"}
        if surely(node):
            taken.append(node)
            assert holds(node, Environment(resource=resource))

    agrees()
    assert taken
