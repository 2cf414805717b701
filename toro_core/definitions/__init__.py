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

__all__ = [
    "Choice",
    "ComponentFacts",
    "Definitions",
    "ElementFacts",
    "InvariantFacts",
    "Kind",
    "SearchParameterFacts",
    "SearchType",
    "StructureFacts",
    "load",
]
