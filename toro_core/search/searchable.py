"""The search parameters that work for a type: those whose expression compiles and whose values can be indexed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from toro_core.definitions import Definitions
from toro_core.definitions.facts import SearchParameterFacts, SearchType
from toro_core.fhirpath.branches import Branch, stepped
from toro_core.fhirpath.compiler import compile_expression
from toro_core.fhirpath.errors import InvalidExpression, UnsupportedExpression
from toro_core.search.convert import CONVERTIBLE, TEXT_MEMBERS

__all__ = ["NATIVE", "Component", "Expressed", "Group", "expressed"]

NATIVE: Final = frozenset({"_id", "_lastUpdated"})
"""Parameters that a storage answers from the resource's own key and time, without rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A part of a composite: the branches of its values, from the resource on."""

    code: str
    type: SearchType
    branches: tuple[Branch, ...]
    grouped: bool
    """Whether the values lie within the group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What a composite's components are looked for in: the whole resource, or each element at a path that repeats."""

    path: tuple[str, ...]
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expressed:
    """A parameter and the branches of its expression whose values can be indexed, or its groups where it is a composite."""

    facts: SearchParameterFacts
    branches: tuple[Branch, ...] = ()
    groups: tuple[Group, ...] = ()


def expressed(definitions: Definitions, resource_type: str) -> Mapping[str, Expressed]:
    """Return the working parameters of a type by code. Raises KeyError where there is no such type."""
    found = {}
    for code, facts in definitions.search_parameters(resource_type).items():
        if code in NATIVE:
            found[code] = Expressed(facts=facts)
        elif facts.type == "composite":
            if groups := _groups(definitions, resource_type, facts):
                found[code] = Expressed(facts=facts, groups=groups)
        elif branches := _branches(definitions, resource_type, facts.type, facts.expression):
            found[code] = Expressed(facts=facts, branches=branches)
    return found


def _branches(
    definitions: Definitions, resource_type: str, search_type: SearchType, expression: str
) -> tuple[Branch, ...]:
    convertible = CONVERTIBLE.get(search_type, frozenset())
    try:
        branches = compile_expression(expression, resource_type, definitions).branches
        if any(branch.type == "Extension" for branch in branches):
            branches = compile_expression(f"({expression}).value", resource_type, definitions).branches
    except (InvalidExpression, UnsupportedExpression):
        return ()
    kept = (branch for branch in branches if branch.type in convertible)
    return tuple(_texts(kept)) if search_type == "string" else tuple(kept)


def _texts(branches: Iterator[Branch]) -> Iterator[Branch]:
    """Take names and addresses to pieces, so that parameters share the pieces that they have in common."""
    for branch in branches:
        members = TEXT_MEMBERS.get(branch.type)
        if members is None:
            yield branch
            continue
        for member in members:
            step = branch
            for name in member:
                path, run = stepped(step, name)
                step = replace(step, type="string", path=path, run=run)
            yield step


def _groups(definitions: Definitions, resource_type: str, facts: SearchParameterFacts) -> tuple[Group, ...]:
    try:
        foci = compile_expression(facts.expression, resource_type, definitions).branches
    except (InvalidExpression, UnsupportedExpression):
        return ()
    found = []
    for focus in foci:
        if focus.run is not None:
            return ()
        components = []
        for component in facts.components:
            expression, is_inside = component.expression, not component.expression.startswith("%resource.")
            base = focus.type if is_inside else resource_type
            branches = _branches(definitions, base, component.type, expression.removeprefix("%resource."))
            if is_inside:
                branches = tuple(replace(branch, path=(*focus.path, *branch.path)) for branch in branches)
            if not branches:
                return ()
            made = Component(code=component.code, type=component.type, branches=branches, grouped=is_inside)
            components.append(made)
        found.append(Group(path=focus.path if focus.repeats else (), components=tuple(components)))
    return tuple(found)
