"""What Bundles have to keep to beyond their invariants: https://hl7.org/fhir/R4/bundle.html#bundle-unique"""

from __future__ import annotations

from typing import Any

from toro_core.validation.context import Context
from toro_core.validation.findings import Problems, problem

__all__ = ["check_entry"]


def check_entry(entry: Any, context: Context) -> Problems | None:
    """Check that an entry's fullUrl, where it is the address of a resource, ends with the id of the resource in it."""
    url, resource = entry.get("fullUrl"), entry.get("resource")
    name = resource.get("id") if isinstance(resource, dict) else None
    if isinstance(url, str) and isinstance(name, str) and url.startswith("http") and not url.endswith(f"/{name}"):
        return problem("value", "names another resource than the id of the one in the entry; send the same.", "fullUrl")
    return None
