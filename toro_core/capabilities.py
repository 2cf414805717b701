"""What the running core can do, said for the facade to publish."""

from __future__ import annotations

from importlib.metadata import version

from toro_core.definitions import Definitions
from toro_core.operations.contract import Operation
from toro_core.operations.registry import Operations
from toro_core.search.compile import MODIFIERS
from toro_core.search.extract import Extractor
from toro_core.search.layout import Searchable
from toro_core.settings import Settings
from toro_core.storage import Capability, Storage
from toro_core.v1 import (
    GetCapabilitiesResponse,
    Interaction,
    OperationCapability,
    SearchParameterCapability,
    TypeCapability,
)

__all__ = ["capabilities"]

_ALWAYS = (
    Interaction.INTERACTION_READ,
    Interaction.INTERACTION_SEARCH_TYPE,
    Interaction.INTERACTION_CREATE,
    Interaction.INTERACTION_UPDATE,
    Interaction.INTERACTION_PATCH,
    Interaction.INTERACTION_DELETE,
)
_OF_HISTORY = (Interaction.INTERACTION_VREAD, Interaction.INTERACTION_HISTORY_INSTANCE)
_OF_ORDER: frozenset[Capability] = frozenset(("history", "ordered_changes"))
"""What a storage needs for histories of more than one resource."""


def capabilities(
    definitions: Definitions, extractor: Extractor, storage: Storage, settings: Settings, operations: Operations
) -> GetCapabilitiesResponse:
    """Say what this core does for every type, on this storage."""
    declared = storage.capabilities
    of_types = (Interaction.INTERACTION_HISTORY_TYPE,) if declared >= _OF_ORDER else ()
    interactions = (*_ALWAYS, *(_OF_HISTORY if "history" in declared else ()), *of_types)
    return GetCapabilitiesResponse(
        fhir_version=definitions.fhir_version,
        software_version=version("toro-fhir"),
        types=[_type(name, interactions, definitions, extractor) for name in sorted(definitions.resource_types)],
        storage_capabilities=sorted(declared),
        max_body=settings.max_body,
        definitions_digest=definitions.digest,
        interactions=_system(declared),
        operations=[
            *(_operation(operation, built_in=True) for operation in operations.own),
            *(_operation(operation, built_in=False) for operation in operations.of_plugins),
        ],
    )


def _system(declared: frozenset[Capability]) -> list[Interaction]:
    transaction = [Interaction.INTERACTION_TRANSACTION] if "transactions" in declared else []
    history = [Interaction.INTERACTION_HISTORY_SYSTEM] if declared >= _OF_ORDER else []
    return [Interaction.INTERACTION_BATCH, *transaction, *history]


def _operation(operation: Operation, *, built_in: bool) -> OperationCapability:
    facts = operation.facts
    return OperationCapability(
        code=facts.code,
        definition=facts.url,
        system="system" in facts.levels,
        type="type" in facts.levels,
        instance="instance" in facts.levels,
        resource_types=facts.types,
        affects_state=facts.affects_state,
        built_in=built_in,
    )


def _type(
    resource_type: str, interactions: tuple[Interaction, ...], definitions: Definitions, extractor: Extractor
) -> TypeCapability:
    return TypeCapability(
        resource_type=resource_type,
        interactions=interactions,
        search_parameters=[
            SearchParameterCapability(
                code=searchable.facts.code,
                type=searchable.facts.type,
                definition=searchable.facts.url,
                targets=_targets(searchable, definitions),
                modifiers=MODIFIERS[searchable.facts.type],
            )
            for _, searchable in sorted(extractor.searchables(resource_type).items())
        ],
        supported_profiles=definitions.supported_profiles(resource_type),
    )


def _targets(searchable: Searchable, definitions: Definitions) -> tuple[str, ...]:
    facts = searchable.facts
    if facts.type != "reference" or "Reference" not in searchable.types:
        return ()
    return ("*",) if len(facts.targets) >= len(definitions.resource_types) - 1 else facts.targets
