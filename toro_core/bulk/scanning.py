"""One unit of an export's work: the commits of a range of sequences, in segments that are done over where they break off.

A segment ends at the first commit after its bytes: the same data are cut into the same files, whoever writes them and however
often they were begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

import msgspec

from toro_core.ahead import ahead
from toro_core.bulk.jobs import Claim
from toro_core.bulk.parts import Parts
from toro_core.bulk.selection import Selection
from toro_core.bulk.watch import Watch
from toro_core.errors import NotFound
from toro_core.lines import lines
from toro_core.storage import ScanPlan, Storage, Stored, instant

__all__ = ["Scan"]

_BATCH: Final = 1 << 20
_PLAIN: Final = 1
_JUDGED: Final = 40
"""About how many microseconds a version takes."""
_TURN: Final = 1000
"""After how many others get their turn."""
_NAMED: Final = 10
"""Types up to which a scan is asked for them alone; more are told apart here."""
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
            position = await self._copied(claim, parts) if self._selection.copies else unit.position
            if position < unit.up_to:
                position = await self._judged(claim, position, parts, deletions)
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

    def _plan(self, claim: Claim, position: int) -> ScanPlan:
        """Plan what is left of the unit; some of it is of other types than those scanned."""
        scanned = self._selection.scanned
        return ScanPlan(
            as_of=claim.job.seq,
            types=tuple(sorted(scanned)) if len(scanned) <= _NAMED else (),
            since=self._selection.ask.since,
            after=position,
            up_to=claim.unit.up_to,
            max_bytes=_BATCH,
        )

    async def _copied(self, claim: Claim, parts: Parts) -> int:
        """Copy batches in which nothing is judged while the segment ends in none of them; return how far that went."""
        position = claim.unit.position
        async with aclosing(ahead(lines(self._storage, self._plan(claim, position)))) as batches:
            async for batch in batches:
                taken = [
                    (some.type, some.resources, self._selection.copied(some))
                    for some in batch.lines
                    if some.type in self._selection.scanned
                ]
                if parts.bytes + sum([len(json) + 1 for _, _, json in taken]) >= self._segment_bytes:
                    return position
                for type_, count, json in taken:
                    parts.take_joined(type_, count, json)
                if parts.is_full:
                    await parts.flush()
                position = batch.seq
                await self._watch.progress(claim.unit, position, parts)
        return claim.unit.up_to

    async def _judged(self, claim: Claim, position: int, parts: Parts, deletions: _Deletions) -> int:
        """Go on version by version to the segment's end, and return where that is."""
        if self._selection.scanned:
            async with aclosing(ahead(self._storage.scan(self._plan(claim, position)))) as batches:
                async for batch in batches:
                    if not batch:
                        continue
                    if (reached := await self._commits(batch, parts, deletions)) is not None:
                        return reached
                    await self._watch.progress(claim.unit, batch[-1].seq, parts)
        return claim.unit.up_to

    async def _commits(self, batch: Sequence[Stored], parts: Parts, deletions: _Deletions) -> int | None:
        """Take a batch commit by commit; return the last one's sequence where the segment ended before the batch did."""
        last = 0
        for stored in batch:
            if stored.seq != last:
                if last and parts.bytes >= self._segment_bytes:
                    return last
                last = stored.seq
            await self._take(stored, parts, deletions)
            self._held += _PLAIN if self._selection.is_plain(stored.key.type) else _JUDGED
            if self._held >= _TURN:
                self._held = 0
                await asyncio.sleep(0)
            if parts.is_full:
                await parts.flush()
        return last if parts.bytes >= self._segment_bytes else None

    async def _take(self, stored: Stored, parts: Parts, deletions: _Deletions) -> None:
        selection = self._selection
        if stored.key.type not in selection.scanned or not selection.in_time(stored.at):
            return
        if stored.deleted:
            if selection.ask.since is not None and await self._was_taken(stored):
                deletions.add(stored)
            return
        if selection.takes(stored):
            parts.take("output", stored.key.type, selection.line(stored.key.type, stored.json))
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
