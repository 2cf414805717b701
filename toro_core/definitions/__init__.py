"""Compact facts of FHIR R4, compiled from the official packages and loaded type by type."""

from __future__ import annotations

from toro_core.definitions.catalog import Definitions, load
from toro_core.definitions.facts import (
    Choice,
    ComponentFacts,
    ElementFacts,
    InvariantFacts,
    Kind,
    SearchParameterFacts,
    SearchType,
    StructureFacts,
)
from toro_core.definitions.packages import PackageFacts
from toro_core.definitions.profile_facts import Discriminator, ElementRules, ProfileFacts, Slicing

__all__ = [
    "Choice",
    "ComponentFacts",
    "Definitions",
    "Discriminator",
    "ElementFacts",
    "ElementRules",
    "InvariantFacts",
    "Kind",
    "PackageFacts",
    "ProfileFacts",
    "SearchParameterFacts",
    "SearchType",
    "Slicing",
    "StructureFacts",
    "load",
]
