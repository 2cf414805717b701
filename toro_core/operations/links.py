"""What a resource leads to on this server: the references in it, and the Binaries that its attachments name."""

from __future__ import annotations

from toro_core.json import JsonObject
from toro_core.references import Local
from toro_core.rewriting import rewritten
from toro_core.search.extract import Extractor
from toro_core.storage import Key

__all__ = ["targets"]


def targets(resource: JsonObject, extractor: Extractor) -> tuple[Key, ...]:
    """Return what a resource, or a part of one with its `resourceType`, leads to: each once, in the order of the JSON."""
    found = _Found(extractor)
    rewritten(resource, found, extractor.definitions)
    return tuple(found.keys)


class _Found:
    """Changes no link, and remembers where it leads."""

    def __init__(self, extractor: Extractor) -> None:
        self._parse = extractor.references.parse
        self.keys: dict[Key, None] = {}

    def reference(self, text: str) -> str:
        if isinstance(local := self._parse(text), Local):
            self.keys[Key(local.type, local.id)] = None
        return text

    def address(self, text: str) -> str:
        # Other addresses are names of things, which only look as if they led to them.
        if isinstance(local := self._parse(text), Local) and local.type == "Binary":
            self.keys[Key(local.type, local.id)] = None
        return text
