"""The exposure policy: what partners may do. Routes, 405s, the CapabilityStatement and the documented table derive from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from toro_core.settings import Settings, SettingsError
from toro_core.v1 import GetCapabilitiesResponse, Interaction, OperationCapability

__all__ = [
    "CODES",
    "INTERACTIONS",
    "OPERATIONS",
    "PUBLISHED",
    "SUPPORTING",
    "Grant",
    "Policy",
    "Published",
    "published_table",
    "running_policy",
]

Grant = Literal["read", "search", "create", "update"]

CODES: Final[Mapping[Grant, tuple[str, ...]]] = {
    "read": ("read", "vread", "history-instance"),
    "search": ("search-type",),
    "create": ("create",),
    "update": ("update", "patch"),
}
"""The R4 interactions each grant stands for: http://hl7.org/fhir/restful-interaction"""

INTERACTIONS: Final[Mapping[Interaction, str]] = {
    Interaction.INTERACTION_READ: "read",
    Interaction.INTERACTION_VREAD: "vread",
    Interaction.INTERACTION_HISTORY_INSTANCE: "history-instance",
    Interaction.INTERACTION_HISTORY_TYPE: "history-type",
    Interaction.INTERACTION_SEARCH_TYPE: "search-type",
    Interaction.INTERACTION_CREATE: "create",
    Interaction.INTERACTION_UPDATE: "update",
    Interaction.INTERACTION_PATCH: "patch",
    Interaction.INTERACTION_DELETE: "delete",
}
"""The interactions with a type that the facade knows, by what the core calls them."""

_SYSTEM: Final[Mapping[Interaction, str]] = {
    Interaction.INTERACTION_BATCH: "batch",
    Interaction.INTERACTION_TRANSACTION: "transaction",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A row of the published table."""

    types: tuple[str, ...]
    grants: tuple[Grant, ...]


PUBLISHED: Final = (
    Published(
        types=("Patient", "Encounter", "Condition", "Appointment"),
        grants=("read", "search", "create", "update"),
    ),
    Published(
        types=(
            "Observation",
            "MedicationRequest",
            "AllergyIntolerance",
            "Immunization",
            "DocumentReference",
            "ServiceRequest",
            "DiagnosticReport",
        ),
        grants=("read", "search", "create"),
    ),
    Published(
        types=("Practitioner", "MedicationStatement", "Account", "Coverage"),
        grants=("read", "search"),
    ),
)
"""What partners are promised: fifteen types."""

SUPPORTING: Final = Published(
    types=(
        "Organization",
        "Location",
        "Medication",
        "PractitionerRole",
        "Provenance",
        "Procedure",
        "Composition",
        "Group",
        "Binary",
        "Device",
        "CarePlan",
        "CareTeam",
        "Goal",
        "RelatedPerson",
        "Schedule",
        "Slot",
        "Specimen",
    ),
    grants=("read", "search"),
)
"""What the published types refer to: a closed list."""

OPERATIONS: Final[tuple[str, ...]] = (
    "batch",
    "transaction",
    "$validate",
    "$everything",
    "$document",
    "$docref",
    "$export",
)
"""Operations that are published, as far as they are live; those of plugins are where they are named, or everything is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What answers: by type, the R4 interactions that are live; types and interactions in the order they are listed in."""

    types: Mapping[str, tuple[str, ...]]
    operations: tuple[str, ...]
    system_history: bool = False
    invoked: tuple[OperationCapability, ...] = ()
    """What of these is invoked by `$` and a code."""

    @property
    def readable(self) -> tuple[str, ...]:
        """The types that may be read, and so may be included in what is found."""
        return tuple(name for name, codes in self.types.items() if "read" in codes)

    @property
    def searchable(self) -> tuple[str, ...]:
        """The types that may be searched."""
        return tuple(name for name, codes in self.types.items() if "search-type" in codes)


def running_policy(settings: Settings, capabilities: GetCapabilitiesResponse) -> Policy:
    """Intersect what the settings expose with what the core can do. Raises SettingsError on an unknown operation."""
    able = {
        known.resource_type: [INTERACTIONS[i] for i in known.interactions if i in INTERACTIONS]
        for known in capabilities.types
    }
    if settings.expose == "full":
        wanted = {name: tuple(INTERACTIONS.values()) for name in able}
    else:
        wanted = _wanted((*PUBLISHED, SUPPORTING) if settings.supporting else PUBLISHED)
    types = {name: tuple(code for code in codes if code in able.get(name, ())) for name, codes in wanted.items()}
    operations = _operations(settings, capabilities)
    return Policy(
        types={name: codes for name, codes in types.items() if codes},
        operations=operations,
        invoked=tuple(known for known in capabilities.operations if f"${known.code}" in operations),
        system_history=settings.expose == "full"
        and Interaction.INTERACTION_HISTORY_SYSTEM in capabilities.interactions,
    )


def published_table() -> str:
    """Render the published and the supporting rows as the Markdown table of the documentation."""
    lines = ["| type | REST interactions |", "|---|---|"]
    for row in (*PUBLISHED, SUPPORTING):
        lines.append(f"| {', '.join(row.types)} | {' · '.join(row.grants)} |")
    return "\n".join(lines) + "\n"


def _wanted(rows: tuple[Published, ...]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(code for grant in row.grants for code in CODES[grant]) for row in rows for name in row.types}


def _operations(settings: Settings, capabilities: GetCapabilitiesResponse) -> tuple[str, ...]:
    able = [_SYSTEM[interaction] for interaction in capabilities.interactions if interaction in _SYSTEM]
    able += dict.fromkeys(f"${known.code}" for known in capabilities.operations)
    if "snapshot_scan" in capabilities.storage_capabilities:
        able.append("$export")
    named = settings.operations
    if named is None:
        named = (*OPERATIONS, *able) if settings.expose == "full" else OPERATIONS
    elif unknown := [name for name in named if name not in (*OPERATIONS, *able)]:
        known = ", ".join(dict.fromkeys((*OPERATIONS, *able)))
        raise SettingsError(
            f"operations names {unknown[0]!r}, which is no operation of this server; there are: {known}"
        )
    return tuple(name for name in dict.fromkeys(named) if name in able)
