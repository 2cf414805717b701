"""What links between the entries of a transaction become. https://hl7.org/fhir/R4/http.html#trules"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from toro_core.storage import Key

__all__ = ["EntryLinks", "Linked", "is_conditional"]

_QUERY: Final = re.compile(r"([A-Z][A-Za-z]*)\?.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A resource that an entry stands for, with the version it has after the commit."""

    key: Key
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLinks:
    """The links of one entry: `by_url` are the entries' resources by fullUrl, `found` what conditional references lead to.

    `root` is where the entry's relative references continue, as its own fullUrl says.
    """

    by_url: Mapping[str, Linked]
    found: Mapping[str, Key]
    root: str

    def reference(self, text: str) -> str:
        """Return the reference as it is stored; one to a version stays one to a version."""
        if text in self.found:
            return str(self.found[text])
        whole, mark, fragment = text.partition("#")
        url, history, _ = whole.partition("/_history/")
        linked = self._linked(url)
        if linked is None:
            return text
        version = f"/_history/{linked.version}" if history else ""
        return f"{linked.key}{version}{mark}{fragment}"

    def address(self, text: str) -> str:
        """Return an address as it is stored."""
        linked = self._linked(text)
        return str(linked.key) if linked else text

    def _linked(self, url: str) -> Linked | None:
        if not url:
            return None
        return self.by_url.get(url) or (self.by_url.get(self.root + url) if self.root else None)


def is_conditional(reference: str, types: Collection[str]) -> bool:
    """Say whether a reference is a search, `Practitioner?identifier=…`."""
    found = _QUERY.match(reference)
    return found is not None and found[1] in types
