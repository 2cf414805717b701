"""One defect at a time, at every place of every published type: each is found where it is."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from toro_core.definitions import Definitions, ElementFacts, StructureFacts
from toro_core.validation import Validator

_PRIMITIVES = {"boolean", "decimal", "integer", "positiveInt", "unsignedInt"}
_DATES = {"date", "dateTime", "instant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A defective resource: what was done to it, and the FHIRPath place of the defect."""

    defect: str
    resource: dict[str, Any]
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """An object in a resource: the JSON path that leads to it, its place, and its structure."""

    path: tuple[str | int, ...]
    place: str
    facts: StructureFacts
    node: dict[str, Any]


def remade(resource: dict[str, Any], path: tuple[str | int, ...], change: Any) -> dict[str, Any]:
    """Return a copy in which `change(parent, last step)` was made at a path."""
    result = copy.deepcopy(resource)
    parent: Any = result
    for step in path[:-1]:
        parent = parent[step]
    change(parent, path[-1])
    return result


def mutants_of(resource: dict[str, Any], definitions: Definitions) -> Iterator[Mutant]:
    """Yield a resource's mutants, one defect at a time, of structure, formats, codes and references."""
    name = resource["resourceType"]
    for spot in _spots(resource, (), name, definitions.structure(name), definitions):
        yield from _on_object(resource, spot)
        for key, value in spot.node.items():
            if key in spot.facts.members:
                element, choice = spot.facts.members[key]
                place = f"{spot.place}.{element.name}"
                yield from _on_member(resource, (*spot.path, key), place, element, choice.type, value)
                if choice.type == "Reference" and choice.targets:
                    yield from _on_reference(resource, (*spot.path, key), place, element, choice.targets, value)


def _spots(
    node: Any, path: tuple[str | int, ...], place: str, facts: StructureFacts, definitions: Definitions
) -> Iterator[_Spot]:
    yield _Spot(path=path, place=place, facts=facts, node=node)
    for key, value in node.items():
        if key not in facts.members:
            continue
        element, choice = facts.members[key]
        below = definitions.structure(choice.type)
        if below.kind == "primitive" or choice.type in ("Resource", "Extension"):
            continue
        here = f"{place}.{element.name}"
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _spots(item, (*path, key, index), f"{here}[{index}]", below, definitions)
        else:
            yield from _spots(value, (*path, key), here, below, definitions)


def _on_object(resource: dict[str, Any], spot: _Spot) -> Iterator[Mutant]:
    def made(defect: str, change: Any, place: str) -> Mutant:
        changed = remade(resource, (*spot.path, "?"), lambda parent, _: change(parent))
        return Mutant(defect=defect, resource=changed, place=place)

    yield made("unknown element", lambda node: node.update(surprise="x"), f"{spot.place}.surprise")
    for element in spot.facts.elements.values():
        given = [choice.json_name for choice in element.choices if choice.json_name in spot.node]
        if element.min and given:
            yield made("required element missing", lambda node, n=given[0]: node.pop(n), f"{spot.place}.{element.name}")
        other = next((c for c in element.choices if given and c.json_name != given[0] and c.type == "string"), None)
        if len(element.choices) > 1 and other is not None:
            change = lambda node, n=other.json_name: node.update({n: "x"})  # noqa: E731
            yield made("two types of a choice", change, f"{spot.place}.{element.name}")


def _on_member(
    resource: dict[str, Any], path: tuple[str | int, ...], place: str, element: ElementFacts, type_: str, value: Any
) -> Iterator[Mutant]:
    def made(defect: str, new: Any, at: str = place, where: tuple[str | int, ...] = path) -> Mutant:
        changed = remade(resource, where, lambda parent, step: parent.__setitem__(step, new))
        return Mutant(defect=defect, resource=changed, place=at)

    if isinstance(value, list):
        yield made("object instead of array", value[0])
        yield made("empty array", [])
        item, at, where = value[0], f"{place}[0]", (*path, 0)
    else:
        yield made("array instead of one", [value])
        item, at, where = value, place, path
    yield made("null", None, at, where)
    if isinstance(item, dict):
        yield made("string instead of object", "x", at, where)
        yield made("empty object", {}, at, where)
    else:
        yield made("object instead of primitive", {"value": "x"}, at, where)
        yield made("other JSON type", "x y" if type_ in _PRIMITIVES else 7, at, where)
        if isinstance(item, str):
            yield made("empty string", "", at, where)
    if type_ in _DATES:
        yield made("no such day", "2023-02-30", at, where)
        yield made("other date format", "02/03/2023", at, where)
    if type_ == "id":
        yield made("no id", "a b", at, where)
    if type_ == "code" and element.value_set and "mimetypes" not in element.value_set:
        yield made("code of no value set", "no-such-code", at, where)
    if type_ == "CodeableConcept" and element.value_set and not element.code_optional and isinstance(item, dict):
        wrong = {"coding": [{"system": "http://example.org/codes", "code": "x"}]}
        yield made("concept of no value set", wrong, at, where)


def _on_reference(
    resource: dict[str, Any],
    path: tuple[str | int, ...],
    place: str,
    element: ElementFacts,
    targets: tuple[str, ...],
    value: Any,
) -> Iterator[Mutant]:
    at, where = (f"{place}[0]", (*path, 0)) if isinstance(value, list) else (place, path)
    wrong = next(name for name in ("Slot", "Basic") if name not in targets)
    for defect, reference, here in (
        ("reference to another type", f"{wrong}/1", at),
        ("reference to another type elsewhere", f"https://example.org/fhir/{wrong}/1", at),
        ("reference to nothing contained", "#nowhere", f"{at}.reference"),
    ):
        new = {"reference": reference}
        changed = remade(resource, where, lambda parent, step, n=new: parent.__setitem__(step, n))
        yield Mutant(defect=defect, resource=changed, place=here)


def places(validator: Validator, resource: dict[str, Any]) -> set[str]:
    issues = validator.validate(resource).issues
    return {issue.expressions[0] for issue in issues if issue.severity == "error" and issue.expressions}


def test_the_samples_are_sound(samples: dict[str, dict[str, Any]], validator: Validator) -> None:
    for resource in samples.values():
        assert places(validator, resource) == set()


def test_defects_of_structure_formats_codes_and_references_are_found_at_their_place(
    samples: dict[str, dict[str, Any]], validator: Validator, definitions: Definitions
) -> None:
    missed: Counter[str] = Counter()
    made: Counter[str] = Counter()
    for key, resource in samples.items():
        found = list(mutants_of(resource, definitions))
        for mutant in random.Random(key).sample(found, min(len(found), 150)):  # noqa: S311  # any will do
            made[key.partition(" ")[0]] += 1
            if mutant.place not in places(validator, mutant.resource):
                missed[f"{key}: {mutant.defect} at {mutant.place}"] += 1
    assert len(made) == 15
    assert made.total() >= 1500
    assert missed.total() <= made.total() * 0.005, missed
