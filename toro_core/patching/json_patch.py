"""JSON Patch (RFC 6902) with JSON Pointer (RFC 6901), on trees whose numbers keep their digits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from toro_core.json import JsonObject, JsonValue, loads_array
from toro_core.rejections import InvalidPatch, PatchFailed

__all__ = ["JsonPatch", "parse_json_patch"]

_MAX_OPERATIONS: Final = 10_000
_MAX_COPIED: Final = 1_000_000
"""Values that all `copy` operations of a patch may make: copies of copies grow without end."""
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)

_Pointer: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    op: str
    path: _Pointer
    start: _Pointer = ()
    value: JsonValue = None


def parse_json_patch(body: bytes) -> JsonPatch:
    """Read a JSON Patch document. Raises InvalidJson, InvalidPatch."""
    given = loads_array(body)
    if len(given) > _MAX_OPERATIONS:
        raise InvalidPatch(f"The patch has more than {_MAX_OPERATIONS} operations; split it.")
    return JsonPatch([_operation(number, one) for number, one in enumerate(given)])


class JsonPatch:
    """Operations, applied in order, all or none."""

    def __init__(self, operations: Sequence[_Operation]) -> None:
        """Take operations that `parse_json_patch` has read."""
        self._operations = tuple(operations)

    def apply(self, resource: JsonObject) -> JsonObject:
        """Return the patched resource; the one given is used up. Raises PatchFailed."""
        document = _Document(resource)
        for number, operation in enumerate(self._operations):
            try:
                document.act(operation)
            except _Refused as refused:
                raise PatchFailed(f"Operation {number} ({operation.op}) {refused}; nothing was written.") from None
        if not isinstance(document.root, dict):
            raise PatchFailed("The patch leaves no resource; nothing was written.")
        return document.root


class _Refused(Exception):
    """What does not apply, as the rest of a sentence."""


class _Document:
    """A tree being changed."""

    def __init__(self, root: JsonValue) -> None:
        self.root = root
        self._copied = 0
        self._acts: dict[str, Callable[[_Operation], None]] = {
            "add": lambda given: self._add(given.path, self._copy(given.value)),
            "copy": lambda given: self._add(given.path, self._copy(self._value(given.start))),
            "move": self._move,
            "remove": lambda given: self._remove(given.path),
            "replace": self._replace,
            "test": self._test,
        }

    def act(self, operation: _Operation) -> None:
        self._acts[operation.op](operation)

    def _add(self, path: _Pointer, value: JsonValue) -> None:
        if not path:
            self.root = value
            return
        holder, name = self._holder(path)
        if isinstance(holder, dict):
            holder[name] = value
        elif name == "-":
            holder.append(value)
        else:
            holder.insert(_index(name, len(holder) + 1), value)

    def _remove(self, path: _Pointer) -> None:
        if not path:
            raise _Refused("removes the whole resource")
        self._value(path)
        holder, name = self._holder(path)
        if isinstance(holder, dict):
            del holder[name]
        else:
            del holder[_index(name, len(holder))]

    def _replace(self, given: _Operation) -> None:
        self._value(given.path)
        value = self._copy(given.value)
        if not given.path:
            self.root = value
            return
        holder, name = self._holder(given.path)
        if isinstance(holder, dict):
            holder[name] = value
        else:
            holder[_index(name, len(holder))] = value

    def _move(self, given: _Operation) -> None:
        value = self._value(given.start)
        if given.path == given.start:
            return
        if given.path[: len(given.start)] == given.start:
            raise _Refused("moves a value into itself")
        self._remove(given.start)
        self._add(given.path, value)

    def _test(self, given: _Operation) -> None:
        if not _equal(self._value(given.path), given.value):
            raise _Refused("finds another value than the one expected")

    def _value(self, path: _Pointer) -> JsonValue:
        value = self.root
        for name in path:
            value = _step(value, name)
        return value

    def _holder(self, path: _Pointer) -> tuple[JsonObject | list[JsonValue], str]:
        holder = self._value(path[:-1])
        if not isinstance(holder, dict | list):
            raise _Refused("leads into a value that is neither object nor array")
        return holder, path[-1]

    def _copy(self, value: JsonValue) -> JsonValue:
        self._copied += 1
        if self._copied > _MAX_COPIED:
            raise _Refused("copies too much")
        if isinstance(value, dict):
            return {name: self._copy(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._copy(inner) for inner in value]
        return value


def _step(value: JsonValue, name: str) -> JsonValue:
    if isinstance(value, dict):
        if name not in value:
            raise _Refused("leads to a member that is not there")
        return value[name]
    if isinstance(value, list):
        return value[_index(name, len(value))]
    raise _Refused("leads into a value that is neither object nor array")


def _index(name: str, end: int) -> int:
    if not _INDEX.fullmatch(name) or int(name) >= end:
        raise _Refused("leads to a place in an array that is not there")
    return int(name)


def _equal(one: JsonValue, other: JsonValue) -> bool:
    """Compare as RFC 6902, 4.6 says: numbers by their value, members in any order."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_equal(*pair) for pair in zip(one, other, strict=True))
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _operation(number: int, given: JsonValue) -> _Operation:
    def refuse(text: str) -> InvalidPatch:
        return InvalidPatch(f"Operation {number} of the patch {text}.")

    if not isinstance(given, dict):
        raise refuse("is not an object; send a JSON Patch document (RFC 6902)")
    op = given.get("op")
    if op not in ("add", "copy", "move", "remove", "replace", "test"):
        raise refuse("has no known `op`: add, copy, move, remove, replace or test")
    if op in ("add", "replace", "test") and "value" not in given:
        raise refuse("has no `value`")
    pointers = {}
    for name in ("path", "from") if op in ("copy", "move") else ("path",):
        text = given.get(name)
        if not isinstance(text, str) or not (text == "" or text.startswith("/")) or re.search("~(?![01])", text):
            raise refuse(f"has a `{name}` that is no JSON Pointer, as in /name/0/family")
        pointers[name] = tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])
    return _Operation(op=cast(str, op), path=pointers["path"], start=pointers.get("from", ()), value=given.get("value"))
