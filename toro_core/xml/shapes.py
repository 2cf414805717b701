"""What XML needs to know of FHIR's types and JSON does not say: the order of elements, and what their values are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from toro_core.definitions import Definitions, load
from toro_core.definitions.facts import Choice, ElementFacts

__all__ = ["DEFAULT_XHTML", "FHIR", "XHTML", "Content", "Member", "Shape", "Shapes"]

FHIR: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"
DEFAULT_XHTML: Final[Any] = {None: XHTML}
"""Formatted text without prefixes, as lxml is told it."""

Content: TypeAlias = Literal["text", "number", "boolean", "xhtml", "complex", "resource"]
"""What an element holds: a primitive by what it is in JSON, formatted text, elements, or a whole resource."""

_NUMBERS: Final = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An element of a structure, or of a choice the one for a type. `place` orders the elements; all of a choice have the same."""

    name: str
    tag: str
    type: str
    content: Content
    place: int
    repeats: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The elements of a structure by JSON name and by XML tag, and the names of those that are attributes."""

    members: Mapping[str, Member]
    tags: Mapping[str, Member]
    attributes: frozenset[str]
    is_resource: bool
    is_primitive: bool


class Shapes:
    """The shapes of R4's types, each made when it is first asked for. Profiles do not change how XML is written."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._made: dict[str, Shape] = {}

    def shape(self, structure: str) -> Shape:
        """Return the shape of a resource, data type or backbone element. Raises KeyError where there is none."""
        if structure not in self._made:
            self._made[structure] = self._shape(structure)
        return self._made[structure]

    def is_resource(self, name: str) -> bool:
        """Say whether that is a concrete resource type."""
        return name in self._definitions.resource_types

    @cached_property
    def _definitions(self) -> Definitions:
        return load()

    def _shape(self, structure: str) -> Shape:
        facts = self._definitions.structure(structure)
        attributes = frozenset(
            name
            for name in facts.elements
            if (name == "id" and facts.kind != "resource") or (name == "url" and structure == "Extension")
        )
        members = {
            choice.json_name: self._member(element, choice, place)
            for place, element in enumerate(facts.elements.values())
            if element.name not in attributes
            for choice in element.choices
        }
        return Shape(
            members=members,
            tags={member.tag: member for member in members.values()},
            attributes=attributes,
            is_resource=facts.kind == "resource",
            is_primitive=facts.kind == "primitive",
        )

    def _member(self, element: ElementFacts, choice: Choice, place: int) -> Member:
        content = self._content(choice.type)
        return Member(
            name=choice.json_name,
            tag=f"{{{XHTML if content == 'xhtml' else FHIR}}}{choice.json_name}",
            type=choice.type,
            content=content,
            place=place,
            repeats=element.repeats,
        )

    def _content(self, type_name: str) -> Content:
        if type_name == "xhtml":
            return "xhtml"
        if type_name == "boolean":
            return "boolean"
        if type_name in _NUMBERS:
            return "number"
        kind = self._definitions.structure(type_name).kind
        if kind == "resource":
            return "resource"
        return "text" if kind == "primitive" else "complex"
