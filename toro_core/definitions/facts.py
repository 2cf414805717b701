"""What the core knows of FHIR's types: elements, cardinalities, codes and search parameters, without prose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "Choice",
    "ComponentFacts",
    "ElementFacts",
    "InvariantFacts",
    "Kind",
    "SearchParameterFacts",
    "SearchType",
    "StructureFacts",
]

Kind: TypeAlias = Literal["resource", "complex", "primitive", "backbone"]
SearchType: TypeAlias = Literal[
    "composite", "date", "number", "quantity", "reference", "special", "string", "token", "uri"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One type an element may have and the JSON member that carries it; a backbone element's type is its path."""

    json_name: str
    type: str
    targets: tuple[str, ...] = ()
    """The resource types a Reference may lead to; none given where any will do. For a Quantity the profile it follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvariantFacts:
    """A FHIRPath constraint, which has to hold of each value of what carries it."""

    key: str
    severity: Literal["error", "warning"]
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementFacts:
    """An element of a structure. `name` is "value" for value[x]; max None is unbounded."""

    name: str
    choices: tuple[Choice, ...]
    min: int
    max: int | None
    value_set: str | None = None
    """The canonical, without version, of the value set outside of which no code is allowed."""
    code_optional: bool = False
    """Whether text alone will do."""
    leans_on: str | None = None
    """The value set of an extensible binding, whose codes have to be used where one applies."""
    invariants: tuple[InvariantFacts, ...] = ()
    """Those of this element alone; its type and its structure have their own."""

    @property
    def repeats(self) -> bool:
        """Say whether JSON holds it in an array."""
        return self.max != 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureFacts:
    """A type or backbone element, inherited elements included, in the order of the definition.

    `name` is "Observation", "Observation.component", "Quantity" or "code"; `base` names the parent type.
    """

    name: str
    kind: Kind
    base: str | None
    elements: Mapping[str, ElementFacts]
    members: Mapping[str, tuple[ElementFacts, Choice]]
    """The elements by JSON member name."""
    invariants: tuple[InvariantFacts, ...] = ()
    """Those of the structure itself, inherited ones included. The rules every element or resource has are not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentFacts:
    """A part of a composite parameter: a parameter of the same type, its expression relative to the composite's."""

    code: str
    type: SearchType
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParameterFacts:
    """A search parameter of one resource type; `expression` has only the alternatives that apply to that type."""

    code: str
    type: SearchType
    url: str
    expression: str
    targets: tuple[str, ...] = ()
    components: tuple[ComponentFacts, ...] = ()
