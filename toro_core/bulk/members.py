"""The patients of a Group. https://hl7.org/fhir/R4/group.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from toro_core.bulk.job import Ask
from toro_core.json import JsonObject, loads
from toro_core.references import Local, References
from toro_core.storage import Key, Storage

__all__ = ["members", "members_of"]


async def members(storage: Storage, ask: Ask) -> frozenset[str] | None:
    """Return the ids of the patients whose compartments are exported; None stands for all of them."""
    asked = None if ask.patients is None else frozenset(ask.patients)
    if not ask.groups:
        return asked
    references = References((ask.base,) if ask.base else (), ("Patient", "Group"))
    found: set[str] = set()
    for id_, version in ask.groups:
        stored = await storage.read(Key("Group", id_), version)
        found.update(key.id for key in members_of(loads(stored.json), references) if key.type == "Patient")
    return frozenset(found) if asked is None else frozenset(found) & asked


def members_of(group: JsonObject, references: References) -> Iterator[Key]:
    """Yield the members of a Group that are on this server, but for those marked inactive."""
    listed: Any = group.get("member") or ()
    for member in listed:
        if member.get("inactive") is True:
            continue
        text = (member.get("entity") or {}).get("reference")
        found = references.parse(text) if isinstance(text, str) else None
        if isinstance(found, Local):
            yield Key(found.type, found.id)
