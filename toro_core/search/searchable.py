"""The search parameters that work for a type: those whose expression compiles and whose values can be indexed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from toro_core.definitions import Definitions
from toro_core.definitions.facts import SearchParameterFacts
from toro_core.fhirpath.branches import Branch
from toro_core.fhirpath.compiler import compile_expression
from toro_core.fhirpath.errors import InvalidExpression, UnsupportedExpression
from toro_core.search.convert import CONVERTIBLE

__all__ = ["NATIVE", "Searchable", "key_parameter", "searchables"]

NATIVE: Final = frozenset({"_id", "_lastUpdated"})
"""Parameters that a storage answers from the resource's own key and time, without rows."""

_CLINICAL_DATES: Final = (
    "date",
    "effective",
    "effective-time",
    "onset-date",
    "authoredon",
    "authored",
    "authored-on",
    "occurrence",
    "period",
    "recorded",
    "started",
    "collected",
    "created",
    "sent",
    "start",
    "start-date",
    "whenhandedover",
    "identified",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searchable:
    """A parameter and the branches of its expression whose values can be indexed; native ones have none."""

    facts: SearchParameterFacts
    branches: tuple[Branch, ...]

    @property
    def types(self) -> frozenset[str]:
        """The data types of its values."""
        return frozenset(branch.type for branch in self.branches)


def searchables(definitions: Definitions, resource_type: str) -> Mapping[str, Searchable]:
    """Return the working parameters of a type by code. Raises KeyError where there is no such type."""
    found = {}
    for code, facts in definitions.search_parameters(resource_type).items():
        branches = () if code in NATIVE else _branches(definitions, resource_type, facts)
        if branches or code in NATIVE:
            found[code] = Searchable(facts=facts, branches=branches)
    return found


def key_parameter(parameters: Mapping[str, Searchable]) -> str | None:
    """Return the clinical date a type is ordered by: the first of a fixed list that the type has, once a resource."""
    for code in _CLINICAL_DATES:
        parameter = parameters.get(code)
        if parameter and parameter.facts.type == "date" and not any(branch.repeats for branch in parameter.branches):
            return code
    return None


def _branches(definitions: Definitions, resource_type: str, facts: SearchParameterFacts) -> tuple[Branch, ...]:
    convertible = CONVERTIBLE.get(facts.type, frozenset())
    try:
        branches = compile_expression(facts.expression, resource_type, definitions).branches
        if any(branch.type == "Extension" for branch in branches):
            branches = compile_expression(f"({facts.expression}).value", resource_type, definitions).branches
    except (InvalidExpression, UnsupportedExpression):
        return ()
    return tuple(branch for branch in branches if branch.type in convertible)
