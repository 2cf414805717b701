"""Whose data an export is of: a Group as it is when the export begins, and the patients that were named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from toro_core.bulk.errors import InvalidExport
from toro_core.bulk.job import Ask
from toro_core.bulk.members import members, members_of
from toro_core.caller import Caller
from toro_core.errors import Gone, Issue, NotFound
from toro_core.json import loads
from toro_core.reading import Reader
from toro_core.references import Local, References
from toro_core.resources import parse_name
from toro_core.storage import Key, Storage, Stored, Watermark
from toro_core.v1 import Handling, StartExportRequest

__all__ = ["Cohorts"]

_GROUPS: Final = 100
"""Groups that a Group may have among its members, and they among theirs."""
_TRIES: Final = 5


class Cohorts:
    """Finds patients."""

    def __init__(self, storage: Storage, reader: Reader, references: References) -> None:
        """Read Groups from this storage."""
        self._storage = storage
        self._reader = reader
        self._references = references

    async def snapshot(self, caller: Caller, request: StartExportRequest, ask: Ask) -> tuple[Ask, Watermark]:
        """Say what is exported as of when; a Group is the one there was then."""
        if ask.level != "group":
            return ask, await self._storage.watermark()
        key = parse_name(request.group, frozenset({"Group"}))
        for _ in range(_TRIES):
            groups = await self._groups(caller, key)
            watermark = await self._storage.watermark()
            if await self._groups(caller, key) == groups:
                break
        return replace(ask, groups=tuple(groups)), watermark

    async def _groups(self, caller: Caller, key: Key) -> list[tuple[str, int]]:
        """Return a Group and the Groups among its members, with their versions. Raises Forbidden, NotFound, Gone."""
        found: dict[str, int] = {}
        waiting = [key]
        while waiting and len(found) < _GROUPS:
            following: list[Key] = []
            for each in waiting:
                if each.id in found:
                    continue
                try:
                    stored = await self._group(caller, each)
                except NotFound:
                    if each == key:
                        raise
                    continue
                found[each.id] = stored.version
                following += [one for one in members_of(loads(stored.json), self._references) if one.type == "Group"]
            waiting = following
        return list(found.items())

    async def _group(self, caller: Caller, key: Key) -> Stored:
        """Read a Group. Raises Forbidden, NotFound, Gone.

        Clients ask for scopes on what they export, seldom on Group: without any, the id is enough to have its members exported,
        of whom the scopes say what goes out. A scope that lets only some Groups be read holds.
        """
        if any(grant.type in ("*", key.type) for grant in caller.grants):
            return await self._reader.read(caller, key, None)
        stored = await self._storage.read(key)
        if stored.deleted:
            raise Gone
        return stored

    async def with_patients(self, request: StartExportRequest, ask: Ask) -> tuple[Ask, Sequence[Issue]]:
        """Put the patients asked for into what is exported. Raises InvalidExport where they are not there."""
        if not request.patients:
            return ask, ()
        if ask.level == "system":
            raise InvalidExport("Parameter `patient` does not go with an export of the whole system; leave it out.")
        parsed = [self._references.parse(text) for text in request.patients]
        ids = list(dict.fromkeys(one.id for one in parsed if isinstance(one, Local) and one.type == "Patient"))
        missing = sum(not (isinstance(one, Local) and one.type == "Patient") for one in parsed)
        stored = await self._storage.read_many([Key("Patient", id_) for id_ in ids])
        there = {one.key.id for one in stored if one is not None and not one.deleted}
        if ask.level == "group":
            there &= await members(self._storage, ask) or frozenset()
        missing += len(ids) - len(there)
        kept = tuple(id_ for id_ in ids if id_ in there)
        if not missing:
            return replace(ask, patients=kept), ()
        whom = "members of the Group" if ask.level == "group" else "patients of this server"
        text = f"Parameter `patient` names {missing} that are no {whom}; leave them out."
        if request.handling != Handling.HANDLING_LENIENT:
            raise InvalidExport(issues=(Issue(code="not-found", diagnostics=text),))
        return replace(ask, patients=kept), (Issue(severity="warning", code="not-found", diagnostics=text),)
