"""One unit of an export's work: the commits of a range of sequences, in segments that are done over where they break off.

A segment ends at the first commit after its bytes: the same data are cut into the same files, whoever writes them and however
often they were begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, cast

import msgspec

from toro_core.bulk.jobs import Claim
from toro_core.bulk.parts import Parts
from toro_core.bulk.selection import Selection
from toro_core.bulk.watch import Watch
from toro_core.errors import NotFound
from toro_core.storage import ScanPlan, Storage, Stored, instant

__all__ = ["Scan"]

_BATCH: Final = 1 << 20
_PLAIN: Final = 1
_JUDGED: Final = 40
"""About how many microseconds a version takes."""
_TURN: Final = 1000
"""After how many others get their turn."""
_DELETIONS: Final = 100
"""Deletions in a Bundle."""


class Scan:
    """Works on a unit of kind `scan`."""

    def __init__(self, storage: Storage, selection: Selection, watch: Watch, segment_bytes: int) -> None:
        """Read what the selection takes; a segment is about so many bytes."""
        self._storage = storage
        self._selection = selection
        self._watch = watch
        self._segment_bytes = segment_bytes
        self._held = 0

    async def run(self, claim: Claim) -> None:
        """Work to the unit's end. Raises LeaseLost."""
        while claim.unit.position < claim.unit.up_to:
            await self._segment(claim)
        await self._watch.save(replace(claim.unit, done=True))

    async def _segment(self, claim: Claim) -> None:
        unit, number = claim.unit, len(claim.unit.files)
        parts = self._watch.parts(f"{unit.number:04}-{unit.lease}-{number}")
        try:
            deletions = _Deletions(parts)
            position = unit.up_to
            async with aclosing(self._commits(claim)) as commits:
                async for commit in commits:
                    if parts.bytes >= self._segment_bytes:
                        break
                    await self._commit(commit, parts, deletions)
                    position = commit[-1].seq
                    await self._watch.progress(position)
                else:
                    position = unit.up_to
            deletions.close()
            files = await parts.close()
        except BaseException:
            await asyncio.shield(parts.abandon())
            raise
        await self._watch.save(
            replace(
                unit,
                position=position,
                seen=position,
                attempts=0,
                files=(*unit.files, *files),
                resources=unit.resources + parts.resources,
                bytes=unit.bytes + parts.bytes,
            )
        )

    async def _commit(self, commit: Sequence[Stored], parts: Parts, deletions: _Deletions) -> None:
        for stored in commit:
            await self._take(stored, parts, deletions)
            self._held += _PLAIN if self._selection.is_plain(stored.key.type) else _JUDGED
            if self._held >= _TURN:
                self._held = 0
                await asyncio.sleep(0)
            if parts.is_full:
                await parts.flush()

    async def _commits(self, claim: Claim) -> AsyncGenerator[Sequence[Stored], None]:
        """Yield the versions commit by commit."""
        selection, unit = self._selection, claim.unit
        plan = ScanPlan(
            as_of=claim.job.seq,
            types=tuple(sorted(selection.scanned)),
            since=selection.ask.since,
            after=unit.position,
            up_to=unit.up_to,
            max_bytes=_BATCH,
        )
        if not selection.scanned:
            return
        async with aclosing(cast("AsyncGenerator[Sequence[Stored], None]", self._storage.scan(plan))) as batches:
            async for batch in batches:
                start = 0
                for end in range(1, len(batch) + 1):
                    if end == len(batch) or batch[end].seq != batch[start].seq:
                        yield batch[start:end]
                        start = end

    async def _take(self, stored: Stored, parts: Parts, deletions: _Deletions) -> None:
        selection = self._selection
        if not selection.in_time(stored.at):
            return
        if stored.deleted:
            if selection.ask.since is not None and await self._was_taken(stored):
                deletions.add(stored)
            return
        if selection.takes(stored):
            parts.take("output", stored.key.type, selection.line(stored))
            if selection.references is not None:
                for reference in selection.references(stored.json):
                    deletions.refer(reference)

    async def _was_taken(self, stored: Stored) -> bool:
        """Judge a deletion by the content it deleted."""
        if self._selection.is_plain(stored.key.type):
            return True
        while stored.deleted:
            try:
                stored = await self._storage.read(stored.key, stored.version - 1)
            except NotFound:
                return False
        return self._selection.takes(stored)


class _Deletions:
    """Gathers a segment's deletions into transaction Bundles, and what its resources refer to, each once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._deleted: list[Stored] = []
        self._referred: set[bytes] = set()

    def add(self, stored: Stored) -> None:
        self._deleted.append(stored)
        if len(self._deleted) >= _DELETIONS:
            self.close()

    def refer(self, name: bytes) -> None:
        if name not in self._referred:
            self._referred.add(name)
            self._parts.take("references", "references", name)

    def close(self) -> None:
        if self._deleted:
            bundle = {
                "resourceType": "Bundle",
                "meta": {"lastUpdated": instant(self._deleted[-1].at)},
                "type": "transaction",
                "entry": [{"request": {"method": "DELETE", "url": str(stored.key)}} for stored in self._deleted],
            }
            self._parts.take("deleted", "Bundle", msgspec.json.encode(bundle))
            self._deleted.clear()
