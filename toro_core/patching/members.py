"""Members of FHIR's JSON objects: a primitive's id and extensions stand beside it, `_given` beside `given`.

https://hl7.org/fhir/R4/json.html#primitive
"""

from __future__ import annotations

from typing import Any, cast

from toro_core.json import JsonObject, JsonValue

__all__ = ["insert", "listed", "put", "set_sibling"]


def listed(holder: JsonObject, member: str) -> list[JsonValue]:
    """Return the array under a member, a new one where there is none."""
    return cast("list[JsonValue]", holder.get(member) or [])


def put(holder: JsonObject, member: str, value: JsonValue, sibling: JsonValue) -> None:
    """Set an element that does not repeat."""
    if value is not None:
        holder[member] = value
    else:
        holder.pop(member, None)
    if sibling is not None:
        holder[f"_{member}"] = sibling


def insert(holder: JsonObject, member: str, index: int, value: JsonValue, sibling: JsonValue) -> None:
    """Put a value into an array, which is made where it is missing."""
    values = listed(holder, member)
    beside = holder.get(f"_{member}")
    values.insert(index, value)
    holder[member] = values
    if isinstance(beside, list):
        beside.insert(index, None)
    set_sibling(holder, member, index, sibling)


def set_sibling(holder: JsonObject, member: str, index: int, sibling: JsonValue) -> None:
    """Set what stands beside a primitive in a list; an array of nothing but null is left out."""
    name = f"_{member}"
    given: Any = holder.get(name)
    beside: list[JsonValue] = given if isinstance(given, list) else [None] * len(listed(holder, member))
    beside[index] = sibling
    if any(one is not None for one in beside):
        holder[name] = beside
    else:
        holder.pop(name, None)
