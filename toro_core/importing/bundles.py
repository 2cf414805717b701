"""A Bundle to the resources its entries hold, with references among them turned from `fullUrl` into `Type/id`.

https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from toro_core.json import JsonObject, JsonValue
from toro_core.resources import new_id

__all__ = ["unbundle"]

_STORED = ("POST", "PUT", None)


def unbundle(bundle: JsonObject) -> Iterator[tuple[JsonObject | None, str]]:
    """Yield each entry's resource, or None and why there is none to store.

    A resource keeps its id, else takes the one its PUT names, else gets a new one. A document or message Bundle is itself a
    resource and is yielded whole.
    """
    if bundle.get("type") in ("document", "message"):
        yield bundle, ""
        return
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        yield None, "Bundle.entry is not a list"
        return
    taken = [_take(entry) for entry in entries]
    targets = dict(_targets(entries, taken))
    for resource, why in taken:
        if resource is not None:
            _rewrite(resource, targets)
        yield resource, why


def _take(entry: Any) -> tuple[JsonObject | None, str]:
    if not isinstance(entry, dict):
        return None, "the entry is not an object"
    resource, request = entry.get("resource"), entry.get("request")
    method = request.get("method") if isinstance(request, dict) else None
    if method not in _STORED:
        return None, "only entries that create or update are imported"
    if not isinstance(resource, dict):
        return None, "the entry has no resource"
    if "id" not in resource:
        url = request.get("url") if isinstance(request, dict) and method == "PUT" else None
        named = url.rpartition("/")[2] if isinstance(url, str) and "?" not in url else ""
        return {"resourceType": resource.get("resourceType"), "id": named or new_id()} | resource, ""
    return resource, ""


def _targets(entries: list[JsonValue], taken: list[tuple[JsonObject | None, str]]) -> Iterator[tuple[str, str]]:
    for entry, (resource, _) in zip(entries, taken, strict=True):
        url = entry.get("fullUrl") if isinstance(entry, dict) else None
        if isinstance(url, str) and resource is not None:
            yield url, f"{resource.get('resourceType')}/{resource.get('id')}"


def _rewrite(resource: JsonObject, targets: dict[str, str]) -> None:
    """Rewrite `Reference.reference` wherever it stands. Walks by a list of its own, so depth is no matter."""
    waiting: list[Any] = [resource]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            reference = value.get("reference")
            if isinstance(reference, str) and reference in targets:
                value["reference"] = targets[reference]
