"""Binary: whose it is to see, and its content. https://hl7.org/fhir/R4/binary.html"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from toro_core.access import Access, Forbidden, permits, sees_everything
from toro_core.caller import Caller
from toro_core.errors import NotFound
from toro_core.json import loads
from toro_core.references import Local
from toro_core.search.extract import Extractor
from toro_core.storage import Key, Storage, Stored

__all__ = ["Content", "SecurityContexts"]

_DEEPEST: Final = 3
"""A context that is a Binary itself has a context of its own."""
_PLAIN: Final = re.compile(rb"[A-Za-z0-9+/=]*+")
_CHUNK: Final = 1 << 20


class _Reference(msgspec.Struct):
    reference: str = ""


class _Head(msgspec.Struct):
    """What is said of the content, without it."""

    contentType: str = ""  # noqa: N815 FHIR's name
    securityContext: _Reference | None = None  # noqa: N815


class _Data(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b'""')


_HEAD: Final = msgspec.json.Decoder(_Head)
_DATA: Final = msgspec.json.Decoder(_Data)


class Content:
    """The content of a stored Binary, decoded piece by piece: nothing of its size is held beside the JSON."""

    def __init__(self, json: bytes) -> None:
        """Take the Binary as stored."""
        head = _HEAD.decode(json)
        self.content_type: Final = head.contentType
        self.security_context: Final = head.securityContext.reference if head.securityContext else ""
        text = memoryview(_DATA.decode(json).data)[1:-1]
        if not _PLAIN.fullmatch(text):
            # FHIR allows white space inside, JSON its escapes.
            text = memoryview("".join(msgspec.json.decode(b'"' + bytes(text) + b'"', type=str).split()).encode())
        self._text = text
        self.size: Final = len(text) // 4 * 3 - bytes(text[-2:]).count(b"=")

    def chunks(self) -> Iterator[bytes]:
        """Give the content in chunks of 768 KiB."""
        for start in range(0, len(self._text), _CHUNK):
            yield binascii.a2b_base64(self._text[start : start + _CHUNK])


class SecurityContexts:
    """Hides a Binary from whoever may not read the resource that it names as its security context.

    A context that is not here, deleted or on another server cannot be judged: only who may see everything sees past it.
    """

    def __init__(self, storage: Storage, extractor: Extractor, access: Access) -> None:
        """Look contexts up in this storage."""
        self._storage = storage
        self._extractor = extractor
        self._access = access

    async def hide(self, caller: Caller, stored: Stored) -> bool:
        """Say whether the caller is not to see this version; only Binaries are hidden."""
        if stored.key.type != "Binary" or stored.deleted or sees_everything(caller):
            return False
        return not await self._open(caller, stored, _DEEPEST)

    async def _open(self, caller: Caller, stored: Stored, deep: int) -> bool:
        context = _HEAD.decode(stored.json).securityContext
        if context is None:
            return True
        local = self._extractor.references.parse(context.reference)
        if not isinstance(local, Local) or not deep:
            return False
        try:
            decision = self._access.decide(caller, local.type, "r")
            found = await self._storage.read(Key(local.type, local.id))
        except (Forbidden, NotFound):
            return False
        if found.deleted:
            return False
        if not decision.unconstrained and not permits(
            decision, found.key, found.at, self._extractor.rows(loads(found.json))
        ):
            return False
        return found.key.type != "Binary" or await self._open(caller, found, deep - 1)
