"""A transaction being worked out: what each entry becomes, what its links and conditions find, and the writes that result.

https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from toro_core.bundles.entries import Entry
from toro_core.bundles.exposed import Exposed
from toro_core.bundles.ground import Ground
from toro_core.bundles.links import EntryLinks, Linked, is_conditional
from toro_core.bundles.places import placed, together
from toro_core.caller import Caller
from toro_core.changes import Change, Target
from toro_core.definitions import Definitions
from toro_core.errors import Issue
from toro_core.json import JsonObject, loads
from toro_core.matching import Match, Matcher
from toro_core.rejections import (
    InvalidBundle,
    InvalidResource,
    MultipleMatches,
    UnprocessableResource,
    UnresolvedReference,
)
from toro_core.rewriting import references, rewritten
from toro_core.search.url import parse_query
from toro_core.storage import Condition, Key, Write
from toro_core.targeting import Targeting, found
from toro_core.v1 import Interaction
from toro_core.validation.findings import MAX_ISSUES
from toro_core.writing import Draft, Drafter, Writer, content

__all__ = ["Part", "Plan", "Tools"]

_TURN: Final = 50
"""Resources read after which others on the event loop have their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What transactions are worked out with."""

    definitions: Definitions
    drafter: Drafter
    matcher: Matcher
    targeting: Targeting
    writer: Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An entry that writes, with its target; `alias` is the entry whose resource its condition found instead."""

    entry: Entry
    change: Change
    target: Target
    alias: int | None = None


class Plan:
    """Works one transaction out, for one attempt at its commit."""

    def __init__(self, tools: Tools, caller: Caller, entries: Sequence[Entry], exposed: Exposed) -> None:
        self._with = tools
        self._caller = caller
        self._entries = entries
        self._exposed = exposed
        self._ground = Ground(tools.matcher, tools.drafter, caller)
        self._parts: list[Part] = []

    async def work_out(self) -> tuple[list[Part], list[Write], dict[int, tuple[Issue, ...]]]:
        """Return the parts, the writes of those that write, and what is to be told of a part by its identity."""
        await self._deletions()
        await self._creates()
        await self._updates()
        self._refuse_duplicates()
        conditional, conditions = await self._conditional_references()
        drafts = await asyncio.to_thread(self._drafts, self._links(), conditional)
        issues = {id(part): draft.issues for part, draft in zip(self._parts, drafts, strict=True) if draft is not None}
        return self._parts, self._writes(drafts, conditions), issues

    async def _deletions(self) -> None:
        for entry, change in self._of("delete"):
            with placed(entry.index):
                for target in await self._with.targeting.delete(self._caller, change):
                    self._parts.append(Part(entry=entry, change=change, target=target))
                    if target.writes:
                        self._ground.remove(target.key)

    async def _creates(self) -> None:
        """Take creates with a condition last, so that they find what the others create."""
        for entry, change in self._of("update"):
            if change.criteria is None:
                self._ground.write(entry.index, Key(change.type, change.id), _tree(change))
        for entry, change in sorted(self._of("create"), key=lambda pair: pair[1].criteria is not None):
            with placed(entry.index):
                part = await self._create(entry, change)
            self._parts.append(part)
            if part.target.writes:
                self._ground.write(entry.index, part.target.key, _tree(change))

    async def _create(self, entry: Entry, change: Change) -> Part:
        if change.criteria is None:
            target = await self._with.targeting.create(self._caller, change)
            return Part(entry=entry, change=change, target=target)
        finding = await self._ground.find(change.type, change.criteria)
        conditions = (finding.condition,)
        if finding.stored is not None:
            return Part(entry=entry, change=change, target=found(finding.stored, conditions))
        # Without its condition: that one is judged already, against what this transaction deletes and creates too.
        target = await self._with.targeting.create(self._caller, replace(change, criteria=None))
        if finding.index is not None:
            alias = replace(target, outcome="found", conditions=conditions)
            return Part(entry=entry, change=change, target=alias, alias=finding.index)
        return Part(entry=entry, change=change, target=replace(target, conditions=conditions))

    async def _updates(self) -> None:
        for number, (entry, change) in enumerate((*self._of("update"), *self._of("patch")), 1):
            if number % _TURN == 0:
                await asyncio.sleep(0)
            with placed(entry.index):
                target = await self._update(change)
            self._parts.append(Part(entry=entry, change=change, target=target))
            if change.criteria is not None and change.method == "update":
                self._ground.write(entry.index, target.key, _tree(change))

    async def _update(self, change: Change) -> Target:
        if change.criteria is None or change.method == "patch":
            find = self._with.targeting.patch if change.method == "patch" else self._with.targeting.update
            return await find(self._caller, change)
        finding = await self._ground.find(change.type, change.criteria)
        if finding.index is not None:
            raise InvalidBundle("The condition finds what another entry writes; write each resource once.")
        match = Match(stored=finding.stored, condition=finding.condition)
        return await self._with.targeting.matched_update(self._caller, change, match)

    def _refuse_duplicates(self) -> None:
        seen: set[Key] = set()
        for part in self._parts:
            if part.target.writes:
                with placed(part.entry.index):
                    if part.target.key in seen:
                        raise InvalidBundle(f"{part.target.key} is written by another entry too; write it once.")
                seen.add(part.target.key)

    def _links(self) -> dict[str, Linked]:
        by_index = {part.entry.index: part.target for part in self._parts if part.alias is None}
        links: dict[str, Linked] = {}
        for part in self._parts:
            url, target = part.entry.full_url, part.target if part.alias is None else by_index[part.alias]
            if not url or part.change.method == "delete":
                continue
            if url in links:
                with placed(part.entry.index):
                    raise InvalidBundle("The fullUrl is another entry's too; give each entry its own.")
            before = target.current.version if target.current else 0
            links[url] = Linked(key=target.key, version=before + target.writes)
        return links

    async def _conditional_references(self) -> tuple[dict[str, Key], dict[int, list[Condition]]]:
        """Resolve each once; its condition goes with the write of the entry that has it first."""
        resolved: dict[str, Key] = {}
        conditions: dict[int, list[Condition]] = {}
        keys = {part.entry.index: part.target.key for part in self._parts}
        for text, index in (await asyncio.to_thread(self._searches)).items():
            with placed(index):
                resolved[text], condition = await self._resolve(text, keys)
            conditions.setdefault(index, []).append(condition)
        return resolved, conditions

    def _searches(self) -> dict[str, int]:
        """Return the conditional references with the first entry that has each."""
        found: dict[str, int] = {}
        for part in self._parts:
            if part.target.writes and part.change.method in ("create", "update"):
                for text in references(_tree(part.change), self._with.definitions):
                    if is_conditional(text, self._with.definitions.resource_types):
                        found.setdefault(text, part.entry.index)
        return found

    async def _resolve(self, text: str, keys: dict[int, Key]) -> tuple[Key, Condition]:
        type_, _, query = text.partition("?")
        self._exposed.check(type_, Interaction.INTERACTION_SEARCH_TYPE)
        try:
            finding = await self._ground.find(type_, parse_query(query))
        except MultipleMatches:
            raise UnresolvedReference(f"A conditional reference finds several resources of type {type_}.") from None
        if finding.stored is not None:
            return finding.stored.key, finding.condition
        if finding.index is None:
            raise UnresolvedReference(f"A conditional reference finds no resource of type {type_}.")
        return keys[finding.index], finding.condition

    def _drafts(self, links: dict[str, Linked], conditional: dict[str, Key]) -> list[Draft | None]:
        """Check and lay out every resource; on a thread, for there may be thousands. Raises what is wrong with all of them."""
        drafts: list[Draft | None] = []
        refused: list[InvalidResource | UnprocessableResource] = []
        for part in self._parts:
            try:
                drafts.append(self._draft(part, links, conditional) if part.target.writes else None)
            except (InvalidResource, UnprocessableResource) as error:
                refused.append(error)
                if len(refused) >= MAX_ISSUES:
                    break
        if refused:
            raise together(refused)
        return drafts

    def _draft(self, part: Part, links: dict[str, Linked], conditional: dict[str, Key]) -> Draft | None:
        if part.change.method == "delete":
            return None
        with placed(part.entry.index):
            given = content(part.change, part.target)
            tree = loads(given) if isinstance(given, bytes) else given
            entry_links = EntryLinks(by_url=links, found=conditional, root=part.entry.root)
            same_id = part.change.method == "patch" or (part.change.method == "update" and part.change.criteria is None)
            resource = rewritten(tree, entry_links, self._with.definitions)
            return self._with.drafter.lay_out(resource, part.target.key, same_id=same_id)

    def _writes(self, drafts: Sequence[Draft | None], conditions: dict[int, list[Condition]]) -> list[Write]:
        writes: list[Write] = []
        # What was found and is not written has to be so still, if anything at all is written.
        loose = [each for part in self._parts if not part.target.writes for each in part.target.conditions]
        for part, draft in zip(self._parts, drafts, strict=True):
            if part.target.writes:
                with placed(part.entry.index):
                    write = self._with.writer.write(self._caller, part.change, part.target, draft)
                more = (*write.conditions, *conditions.get(part.entry.index, ()), *loose)
                writes.append(replace(write, conditions=more))
                loose = []
        return writes

    def _of(self, method: str) -> list[tuple[Entry, Change]]:
        return [
            (entry, entry.request)
            for entry in self._entries
            if isinstance(entry.request, Change) and entry.request.method == method
        ]


def _tree(change: Change) -> JsonObject:
    return cast(JsonObject, change.content)
