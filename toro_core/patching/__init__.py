"""Patches of resources: JSON Patch and FHIRPath Patch. https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from typing import Protocol

from toro_core.json import JsonObject

__all__ = ["Patch"]


class Patch(Protocol):
    """A patch understood. One patch may be applied several times, to different versions."""

    def apply(self, resource: JsonObject) -> JsonObject:
        """Return the patched resource; the one given is used up. Raises InvalidPatch, PatchFailed."""
