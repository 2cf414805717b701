"""One unit of an export's work: the commits of a range of sequences, in segments that are done over where they break off.

A segment ends at the first commit after its bytes: the same data are cut into the same files, whoever writes them and however
often they were begun.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
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
            position = unit.up_to
            async with aclosing(self._batches(claim)) as batches:
                async for batch in batches:
                    if self._fits(batch, parts):
                        self._copy(batch, parts)
                        if parts.is_full:
                            await parts.flush()
                        position = batch[-1].seq
                    elif (reached := await self._commits(batch, parts, deletions)) is not None:
                        position = reached
                        break
                    await self._watch.progress(batch[-1].seq)
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

    async def _batches(self, claim: Claim) -> AsyncGenerator[Sequence[Stored], None]:
        """Yield what is left of the unit, in batches of whole commits; some are of other types than those scanned."""
        selection, unit = self._selection, claim.unit
        scanned = selection.scanned
        plan = ScanPlan(
            as_of=claim.job.seq,
            types=tuple(sorted(scanned)) if len(scanned) <= _NAMED else (),
            since=selection.ask.since,
            after=unit.position,
            up_to=unit.up_to,
            max_bytes=_BATCH,
        )
        if scanned:
            async with aclosing(cast("AsyncGenerator[Sequence[Stored], None]", self._storage.scan(plan))) as batches:
                following = asyncio.ensure_future(anext(batches, None))
                try:
                    while (batch := await following) is not None:
                        # The next is read while this one is worked on.
                        following = asyncio.ensure_future(anext(batches, None))
                        if batch:
                            yield batch
                finally:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)

    def _fits(self, batch: Sequence[Stored], parts: Parts) -> bool:
        """Say whether a batch can be copied whole: nothing in it is judged, and the segment does not end in it."""
        if not self._selection.copies:
            return False
        return parts.bytes + sum([len(stored.json) for stored in batch]) + len(batch) < self._segment_bytes

    def _copy(self, batch: Sequence[Stored], parts: Parts) -> None:
        selection = self._selection
        by_type: defaultdict[str, list[bytes]] = defaultdict(list)
        for (type_, _), _, _, _, deleted, json in batch:
            if not deleted:
                by_type[type_].append(json)
        for name, lines in by_type.items():
            if name not in selection.scanned:
                continue
            if (joined := selection.copied(lines)) is not None:
                parts.take_joined(name, joined, lines)
            else:
                for json in lines:
                    parts.take("output", name, selection.line(name, json))

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
