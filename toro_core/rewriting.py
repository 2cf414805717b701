"""The links in a resource, found where the definitions put them, and rewritten. https://hl7.org/fhir/R4/http.html#trules

Rewritten are `Reference.reference`, elements of type uri and url, and what `<a href>` and `<img src>` in narratives lead to, in
contained resources and extensions too. Left alone are canonicals, as the specification says, oids and uuids, which could not
hold an address of this server, and a Bundle inside of a resource, whose links are its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from toro_core.definitions import Choice, Definitions
from toro_core.json import JsonObject

__all__ = ["Links", "references", "rewritten"]

_ADDRESSES: Final = frozenset(("uri", "url"))
_NARRATIVE: Final = re.compile(r"(<(?:a|img)\b[^<>]*?\s(?:href|src)\s*=\s*)(\"[^\"<>]*\"|'[^'<>]*')")

_Change: TypeAlias = "Callable[[Any, Links], Any]"
"""Returns the value with its links rewritten: the very same object where none changes."""


class Links(Protocol):
    """What becomes of a link; it is left alone where the same text is returned."""

    def reference(self, text: str) -> str:
        """Return what stands instead in a Reference."""

    def address(self, text: str) -> str:
        """Return what stands instead in a uri, a url or a narrative."""


def rewritten(resource: JsonObject, links: Links, definitions: Definitions) -> JsonObject:
    """Return the resource with its links rewritten; what does not change is shared. It need not be valid."""
    if resource.get("resourceType") == "Bundle":
        return resource
    changed: JsonObject = definitions.derived(_Structures).resource(resource, links)
    return changed


def references(resource: JsonObject, definitions: Definitions) -> tuple[str, ...]:
    """Return the text of every Reference in a resource, each once."""
    found = _Collected()
    rewritten(resource, found, definitions)
    return tuple(found.texts)


class _Collected:
    """Changes nothing, and remembers."""

    def __init__(self) -> None:
        self.texts: dict[str, None] = {}

    def reference(self, text: str) -> str:
        self.texts[text] = None
        return text

    def address(self, text: str) -> str:
        return text


class _Structures:
    """A table of members for each structure, made when it is first met."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._tables: dict[str, dict[str, _Change]] = {}

    def resource(self, value: Any, links: Links) -> Any:
        """Walk a resource of any type but Bundle."""
        name = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(name, str) or name not in self._definitions.resource_types or name == "Bundle":
            return value
        return self._object(name, value, links)

    def _object(self, name: str, value: Any, links: Links) -> Any:
        if type(value) is not dict:
            return value
        table = self._tables.get(name) or self._table(name)
        changed = value
        for member, inner in value.items():
            change = table.get(member)
            if change is not None and (new := change(inner, links)) is not inner:
                if changed is value:
                    changed = dict(value)
                changed[member] = new
        return changed

    def _table(self, name: str) -> dict[str, _Change]:
        table: dict[str, _Change] = {}
        for member, (_, choice) in self._definitions.structure(name).members.items():
            if (change := self._change(name, member, choice)) is not None:
                table[member] = _each(change)
            if self._definitions.structure(choice.type).kind == "primitive":
                table[f"_{member}"] = _each(self._walk(choice.type))
        self._tables[name] = table
        return table

    def _change(self, name: str, member: str, choice: Choice) -> _Change | None:
        if (name, member) == ("Reference", "reference"):
            return _text(lambda text, links: links.reference(text))
        if (name, member) == ("Narrative", "div"):
            return _text(_narrative)
        if choice.type in _ADDRESSES:
            return _text(lambda text, links: links.address(text))
        if choice.type == "Resource":
            return self.resource
        return None if self._definitions.structure(choice.type).kind == "primitive" else self._walk(choice.type)

    def _walk(self, name: str) -> _Change:
        return lambda value, links: self._object(name, value, links)


def _each(change: _Change) -> _Change:
    """Apply a change to a value or to each of an array."""

    def run(value: Any, links: Links) -> Any:
        if type(value) is not list:
            return change(value, links)
        new = [change(one, links) for one in value]
        return value if all(one is other for one, other in zip(new, value, strict=True)) else new

    return run


def _text(change: Callable[[str, Links], str]) -> _Change:
    def run(value: Any, links: Links) -> Any:
        if type(value) is not str:
            return value
        new = change(value, links)
        return value if new == value else new

    return run


def _narrative(div: str, links: Links) -> str:
    def replaced(found: re.Match[str]) -> str:
        quote, text = found[2][0], found[2][1:-1]
        plain = text.replace("&amp;", "&")
        new = plain if plain.startswith("#") else links.address(plain)
        return found[0] if new == plain else f"{found[1]}{quote}{new.replace('&', '&amp;')}{quote}"

    return _NARRATIVE.sub(replaced, div)
