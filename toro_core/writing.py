"""FHIR create and update in the core: parse, check, authorise, stamp, commit. https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from toro_core.access import Access, Decision, Forbidden, permits
from toro_core.caller import Caller
from toro_core.definitions import Definitions
from toro_core.errors import AlreadyExists, Gone, Issue, NotFound, PreconditionFailed
from toro_core.json import JsonObject, loads
from toro_core.reading import Reader, missing
from toro_core.rejections import InvalidResource, UpdateCreateNotAllowed
from toro_core.resources import body, new_id
from toro_core.search.extract import Extractor
from toro_core.storage import ABSENT, Body, Expect, Key, Rows, Storage, Stored, Version, Write
from toro_core.validation.structure import check

__all__ = ["Draft", "Drafter", "Writer"]

_INLINE: Final = 256 << 10
"""Bytes up to which a body is parsed on the event loop; a larger one is parsed on a thread, so that others go on."""
_ATTEMPTS: Final = 100
"""Of so many that update a resource at once, each gets its turn: in every round one of them wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A checked resource, ready to be written."""

    body: Body
    rows: Rows


class Drafter:
    """Makes drafts of JSON: the one way a client's resource becomes a stored one."""

    def __init__(self, definitions: Definitions, extractor: Extractor) -> None:
        """Check by these definitions."""
        self._definitions = definitions
        self._extractor = extractor

    async def draft(self, json: bytes, key: Key, *, same_id: bool) -> Draft:
        """Parse, check and lay out a resource under this key. Raises InvalidJson, InvalidResource.

        `same_id` demands that the resource names the key's id itself, as an update has to.
        """
        if len(json) <= _INLINE:
            return self._draft(json, key, same_id)
        return await asyncio.to_thread(self._draft, json, key, same_id)

    def _draft(self, json: bytes, key: Key, same_id: bool) -> Draft:
        resource = loads(json)
        issues = [*_identity(resource, key, same_id), *check(resource, self._definitions)]
        if any(issue.severity in {"error", "fatal"} for issue in issues):
            raise InvalidResource(issues=tuple(issues))
        return Draft(body=body(resource, key.id), rows=self._extractor.rows(resource))


def _identity(resource: JsonObject, key: Key, same_id: bool) -> list[Issue]:
    issues = []
    found = resource.get("resourceType")
    if isinstance(found, str) and found != key.type:
        text = f"resourceType is not {key.type}, which the request names; send the resource to its own type."
        issues.append(Issue(code="invalid", diagnostics=text, expressions=(f"{key.type}.resourceType",)))
    if same_id and resource.get("id") != key.id:
        text = "id is not the one the request names; send the resource with the same id."
        issues.append(Issue(code="invalid", diagnostics=text, expressions=(f"{key.type}.id",)))
    return issues


class Writer:
    """Writes what a caller may write."""

    def __init__(self, storage: Storage, drafter: Drafter, reader: Reader, access: Access) -> None:
        """Write to this storage."""
        self._storage = storage
        self._drafter = drafter
        self._reader = reader
        self._access = access
        self._commits: set[asyncio.Task[Sequence[Stored]]] = set()

    async def create(self, caller: Caller, resource_type: str, json: bytes) -> Stored:
        """Store a resource under a new id. Raises Forbidden, InvalidJson, InvalidResource."""
        self._access.decide(caller, resource_type, "c")
        key = Key(resource_type, new_id())
        draft = await self._drafter.draft(json, key, same_id=False)
        self._authorise(caller, "c", key, draft.rows)
        return await self._commit(Write(key=key, body=draft.body, rows=draft.rows, expect=ABSENT))

    async def update(
        self, caller: Caller, key: Key, json: bytes, *, expected: int | None, allow_missing: bool
    ) -> tuple[Stored, bool]:
        """Store a new version and say whether it is the first one.

        `expected` is the version the current one has to be. Without it the last update wins, over the version it was authorised
        against. Raises Forbidden, InvalidJson, InvalidResource, PreconditionFailed, NotFound, Gone, UpdateCreateNotAllowed.
        """
        decision = self._access.decide(caller, key.type, "u")
        draft = await self._drafter.draft(json, key, same_id=True)
        for attempt in range(_ATTEMPTS):
            current = await self._current(key)
            if not await self._knows(decision, current, may_create=allow_missing and expected is None):
                raise missing(key)
            expect = _expectation(current, expected, allow_missing)
            creates = expect == ABSENT
            self._authorise(caller, "c" if creates else "u", key, draft.rows)
            write = Write(key=key, body=draft.body, rows=draft.rows, expect=expect)
            try:
                return await self._commit(write), creates
            except (PreconditionFailed, AlreadyExists):
                if expected is not None or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("the loop returns or raises")

    async def _current(self, key: Key) -> Stored | None:
        try:
            return await self._storage.read(key)
        except NotFound:
            return None

    async def _knows(self, decision: Decision, current: Stored | None, *, may_create: bool) -> bool:
        """Say whether the caller may learn what is there: to a constrained one, hidden and absent look the same."""
        if current is None:
            return may_create or decision.unconstrained
        return await self._reader.sees(decision, current)

    def _authorise(self, caller: Caller, permission: str, key: Key, rows: Rows) -> None:
        decision = self._access.decide(caller, key.type, permission)
        if not permits(decision, key, time.time_ns() // 1_000_000, rows):
            raise Forbidden(f"system/{key.type}.{permission}")

    async def _commit(self, write: Write) -> Stored:
        """Commit on a task of its own: a caller who leaves does not stop what is queued."""
        task = asyncio.ensure_future(self._storage.commit([write]))
        self._commits.add(task)  # the loop holds tasks weakly
        task.add_done_callback(self._commits.discard)
        (stored,) = await asyncio.shield(task)
        return stored


def _expectation(current: Stored | None, expected: int | None, allow_missing: bool) -> Expect:
    """Say what the commit has to find, given what was read. Raises PreconditionFailed, Gone, UpdateCreateNotAllowed."""
    if current is not None and not current.deleted:
        if expected not in (None, current.version):
            raise PreconditionFailed
        return Version(current.version)
    if expected is not None:
        raise PreconditionFailed("There is no current version of this resource to update; create it instead.")
    if not allow_missing:
        raise Gone if current else UpdateCreateNotAllowed
    return ABSENT
