"""What a reference means to a server that knows its own addresses. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Local", "References", "is_id"]

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Local(NamedTuple):
    """A resource of this server; `version` is "" where the reference names none."""

    type: str
    id: str
    version: str


def is_id(text: str) -> bool:
    """Say whether this can be a resource's logical id."""
    return _ID.fullmatch(text) is not None


class References:
    """Reads reference strings, given the base addresses under which the server's resources are known."""

    def __init__(self, service_bases: Sequence[str], resource_types: Collection[str]) -> None:
        """Take bases with or without a slash at their end."""
        self._bases = tuple(f"{base.rstrip('/')}/" for base in service_bases)
        self._types = frozenset(resource_types)
        self._remembered = lru_cache(maxsize=4096)(self._parse)  # neighbours refer to the same few resources

    def parse(self, text: str) -> Local | str | None:
        """Return a resource of this server, or an address elsewhere as it is, or None for what leads nowhere.

        `Patient/1`, `BASE/Patient/1` and `Patient/1/_history/2` are of this server; `#id`, `urn:uuid:…`, searches and
        relative addresses of another shape lead nowhere.
        """
        return self._remembered(text)

    def type_of(self, text: str) -> str:
        """Return the type that an address such as `BASE/Patient/1/_history/2` names, wherever its base; "" where none."""
        parts = text.partition("/_history/")[0].rsplit("/", 2)
        return parts[-2] if len(parts) > 1 and parts[-2] in self._types else ""

    def _parse(self, text: str) -> Local | str | None:
        if text.startswith(self._bases):
            base = next(base for base in self._bases if text.startswith(base))
            return self._local(text[len(base) :]) or text
        local = self._local(text)
        if local is None and _ABSOLUTE.match(text) and not text.lower().startswith("urn:uuid:"):
            return text
        return local

    def _local(self, text: str) -> Local | None:
        type_, _, rest = text.partition("/")
        if type_ not in self._types:
            return None
        id_, history, version = rest.partition("/_history/")
        if not is_id(id_) or (history and not is_id(version)):
            return None
        return Local(type_, id_, version)
