"""FHIR $document: a Composition with all it refers to. https://hl7.org/fhir/R4/composition-operation-document.html

The same versions give the same bytes: the document's identifier is made of the names of its versions, its timestamp is the
newest of their times, and its entries stand in the order in which they are referred to.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from toro_core.access import Access, Decision, Forbidden, permits
from toro_core.binaries import SecurityContexts
from toro_core.caller import Caller
from toro_core.errors import NotFound, TooCostly
from toro_core.json import JsonObject, dumps, loads
from toro_core.operations.contract import (
    Answer,
    InvalidArguments,
    Invocation,
    OperationFacts,
    ParameterFacts,
    Resources,
)
from toro_core.operations.links import targets
from toro_core.reading import Reader
from toro_core.rejections import IncompleteDocument, NotExposed
from toro_core.search.extract import Extractor
from toro_core.storage import Key, Storage, Stored, instant

__all__ = ["Documents"]

_MOST: Final = 5_000
_AT_ONCE: Final = 100
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "http://hl7.org/fhir/OperationDefinition/Composition-document")


class Documents:
    """Puts documents together."""

    facts: Final = OperationFacts(
        code="document",
        url="http://hl7.org/fhir/OperationDefinition/Composition-document",
        levels=("type", "instance"),
        types=("Composition",),
        parameters=(
            ParameterFacts(name="id", type="uri"),
            ParameterFacts(name="persist", type="boolean"),
            ParameterFacts(name="graph", type="uri"),
        ),
    )

    def __init__(
        self,
        storage: Storage,
        extractor: Extractor,
        access: Access,
        reader: Reader,
        contexts: SecurityContexts,
        *,
        max_bytes: int,
    ) -> None:
        """Read from this storage; a document has at most `max_bytes`."""
        self._storage = storage
        self._extractor = extractor
        self._access = access
        self._reader = reader
        self._contexts = contexts
        self._max_bytes = max_bytes

    async def invoke(self, invocation: Invocation) -> Answer:
        """Answer with the document. Raises InvalidArguments and what `generate` raises."""
        given = invocation.arguments
        if given.text("graph"):
            raise InvalidArguments("graph is not supported: what the Composition refers to makes the document.")
        return await self.generate(
            invocation.caller,
            self._composition(invocation),
            base_url=invocation.base_url,
            persist=given.flag("persist"),
            readable=invocation.readable,
            creatable=invocation.creatable,
            resources=invocation.resources,
        )

    async def generate(
        self,
        caller: Caller,
        key: Key,
        *,
        base_url: str,
        persist: bool,
        readable: frozenset[str] | None,
        creatable: frozenset[str] | None,
        resources: Resources,
    ) -> Answer:
        """Return a document, and with `persist` store it, once for the same versions.

        What the Composition itself refers to has to be there and to be seen; of what that refers to, what can be seen comes
        too. Raises Forbidden, NotFound, Gone, IncompleteDocument, TooCostly and what storing raises.
        """
        if persist:
            self._access.decide(caller, "Bundle", "cu")
            if creatable is not None and "Bundle" not in creatable:
                raise NotExposed("Bundles are not stored here; leave persist out.")
        composition = await self._reader.read(caller, key, None)
        assembly = _Assembly(self._extractor, self._max_bytes)
        assembly.add(composition, direct=True)
        while wanted := assembly.next(_AT_ONCE):
            allowed = {name: self._decision(caller, name, readable, assembly) for name in {key.type for key in wanted}}
            asked = [key for key in wanted if allowed[key.type]]
            for key, stored in zip(asked, await self._storage.read_many(asked), strict=True):
                decision = allowed[key.type]
                if stored is not None and decision and await self._sees(caller, decision, stored):
                    assembly.add(stored)
                elif key in assembly.direct:
                    raise IncompleteDocument(f"The Composition refers to {key}, which does not exist.")
        name, json = assembly.document(base_url)
        if not persist:
            return Answer(json=json)
        stored = await self._stored(resources, Key("Bundle", name), json)
        return Answer(json=stored.json, stored=stored)

    def _composition(self, invocation: Invocation) -> Key:
        given = invocation.arguments.text("id")
        if invocation.id:
            if given:
                raise InvalidArguments("id is given beside the id in the address; leave it out.")
            return Key("Composition", invocation.id)
        if not given:
            raise InvalidArguments("id is missing: it says which Composition; or invoke $document on the Composition.")
        text = given if "/" in given else f"Composition/{given}"
        local = self._extractor.references.parse(text)
        if isinstance(local, str | None) or local.type != "Composition":
            raise InvalidArguments("id is not the id of a Composition of this server.")
        return Key("Composition", local.id)

    def _decision(
        self, caller: Caller, resource_type: str, readable: frozenset[str] | None, assembly: _Assembly
    ) -> Decision | None:
        """Return what of a type may be in the document. Raises where the Composition itself refers to one that may not."""
        needed = any(key.type == resource_type for key in assembly.direct)
        if readable is not None and resource_type not in readable:
            if needed:
                raise IncompleteDocument(f"The Composition refers to {resource_type} resources, not to be read here.")
            return None
        try:
            return self._access.decide(caller, resource_type, "r")
        except Forbidden:
            if needed:
                raise
            return None

    async def _sees(self, caller: Caller, decision: Decision, stored: Stored) -> bool:
        if stored.deleted or await self._contexts.hide(caller, stored):
            return False
        return decision.unconstrained or permits(
            decision, stored.key, stored.at, self._extractor.rows(loads(stored.json))
        )

    async def _stored(self, resources: Resources, key: Key, json: bytes) -> Stored:
        """Store a document, unless this very one is there already."""
        try:
            there = await self._storage.read(key)
        except NotFound:
            return await resources.put(key, json)
        if not there.deleted and {**loads(there.json), "meta": None} == {**loads(json), "meta": None}:
            return there
        return await resources.put(key, json)


class _Assembly:
    """A document being put together: what is in it, and what is still to be looked at, in the order of the references."""

    def __init__(self, extractor: Extractor, max_bytes: int) -> None:
        self._extractor = extractor
        self._room = max_bytes
        self._entries: list[Stored] = []
        self._seen: dict[Key, None] = {}
        self._looked = 0
        self._subjects: frozenset[Key] = frozenset()
        self.direct: frozenset[Key] = frozenset()

    def add(self, stored: Stored, *, direct: bool = False) -> None:
        """Put a resource in; where it is the Composition, all it refers to has to follow."""
        self._room -= len(stored.json)
        if len(self._entries) >= _MOST or self._room < 0:
            raise TooCostly(
                f"The document would have more than {_MOST} resources or be larger than this server allows."
            )
        resource = loads(stored.json)
        if direct:
            resource.pop("relatesTo", None)  # another document, not a part of this one
            self._seen[stored.key] = None
            self._looked = 1
        found = targets(resource, self._extractor)
        if direct:
            self.direct = frozenset(found) - {stored.key}
            self._subjects = frozenset(key for key in found if key.type == "Patient")
        self._entries.append(stored)
        # Whom another Patient's record or a Group names is no part of what is said here of this one.
        followed = [key for key in found if key.type != "Patient" or key in self._subjects]
        self._seen |= dict.fromkeys(followed)

    def next(self, most: int) -> Sequence[Key]:
        """Return what has to be looked at next, at most so many."""
        keys = list(self._seen)[self._looked : self._looked + most]
        # A Binary may be large, so each is read by itself.
        binary = next((n for n, key in enumerate(keys) if key.type == "Binary"), most)
        keys = keys[: binary or 1]
        self._looked += len(keys)
        return keys

    def document(self, base_url: str) -> tuple[str, bytes]:
        """Return the document's id and its bytes."""
        versions = "\n".join(f"{stored.key}/_history/{stored.version}" for stored in self._entries)
        name = str(uuid.uuid5(_NAMESPACE, f"{base_url}\n{versions}"))
        head: JsonObject = {
            "resourceType": "Bundle",
            "id": name,
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{name}"},
            "type": "document",
            "timestamp": instant(max(stored.at for stored in self._entries)),
        }
        entries = b",".join(
            b'{"fullUrl":%s,"resource":%s}' % (dumps(f"{base_url}/{stored.key}"), stored.json)
            for stored in self._entries
        )
        return name, dumps(head)[:-1] + b',"entry":[' + entries + b"]}"
