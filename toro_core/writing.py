"""FHIR create, update, patch and delete in the core: find, parse, check, authorise, stamp, commit. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from toro_core.access import Access, Forbidden, permits
from toro_core.caller import Caller
from toro_core.changes import Change, Done, Target
from toro_core.errors import (
    AlreadyExists,
    ConditionChanged,
    Gone,
    Issue,
    NotFound,
    PreconditionFailed,
    StillReferenced,
    StorageError,
)
from toro_core.json import JsonObject, dumps, loads
from toro_core.references import Local
from toro_core.rejections import InvalidPatch, InvalidResource, UnprocessableResource
from toro_core.resources import body
from toro_core.rewriting import references
from toro_core.search.extract import Extractor
from toro_core.storage import Body, Key, Rows, Storage, Stored, Write
from toro_core.targeting import Targeting
from toro_core.validation import Report, Validator

__all__ = ["OVERTAKEN", "Draft", "Drafter", "Integrity", "Patience", "Writer", "accepted", "content"]

_INLINE: Final = 256 << 10
"""Bytes up to which a body is parsed on the event loop; a larger one is parsed on a thread, so that others go on."""
_ATTEMPTS: Final = 100
"""Of so many that write a resource at once, each gets its turn: in every round one of them wins."""
_CONDITIONS: Final = 5
"""How often conditions are resolved anew that have changed meanwhile."""
OVERTAKEN: Final = (AlreadyExists, ConditionChanged, Gone, NotFound, PreconditionFailed)
"""What a commit raises where another one was faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrity:
    """Which references have to lead somewhere."""

    check_references: bool = False
    delete_referenced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A checked resource, ready to be written; `targets` are the resources of this server it refers to, where asked for.

    `issues` are warnings and information for whoever sent it.
    """

    body: Body
    rows: Rows
    targets: tuple[Key, ...] = ()
    issues: tuple[Issue, ...] = ()


class Drafter:
    """Makes drafts of JSON: the one way a client's resource becomes a stored one."""

    def __init__(self, validator: Validator, extractor: Extractor, *, with_targets: bool = False) -> None:
        """Check with this validator."""
        self._validator = validator
        self._definitions = validator.definitions
        self._extractor = extractor
        self._with_targets = with_targets

    async def draft(self, json: bytes, key: Key, *, same_id: bool) -> Draft:
        """Parse, check and lay out a resource under this key. Raises InvalidJson, InvalidResource, UnprocessableResource.

        `same_id` demands that the resource names the key's id itself, as an update has to.
        """
        if len(json) <= _INLINE:
            return self._draft(json, key, same_id)
        return await asyncio.to_thread(self._draft, json, key, same_id)

    def _draft(self, json: bytes, key: Key, same_id: bool) -> Draft:
        return self.lay_out(loads(json), key, same_id=same_id)

    def lay_out(self, resource: JsonObject, key: Key, *, same_id: bool) -> Draft:
        """Check and lay out a resource that is parsed already. Raises InvalidResource, UnprocessableResource."""
        issues = accepted(resource, key, self._validator.validate(resource), same_id=same_id)
        targets = self._targets(resource) if self._with_targets else ()
        named = resource if resource.get("id") == key.id else {**resource, "id": key.id}
        return Draft(body=body(resource, key.id), rows=self._extractor.rows(named), targets=targets, issues=issues)

    def _targets(self, resource: JsonObject) -> tuple[Key, ...]:
        parsed = (self._extractor.references.parse(text) for text in references(resource, self._definitions))
        return tuple(Key(local.type, local.id) for local in parsed if isinstance(local, Local))


def accepted(resource: JsonObject, key: Key, report: Report, *, same_id: bool) -> tuple[Issue, ...]:
    """Return what is to be told of a resource that may be written. Raises InvalidResource, UnprocessableResource."""
    wrong = _identity(resource, key, same_id)
    if wrong or report.broken == "base":
        raise InvalidResource(issues=(*wrong, *report.issues))
    if report.broken is not None:
        raise UnprocessableResource(issues=report.issues)
    return report.issues


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


class Patience:
    """How often one request is worked out anew because another one was faster."""

    def __init__(self) -> None:
        """Start with all of it."""
        self._rounds = self._conditions = 0

    def spend(self, error: StorageError) -> None:
        """Count one of `OVERTAKEN`, and raise it where it has been enough."""
        self._rounds += 1
        self._conditions += isinstance(error, ConditionChanged)
        if self._rounds >= _ATTEMPTS or self._conditions >= _CONDITIONS:
            raise error


class Writer:
    """Writes what a caller may write, one change in one commit."""

    def __init__(
        self, storage: Storage, drafter: Drafter, access: Access, targeting: Targeting, integrity: Integrity
    ) -> None:
        """Write to this storage."""
        self._storage = storage
        self._drafter = drafter
        self._access = access
        self._targeting = targeting
        self._integrity = integrity
        self._commits: set[asyncio.Task[Sequence[Stored]]] = set()

    async def change(self, caller: Caller, change: Change) -> Sequence[Done]:
        """Carry a change out and say what became of it: one thing, but for a conditional delete of none or several.

        Without an expected version the last update wins, over the version it was authorised against. Raises Forbidden, NotFound,
        Gone, PreconditionFailed, UpdateCreateNotAllowed, InvalidSearch, MultipleMatches, InvalidJson, InvalidResource,
        InvalidPatch, PatchFailed, UnprocessableResource, StillReferenced, TargetMissing.
        """
        patience = Patience()
        while True:
            targets = await self._targets(caller, change)
            written = [await self._write(caller, change, target) for target in targets if target.writes]
            writes = [write for write, _ in written]
            issues = iter(told for _, told in written)
            try:
                stored = iter(await self.commit(caller, writes) if writes else ())
            except OVERTAKEN as error:
                patience.spend(error)
                continue
            return [
                Done(outcome=target.outcome, stored=next(stored), issues=next(issues))
                if target.writes
                else Done(outcome=target.outcome, stored=target.current)
                for target in targets
            ]

    async def commit(self, caller: Caller, writes: Sequence[Write]) -> Sequence[Stored]:
        """Commit on a task of its own: a caller who leaves does not stop what is queued."""
        task = asyncio.ensure_future(self._storage.commit(writes))
        self._commits.add(task)  # the loop holds tasks weakly
        task.add_done_callback(self._commits.discard)
        try:
            return await asyncio.shield(task)
        except StillReferenced as error:
            raise self._visible(caller, error) from None

    def write(self, caller: Caller, change: Change, target: Target, draft: Draft | None) -> Write:
        """Make the write of a change; a deletion has no draft. Raises Forbidden."""
        key, expect, conditions = target.key, target.expect, target.conditions
        if draft is None:
            unreferenced = not self._integrity.delete_referenced
            return Write(key=key, body=None, expect=expect, conditions=conditions, unreferenced=unreferenced)
        permission = "c" if target.outcome == "created" else "u"
        if not permits(self._access.decide(caller, key.type, permission), key, time.time_ns() // 1_000_000, draft.rows):
            raise Forbidden(f"system/{key.type}.{permission}")
        targets = draft.targets if self._integrity.check_references else ()
        return Write(key=key, body=draft.body, rows=draft.rows, expect=expect, conditions=conditions, targets=targets)

    async def _targets(self, caller: Caller, change: Change) -> Sequence[Target]:
        match change.method:
            case "create":
                return [await self._targeting.create(caller, change)]
            case "update":
                return [await self._targeting.update(caller, change)]
            case "patch":
                return [await self._targeting.patch(caller, change)]
            case "delete":
                return await self._targeting.delete(caller, change)

    async def _write(self, caller: Caller, change: Change, target: Target) -> tuple[Write, tuple[Issue, ...]]:
        """Make the write, and say what is to be told of it."""
        if change.method == "delete":
            return self.write(caller, change, target, None), ()
        json = content(change, target)
        same_id = change.method == "patch" or (change.method == "update" and change.criteria is None)
        if isinstance(json, dict):
            draft = self._drafter.lay_out(json, target.key, same_id=same_id)
        else:
            draft = await self._drafter.draft(json, target.key, same_id=same_id)
        return self.write(caller, change, target, draft), draft.issues

    def _visible(self, caller: Caller, error: StillReferenced) -> StillReferenced:
        """Name only what the caller may read."""
        named = [key for key in error.referrers if self._may_read(caller, key.partition("/")[0])]
        if len(named) < len(error.referrers):
            named.append("others that this access token may not see")
        return StillReferenced(error.key, named)

    def _may_read(self, caller: Caller, resource_type: str) -> bool:
        try:
            return self._access.decide(caller, resource_type, "r").unconstrained
        except Forbidden:
            return False


def content(change: Change, target: Target) -> bytes | JsonObject:
    """Return what a change writes: for a patch, what it makes of the current version. Raises InvalidPatch, PatchFailed."""
    if change.patch is None or target.current is None:
        return change.content
    try:
        return dumps(change.patch.apply(loads(target.current.json)))
    except RecursionError:
        raise InvalidPatch("The patch nests values too deeply; send a flatter one.") from None
