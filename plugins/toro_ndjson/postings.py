"""Which current resources have a token, a reference or a place in a compartment: where a search looks first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from toro_core.storage import Key
from toro_ndjson.versions import Head

__all__ = ["Kind", "Postings"]

Kind: TypeAlias = Literal["token", "reference", "compartment"]
_Found: TypeAlias = "tuple[Head, ...] | set[Head]"
_NOTHING: Final[tuple[Head, ...]] = ()
_NO_VALUES: Final[dict[str, _Found]] = {}
_FEW: Final = 8
"""Resources that are kept without a set around them, which alone is larger; identifiers and encounters are many."""


class Postings:
    """By kind, type and parameter; then by scope, a token's system or a reference's type; then by value, a code or an id."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lists: dict[tuple[Kind, str, str], dict[str, dict[str, _Found]]] = {}

    def find(self, kind: Kind, type_: str, param: str, scope: str | None, value: str) -> Collection[Head]:
        """Return the resources with this value, without a scope those of any; not to be changed, it changes with commits."""
        scopes = self._lists.get((kind, type_, param), {})
        if scope is not None:
            return scopes.get(scope, _NO_VALUES).get(value, _NOTHING)
        found = [each for values in scopes.values() if (each := values.get(value))]
        if len(found) < 2:
            return found[0] if found else _NOTHING
        return set().union(*found)

    def values(self, kind: Kind, type_: str, param: str, scope: str) -> Mapping[str, Collection[Head]]:
        """Return the resources of a scope by value; not to be changed, it changes with commits."""
        return self._lists.get((kind, type_, param), {}).get(scope, _NO_VALUES)

    def referrers(self, key: Key) -> Iterator[Head]:
        """Return the resources of every type that refer to this one, some more than once."""
        for kind, type_, param in tuple(self._lists):
            if kind == "reference":
                yield from tuple(self.find(kind, type_, param, key.type, key.id))

    def add(self, head: Head, rows: Mapping[str, Any]) -> None:
        """Enter a resource by its rows, lists of lists."""
        for place, scope, value in _entries(head.version.key.type, rows):
            found = self._lists.setdefault(place, {}).setdefault(scope, {})
            present = found.get(value, ())
            if isinstance(present, set):
                present.add(head)
            elif head not in present:
                found[value] = {*present, head} if len(present) == _FEW else (*present, head)

    def remove(self, head: Head, rows: Mapping[str, Any]) -> None:
        """Take out what `add` entered."""
        for place, scope, value in _entries(head.version.key.type, rows):
            found = self._lists[place][scope]
            present = found.get(value, ())
            if isinstance(present, set):
                present.discard(head)
            elif head in present:
                present = found[value] = tuple(each for each in present if each is not head)
            if not present:
                found.pop(value, None)


def _entries(type_: str, rows: Mapping[str, Any]) -> Iterator[tuple[tuple[Kind, str, str], str, str]]:
    for param, system, code in rows.get("tokens", ()):
        yield ("token", type_, param), system, code
    for param, target, id_, _ in rows.get("references", ()):
        yield ("reference", type_, param), target, id_
    for id_ in rows.get("compartments", ()):
        yield ("compartment", type_, ""), "", id_
