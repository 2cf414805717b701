"""What profiles and extension definitions demand beyond the type they constrain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from toro_core.definitions.facts import InvariantFacts

__all__ = ["Discriminator", "DiscriminatorType", "ElementRules", "ProfileFacts", "Slicing"]

DiscriminatorType: TypeAlias = Literal["value", "pattern", "exists", "type", "profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discriminator:
    """What tells the slices of an element apart; `path` is a simple FHIRPath such as `code.coding` or `$this`."""

    type: DiscriminatorType
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicing:
    """How an element is sliced."""

    discriminators: tuple[Discriminator, ...]
    rules: Literal["open", "closed", "openAtEnd"] = "open"
    ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementRules:
    """What a profile demands of one element; what is None or empty is as its type has it."""

    min: int | None = None
    max: int | None = None
    types: tuple[str, ...] = ()
    """The types left of a choice."""
    targets: tuple[str, ...] = ()
    """The resource types a Reference may lead to."""
    target_profiles: tuple[str, ...] = ()
    """Canonicals of types and profiles of which the resource a Reference leads to has to follow one."""
    profiles: tuple[str, ...] = ()
    """Canonicals of profiles of which the value has to follow one."""
    fixed: Any = None
    """The value it has to equal."""
    pattern: Any = None
    """What it has to contain."""
    value_set: str | None = None
    code_optional: bool = False
    leans_on: str | None = None
    """The value set of an extensible binding."""
    min_value: Any = None
    max_value: Any = None
    max_length: int | None = None
    """Characters a text may have."""
    invariants: tuple[InvariantFacts, ...] = ()
    slicing: Slicing | None = None
    slices: Mapping[str, ElementRules]
    children: Mapping[str, ElementRules]
    """By element name, "value" for value[x]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFacts:
    """A profile of a resource or data type, or an extension definition."""

    url: str
    version: str
    package: str
    type: str
    contexts: tuple[str, ...]
    """Where an extension may stand: element paths; none given where anywhere."""
    modifier: bool
    """Whether an extension changes the meaning of what it stands on."""
    codes: frozenset[tuple[str, str]]
    """Systems and codes of which `code` has to have one: what the profile is about. Empty where that does not tell."""
    root: ElementRules
