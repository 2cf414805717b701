"""Steps from an item to its members, typed where the types are known: http://hl7.org/fhirpath/N1/#path-selection"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, TypeAlias

from toro_core.definitions.facts import Choice, ElementFacts
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.errors import InvalidExpression
from toro_core.fhirpath.typed import Run, Typed
from toro_core.fhirpath.types import Types
from toro_core.fhirpath.values import STRING, TYPE_INFO, Element, Item, Items, element

__all__ = ["Navigation"]

_Step: TypeAlias = "Callable[[Item, Items], None]"
"""Appends what is below an item to a collection."""
_INFORMATION: Final = ("namespace", "name", "baseType")


class Navigation:
    """Compiles steps; made from the types. When lenient, an element that a type does not have is empty and not refused."""

    def __init__(self, types: Types, *, lenient: bool) -> None:
        self._types = types
        self._lenient = lenient

    def member(self, of: Typed, name: str, accepts: Callable[[str], bool] | None = None) -> Typed:
        """Compile `of.name`, of a choice element the accepted types only. Raises InvalidExpression for what cannot be."""
        if of.type == TYPE_INFO:
            return _information(of, name)
        element_ = self._element(of.type, name)
        if element_ is None:
            return self._open_member(of, name)
        choices = [choice for choice in element_.choices if accepts is None or accepts(choice.type)]
        many = of.many or element_.max != 1
        if len(choices) == 1:
            (choice,) = choices
            return _derived(of, self._single(of, choice), choice.type, many=many)
        found = _derived(of, self._choice(of.run, choices), None, many=many)
        return replace(found, alternatives=frozenset(choice.type for choice in choices))

    def choices(self, type_: str | None, name: str) -> int:
        """Return how many types an element may have, 0 where it is not known."""
        found = self._element(type_, name)
        return 0 if found is None else len(found.choices)

    def children(self, item: Item, static: str | None) -> Iterator[Item]:
        """Yield the elements directly below an item; all say their types themselves."""
        type_ = self._types.type_of(item, static)
        if type(item) is Element:
            yield from self._sibling_children(item)
            item = item.value
        if type(item) is not dict:
            return
        structure = self._types.structure(type_)
        for member, value in item.items():
            found = structure.members.get(member) if structure else None
            if found is not None:
                yield from self._values(item, member, value, found[1].type)
            elif member[0] == "_" and structure and member[1:] not in item and member[1:] in structure.members:
                yield from self._values(item, member[1:], None, structure.members[member[1:]][1].type)

    def child_count(self, item: Item, static: str | None) -> int:
        """Return how many children an item has."""
        return sum(1 for _ in self.children(item, static))

    def _sibling_children(self, item: Element) -> Iterator[Item]:
        if item.sibling:
            for member, type_ in (("id", STRING), ("extension", "Extension")):
                for value in _listed(item.sibling.get(member)):
                    yield value if type_ == STRING else Element(value, type_)

    def _values(self, item: dict[str, Any], member: str, value: Any, type_: str) -> Iterator[Item]:
        if self._types.is_primitive(type_):
            for one, sibling in _pairs(value, item.get(f"_{member}")):
                yield Element(one, type_, sibling)
        elif self._types.is_resource(type_):
            yield from _listed(value)
        else:
            for one in _listed(value):
                yield Element(one, type_)

    def _element(self, type_: str | None, name: str) -> ElementFacts | None:
        structure = self._types.structure(type_) if type_ else None
        return structure.elements.get(name) if structure else None

    def _open_member(self, of: Typed, name: str) -> Typed:
        """Compile a step whose element depends on the type that each item turns out to have."""
        possible = of.alternatives or {of.type}
        if not any(self._types.is_open(type_) or self._element(type_, name) for type_ in possible):
            if self._lenient:
                return _derived(of, lambda items, scope: [], None, many=False)
            raise InvalidExpression(f"FHIRPath: {of.type or 'none of its types'} has no element `{name}`.")
        steps: dict[str, tuple[_Step, ...]] = {}
        type_of, static, inner = self._types.type_of, of.type, of.run

        def run(items: Items, scope: Scope) -> Items:
            found: Items = []
            for item in inner(items, scope):
                type_ = type_of(item, static)
                if type_ not in steps:
                    steps[type_] = self._steps(type_, name)
                value = item.value if type(item) is Element and type(item.value) is dict else item
                for step in steps[type_]:
                    step(value, found)
            return found

        return _derived(of, run, None, many=True)

    def _steps(self, type_: str, name: str) -> tuple[_Step, ...]:
        if type_ == TYPE_INFO and name in _INFORMATION:
            return (lambda item, found: found.append(item[name]) if name in item else None,)
        facts = self._element(type_, name)
        return tuple(self._described(choice) for choice in facts.choices) if facts else ()

    def _described(self, choice: Choice) -> _Step:
        """Return a step to items that say their types themselves."""
        member, type_, sibling = choice.json_name, choice.type, f"_{choice.json_name}"
        primitive, resource = self._types.is_primitive(type_), self._types.is_resource(type_)

        def step(item: Item, found: Items) -> None:
            if type(item) is not dict:
                if type(item) is Element and item.sibling:
                    found += [Element(value, type_) for value in _listed(item.sibling.get(member))]
                return
            value = item.get(member)
            if primitive and (value is not None or sibling in item):
                found += [Element(one, type_, beside) for one, beside in _pairs(value, item.get(sibling))]
            elif value is not None:
                values = value if type(value) is list else [value]
                found += values if resource else [Element(one, type_) for one in values]

        return step

    def _choice(self, inner: Run, choices: list[Choice]) -> Run:
        steps = {choice.json_name: self._described(choice) for choice in choices}
        siblings = {f"_{name}": step for name, step in steps.items()}
        members = frozenset({**steps, **siblings})

        def run(items: Items, scope: Scope) -> Items:
            found: Items = []
            for item in inner(items, scope):
                if members.isdisjoint(item):
                    continue
                for member in item:
                    if member in steps:
                        steps[member](item, found)
                    elif member in siblings and member[1:] not in item:
                        siblings[member](item, found)
            return found

        return run

    def _single(self, of: Typed, choice: Choice) -> Run:
        member, type_, inner = choice.json_name, choice.type, of.run
        if self._types.is_primitive(of.type):
            return _beside(inner, member)
        if self._types.is_primitive(type_):
            return _primitives(inner, member, type_)
        return _complex(inner, member)


def _derived(of: Typed, run: Run, type_: str | None, *, many: bool) -> Typed:
    return Typed(run=run, type=type_, many=many, constant=of.constant, costly=of.costly)


def _information(of: Typed, name: str) -> Typed:
    if name not in _INFORMATION:
        raise InvalidExpression(f"FHIRPath: a type has no element `{name}`.")
    inner = of.run
    return _derived(of, lambda items, scope: [i[name] for i in inner(items, scope) if name in i], STRING, many=of.many)


def _complex(inner: Run, member: str) -> Run:
    def run(items: Items, scope: Scope) -> Items:
        found: Items = []
        for item in inner(items, scope):
            value = item.get(member)
            if value is None:
                continue
            if type(value) is list:
                found += value
            else:
                found.append(value)
        return found

    return run


def _primitives(inner: Run, member: str, type_: str) -> Run:
    sibling = f"_{member}"

    def run(items: Items, scope: Scope) -> Items:
        found: Items = []
        for item in inner(items, scope):
            value = item.get(member)
            if sibling in item:
                found += [element(one, type_, beside) for one, beside in _pairs(value, item[sibling])]
            elif value is None:
                continue
            elif type(value) is list:
                found += [one for one in value if one is not None]
            else:
                found.append(value)
        return found

    return run


def _beside(inner: Run, member: str) -> Run:
    """Step to a primitive's id or extensions."""

    def run(items: Items, scope: Scope) -> Items:
        return [
            value
            for item in inner(items, scope)
            if type(item) is Element and item.sibling
            for value in _listed(item.sibling.get(member))
        ]

    return run


def _pairs(value: Any, sibling: Any) -> list[tuple[Any, Any]]:
    """Return a primitive's values with what stands beside each, leaving out places that hold nothing at all."""
    if type(value) is not list and type(sibling) is not list:
        return [] if value is None and not sibling else [(value, sibling)]
    values, siblings = _listed(value), _listed(sibling)
    longest = max(len(values), len(siblings))
    values += [None] * (longest - len(values))
    siblings += [None] * (longest - len(siblings))
    return [pair for pair in zip(values, siblings, strict=True) if pair[0] is not None or pair[1]]


def _listed(value: Any) -> list[Any]:
    return [*value] if type(value) is list else [] if value is None else [value]
