"""Which current resources have a token, a reference or a place in a compartment: where a search looks first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from toro_core.storage import Key
from toro_ndjson.versions import Head

__all__ = ["Kind", "Postings"]

Kind: TypeAlias = Literal["token", "reference", "compartment"]
_Found: TypeAlias = "tuple[Head, ...] | set[Head]"
_NOTHING: Final[Collection[Head]] = ()
_FEW: Final = 8
"""Resources that are kept without a set around them, which alone is larger; identifiers and encounters are many."""


class Postings:
    """By kind, type, parameter and value."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lists: dict[tuple[Kind, str, str], dict[str, _Found]] = {}

    def find(self, kind: Kind, type_: str, param: str, value: str) -> Collection[Head]:
        """Return the resources, a collection that is not to be changed and changes with the next commit."""
        return self._lists.get((kind, type_, param), {}).get(value, _NOTHING)

    def referrers(self, key: Key) -> Iterator[Head]:
        """Return the resources of every type that may refer to this one, some more than once."""
        for kind, type_, param in tuple(self._lists):
            if kind == "reference":
                yield from tuple(self.find(kind, type_, param, key.id))

    def add(self, head: Head, rows: Mapping[str, Any]) -> None:
        """Enter a resource by its rows, lists of lists."""
        for place, value in _entries(head.version.key.type, rows):
            found = self._lists.get(place)
            if found is None:
                found = self._lists[place] = {}
            present = found.get(value, ())
            if isinstance(present, set):
                present.add(head)
            elif head not in present:
                found[value] = {*present, head} if len(present) == _FEW else (*present, head)

    def remove(self, head: Head, rows: Mapping[str, Any]) -> None:
        """Take out what `add` entered."""
        for place, value in _entries(head.version.key.type, rows):
            found = self._lists[place]
            present = found.get(value, ())
            if isinstance(present, set):
                present.discard(head)
            elif head in present:
                present = found[value] = tuple(each for each in present if each is not head)
            if not present:
                found.pop(value, None)


def _entries(type_: str, rows: Mapping[str, Any]) -> Iterator[tuple[tuple[Kind, str, str], str]]:
    for param, _, code in rows.get("tokens", ()):
        yield ("token", type_, param), code
    for param, _, id_, _ in rows.get("references", ()):
        yield ("reference", type_, param), id_
    for id_ in rows.get("compartments", ()):
        yield ("compartment", type_, ""), id_
