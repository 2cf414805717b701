"""Values that a Parameters resource carries: `valueCode`, a resource, or parts that make up an element without a type of its own.

https://hl7.org/fhir/R4/parameters.html
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

from toro_core.definitions import Choice, Definitions, ElementFacts
from toro_core.json import JsonObject, JsonValue
from toro_core.patching.members import insert, listed, put
from toro_core.rejections import InvalidPatch, PatchFailed

__all__ = ["Member", "Value", "parts_of", "value_in"]


class Member(NamedTuple):
    """What a JSON object gets: `value` under `name`, and for a primitive's id or extensions `sibling` under `_name`."""

    name: str
    value: JsonValue
    sibling: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value as sent: `suffix` is its type as in `valueString`, "" for a resource and for parts."""

    suffix: str
    value: JsonValue
    sibling: JsonValue = None
    parts: tuple[tuple[str, Value], ...] = ()

    def on(self, element: ElementFacts, definitions: Definitions) -> Member:
        """Return it as the value of an element. Raises PatchFailed where the element has no such type."""
        choice = self._choice(element)
        if self.parts:
            return Member(choice.json_name, _object(self.parts, choice.type, definitions), None)
        # A patch may be applied again, and what it is applied to is changed in place.
        return Member(choice.json_name, deepcopy(self.value), deepcopy(self.sibling))

    def _choice(self, element: ElementFacts) -> Choice:
        if len(element.choices) == 1:
            return element.choices[0]
        for choice in element.choices:
            if choice.json_name == f"{element.name}{self.suffix}":
                return choice
        raise PatchFailed("The patch gives an element a value of a type it cannot have; nothing was written.")


def parts_of(holder: JsonObject, member: str) -> list[JsonObject]:
    """Return the parameters or parts in a member. Raises InvalidPatch."""
    found = holder.get(member, [])
    if not isinstance(found, list) or not all(isinstance(part, dict) for part in found):
        raise InvalidPatch("The patch is no valid Parameters resource; its parameters and parts are arrays of objects.")
    return [part for part in found if isinstance(part, dict)]


def value_in(part: JsonObject) -> Value:
    """Read what a part carries. Raises InvalidPatch."""
    names = [name for name in part if name.startswith(("value", "_value"))]
    suffixes = {name.lstrip("_").removeprefix("value") for name in names}
    if len(suffixes) == 1 and "part" not in part:
        (suffix,) = suffixes
        return Value(suffix=suffix, value=part.get(f"value{suffix}"), sibling=part.get(f"_value{suffix}"))
    if not names and isinstance(part.get("resource"), dict):
        return Value(suffix="", value=part["resource"])
    parts = parts_of(part, "part")
    if names or not parts:
        raise InvalidPatch("A part of the patch carries no value, or more than one; send one value, resource or parts.")
    return Value(suffix="", value=None, parts=tuple((str(each.get("name")), value_in(each)) for each in parts))


def _object(parts: tuple[tuple[str, Value], ...], type_: str, definitions: Definitions) -> JsonObject:
    elements = definitions.structure(type_).elements
    made: JsonObject = {}
    for name, value in parts:
        element = elements.get(name)
        if element is None:
            raise PatchFailed("The patch names an element that its type does not have; nothing was written.")
        member = value.on(element, definitions)
        if element.repeats:
            insert(made, member.name, len(listed(made, member.name)), member.value, member.sibling)
        else:
            put(made, *member)
    return made
