"""Which resource a change concerns: by its id, by what a condition finds, or a new one. https://hl7.org/fhir/R4/http.html#cond-update"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from toro_core.access import Access, sees_everything
from toro_core.caller import Caller
from toro_core.changes import Change, Target
from toro_core.errors import Gone, Issue, NotFound, PreconditionFailed
from toro_core.json import loads
from toro_core.matching import Match, Matcher
from toro_core.reading import Reader, missing
from toro_core.rejections import InvalidResource, UpdateCreateNotAllowed
from toro_core.resources import new_id
from toro_core.storage import ABSENT, ANY, Condition, Key, Storage, Stored, Version

__all__ = ["Targeting", "found"]

_DELETED_AT_ONCE: Final = 1_000
"""Resources that one conditional delete may delete."""


class Targeting:
    """Finds targets for a caller; what lies outside a granular grant is as if it did not exist."""

    def __init__(self, storage: Storage, reader: Reader, access: Access, matcher: Matcher) -> None:
        """Find them in this storage."""
        self._storage = storage
        self._reader = reader
        self._access = access
        self._matcher = matcher

    async def create(self, caller: Caller, change: Change) -> Target:
        """Find what a conditional create finds, else a new id. Raises Forbidden, InvalidSearch, MultipleMatches."""
        self._access.decide(caller, change.type, "c")
        if change.criteria is None:
            return self.new(change)
        match = await self._matcher.match(caller, change.type, change.criteria)
        if match.stored is None:
            return self.new(change, (match.condition,))
        return found(match.stored, (match.condition,))

    async def update(self, caller: Caller, change: Change) -> Target:
        """Find what an update writes over. Raises what `Writer.change` says."""
        self._access.decide(caller, change.type, "u")
        if change.criteria is None:
            return await self._named(caller, change, Key(change.type, change.id), ())
        match = await self._matcher.match(caller, change.type, change.criteria)
        return await self.matched_update(caller, change, match)

    async def matched_update(self, caller: Caller, change: Change, match: Match) -> Target:
        """Find what a conditional update writes over, given what its condition found."""
        named, stored = _named_id(change), match.stored
        if stored is not None:
            if named not in ("", stored.key.id):
                raise _other_id(change)
            if not await self._sees(caller, stored, "u"):
                raise missing(stored.key)
            return _over(change, stored, (match.condition,))
        if change.expected is not None:
            raise PreconditionFailed("The condition finds nothing to update, so there is no version to expect.")
        if not named:
            return self.new(change, (match.condition,))
        return await self._named(caller, change, Key(change.type, named), (match.condition,), absent=True)

    async def patch(self, caller: Caller, change: Change) -> Target:
        """Find what a patch changes. Raises what `Writer.change` says."""
        self._access.decide(caller, change.type, "u")
        if change.criteria is None:
            stored = await self._current(Key(change.type, change.id))
            conditions: tuple[Condition, ...] = ()
            if stored is None:
                raise missing(Key(change.type, change.id))
        else:
            match = await self._matcher.match(caller, change.type, change.criteria)
            if match.stored is None:
                raise NotFound("The condition finds nothing to patch.")
            stored, conditions = match.stored, (match.condition,)
        if not await self._sees(caller, stored, "u"):
            raise missing(stored.key)
        if stored.deleted:
            raise Gone
        return _over(change, stored, conditions)

    async def delete(self, caller: Caller, change: Change) -> Sequence[Target]:
        """Find what a delete deletes: one, or all that a condition finds where that is allowed, which may be none."""
        self._access.decide(caller, change.type, "d")
        if change.criteria is None:
            key = Key(change.type, change.id)
            stored = await self._current(key)
            return [await self._removed(caller, change, key, stored, ())]
        if not change.allow_multiple:
            match = await self._matcher.match(caller, change.type, change.criteria)
            if match.stored is None:
                return []
            return [await self._removed(caller, change, match.stored.key, match.stored, (match.condition,))]
        criterion = self._matcher.criterion(caller, change.type, change.criteria)
        matches = await self._matcher.some(change.type, criterion, _DELETED_AT_ONCE)
        return [await self._removed(caller, change, stored.key, stored, ()) for stored in matches]

    def new(self, change: Change, conditions: tuple[Condition, ...] = ()) -> Target:
        """Make a target under an id that nobody has."""
        return Target(key=Key(change.type, new_id()), outcome="created", expect=ABSENT, conditions=conditions)

    async def _named(
        self, caller: Caller, change: Change, key: Key, conditions: tuple[Condition, ...], *, absent: bool = False
    ) -> Target:
        """Judge an update by id; `absent` says that a condition found nothing, so that this may only create."""
        current = await self._current(key)
        if current is None:
            # To a constrained caller, hidden and absent look the same.
            may_create = change.allow_missing and change.expected is None
            seen = may_create or self._sees_all(caller, key.type)
        else:
            seen = await self._sees(caller, current, "u")
        if not seen:
            raise missing(key)
        if current is not None and not current.deleted:
            if absent:
                raise _other_id(change)
            return _over(change, current, conditions)
        if change.expected is not None:
            raise PreconditionFailed("There is no current version of this resource to update; create it instead.")
        if not change.allow_missing:
            raise Gone if current else UpdateCreateNotAllowed
        return Target(key=key, outcome="created", current=current, expect=ABSENT, conditions=conditions)

    async def _removed(
        self, caller: Caller, change: Change, key: Key, stored: Stored | None, conditions: tuple[Condition, ...]
    ) -> Target:
        if stored is None or stored.deleted or not await self._sees(caller, stored, "d"):
            if change.expected is not None:
                raise PreconditionFailed("There is no current version of this resource to delete.")
            return Target(key=key, outcome="absent", current=stored, expect=ANY)
        if change.expected not in (None, stored.version):
            raise PreconditionFailed
        expect = Version(stored.version)
        return Target(key=key, outcome="deleted", current=stored, expect=expect, conditions=conditions)

    async def _current(self, key: Key) -> Stored | None:
        try:
            return await self._storage.read(key)
        except NotFound:
            return None

    def _sees_all(self, caller: Caller, resource_type: str) -> bool:
        """Say whether nothing of a type that this caller may update is hidden."""
        if resource_type == "Binary" and not sees_everything(caller):
            return False
        return self._access.decide(caller, resource_type, "u").unconstrained

    async def _sees(self, caller: Caller, current: Stored, permission: str) -> bool:
        decision = self._access.decide(caller, current.key.type, permission)
        return await self._reader.sees(caller, decision, current)


def found(stored: Stored, conditions: tuple[Condition, ...]) -> Target:
    """Make the target of a create that has found its resource."""
    expect = Version(stored.version)
    return Target(key=stored.key, outcome="found", current=stored, expect=expect, conditions=conditions)


def _over(change: Change, current: Stored, conditions: tuple[Condition, ...]) -> Target:
    if change.expected not in (None, current.version):
        raise PreconditionFailed
    if change.only_new or current.version in change.unlike:
        raise PreconditionFailed("The resource has a version that the request excludes; nothing was written.")
    expect = Version(current.version)
    return Target(key=current.key, outcome="updated", current=current, expect=expect, conditions=conditions)


def _named_id(change: Change) -> str:
    resource = change.content if isinstance(change.content, dict) else loads(change.content)
    named = resource.get("id", "")
    return named if isinstance(named, str) else ""


def _other_id(change: Change) -> InvalidResource:
    text = "id is another one than that of the resource the condition finds; leave it out or correct the condition."
    return InvalidResource(issues=(Issue(code="invalid", diagnostics=text, expressions=(f"{change.type}.id",)),))
