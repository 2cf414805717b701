"""FHIRPath Patch: operations in a Parameters resource. https://hl7.org/fhir/R4/fhirpatch.html"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from toro_core.definitions import Definitions
from toro_core.json import JsonObject, loads
from toro_core.patching.members import insert, listed, put, set_sibling
from toro_core.patching.parameters import Value, parts_of, value_in
from toro_core.patching.paths import Place, Places, compile_path
from toro_core.rejections import InvalidPatch, PatchFailed

__all__ = ["FhirPathPatch", "parse_fhirpath_patch"]

_MAX_OPERATIONS: Final = 1_000
_NEEDS: Final = {
    "add": ("name", "value"),
    "delete": (),
    "insert": ("index", "value"),
    "move": ("source", "destination"),
    "replace": ("value",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    type: str
    find: Callable[[JsonObject], Places]
    name: str = ""
    value: Value | None = None
    index: int = 0
    source: int = 0
    destination: int = 0


def parse_fhirpath_patch(body: bytes | JsonObject, definitions: Definitions) -> FhirPathPatch:
    """Read a Parameters resource. Raises InvalidJson, InvalidPatch."""
    given = loads(body) if isinstance(body, bytes) else body
    if given.get("resourceType") != "Parameters":
        raise InvalidPatch("A FHIRPath Patch is a Parameters resource; send one.")
    parameters = parts_of(given, "parameter")
    if len(parameters) > _MAX_OPERATIONS:
        raise InvalidPatch(f"The patch has more than {_MAX_OPERATIONS} operations; split it.")
    return FhirPathPatch([_operation(number, part, definitions) for number, part in enumerate(parameters)], definitions)


class FhirPathPatch:
    """Operations, applied in order, all or none."""

    def __init__(self, operations: Sequence[_Operation], definitions: Definitions) -> None:
        """Take operations that `parse_fhirpath_patch` has read."""
        self._operations = tuple(operations)
        self._definitions = definitions
        self._acts: dict[str, Callable[[_Operation, Places], None]] = {
            "add": self._add,
            "delete": self._delete,
            "insert": self._insert,
            "move": self._move,
            "replace": self._replace,
        }

    def apply(self, resource: JsonObject) -> JsonObject:
        """Return the patched resource; the one given is used up. Raises InvalidPatch, PatchFailed."""
        for number, operation in enumerate(self._operations):
            try:
                self._acts[operation.type](operation, operation.find(resource))
            except _Refused as refused:
                raise PatchFailed(f"Operation {number} ({operation.type}) {refused}; nothing was written.") from None
        return resource

    def _add(self, operation: _Operation, places: Places) -> None:
        place = _one(places)
        if not isinstance(place.value, dict):
            raise _Refused("adds to a value that has no elements")
        element = self._definitions.structure(place.type).elements.get(operation.name)
        if element is None or operation.value is None:
            raise _Refused("names an element that its type does not have")
        member, value, sibling = operation.value.on(element, self._definitions)
        if element.repeats:
            insert(place.value, member, len(listed(place.value, member)), value, sibling)
        elif any(f"{mark}{choice.json_name}" in place.value for choice in element.choices for mark in ("", "_")):
            raise _Refused("adds an element that is there already and does not repeat")
        else:
            put(place.value, member, value, sibling)

    def _delete(self, operation: _Operation, places: Places) -> None:
        if places:
            place = _one(places)
            if place.element is None:
                raise _Refused("deletes the whole resource")
            _remove(place)

    def _insert(self, operation: _Operation, places: Places) -> None:
        place = _list_of(places)
        if place.element is None or operation.value is None or operation.index > len(places):
            raise _Refused("inserts at a place that is not in the list")
        member, value, sibling = operation.value.on(place.element, self._definitions)
        insert(place.holder, member, operation.index, value, sibling)

    def _move(self, operation: _Operation, places: Places) -> None:
        place = _list_of(places)
        if max(operation.source, operation.destination) >= len(places):
            raise _Refused("moves from or to a place that is not in the list")
        for member in (place.member, f"_{place.member}"):
            if isinstance(values := place.holder.get(member), list):
                values.insert(operation.destination, values.pop(operation.source))

    def _replace(self, operation: _Operation, places: Places) -> None:
        place = _one(places)
        if place.element is None or operation.value is None:
            raise _Refused("replaces the whole resource")
        member, value, sibling = operation.value.on(place.element, self._definitions)
        if place.index is None:
            place.holder.pop(f"_{place.member}", None)
            if member != place.member:
                del place.holder[place.member]
            put(place.holder, member, value, sibling)
        else:
            listed(place.holder, member)[place.index] = value
            set_sibling(place.holder, member, place.index, sibling)


class _Refused(Exception):
    """What does not apply, as the rest of a sentence."""


def _one(places: Places) -> Place:
    if len(places) != 1:
        raise _Refused("finds " + ("nothing" if not places else "several elements") + " at its path, which names one")
    return places[0]


def _list_of(places: Places) -> Place:
    """Return the first element of the one list that the places are, whole and in order."""
    first = places[0] if places else None
    if (
        first is None
        or first.index is None
        or any(
            place.holder is not first.holder or place.member != first.member or place.index != index
            for index, place in enumerate(places)
        )
        or len(places) != len(listed(first.holder, first.member))
    ):
        raise _Refused("finds no whole list at its path")
    return first


def _remove(place: Place) -> None:
    for member in (place.member, f"_{place.member}"):
        values = place.holder.get(member)
        if place.index is not None and isinstance(values, list):
            del values[place.index]
            if any(one is not None for one in values):
                continue
        place.holder.pop(member, None)


def _operation(number: int, parameter: JsonObject, definitions: Definitions) -> _Operation:
    def refuse(text: str) -> InvalidPatch:
        return InvalidPatch(f"Operation {number} of the patch {text}.")

    if parameter.get("name") != "operation":
        raise refuse("is not a parameter named `operation`")
    parts = {str(part.get("name")): part for part in parts_of(parameter, "part")}
    type_ = parts.get("type", {}).get("valueCode")
    path = parts.get("path", {}).get("valueString")
    if type_ not in _NEEDS:
        raise refuse("has no known `type`: add, insert, delete, replace or move, as valueCode")
    if not isinstance(path, str):
        raise refuse("has no `path`, as valueString")
    for needed in _NEEDS[str(type_)]:
        if needed not in parts:
            raise refuse(f"has no `{needed}`")
    numbers: dict[str, int] = {}
    for name in ("index", "source", "destination"):
        given = parts.get(name, {}).get("valueInteger", 0)
        if not isinstance(given, int) or isinstance(given, bool) or given < 0:
            raise refuse(f"has a `{name}` that is no whole number from 0, as valueInteger")
        numbers[name] = given
    element = parts.get("name", {}).get("valueString", "")
    return _Operation(
        type=str(type_),
        find=compile_path(path, definitions),
        name=element if isinstance(element, str) else "",
        value=value_in(parts["value"]) if "value" in parts else None,
        **numbers,
    )
