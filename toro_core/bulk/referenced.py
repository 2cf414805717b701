"""What the exported resources refer to, and Provenance about them: the last unit of an export, after all the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, cast

from toro_core.bulk.files import Files
from toro_core.bulk.job import File
from toro_core.bulk.jobs import Claim
from toro_core.bulk.parts import Parts
from toro_core.bulk.selection import Selection
from toro_core.bulk.snapshot import read_at
from toro_core.bulk.watch import Watch
from toro_core.json import JsonObject, loads
from toro_core.references import Local, References
from toro_core.storage import Key, ScanPlan, Storage, Stored

__all__ = ["Referenced"]

_KEYS: Final = 200
_DIRECTORY: Final = ("Location", "Medication", "Organization", "Practitioner", "PractitionerRole")
"""Types that are no patient's: what of them changed since the last export goes out even where no changed resource refers to it."""


class Referenced:
    """Works on the unit of kind `referenced`. It holds the names of all resources referred to in memory."""

    def __init__(
        self, storage: Storage, selection: Selection, watch: Watch, files: Files, references: References
    ) -> None:
        """Read what the selection's resources refer to."""
        self._storage = storage
        self._selection = selection
        self._watch = watch
        self._files = files
        self._references = references

    async def run(self, claim: Claim, scanned: Sequence[File]) -> None:
        """Work to the end; `scanned` are the files of the other units. Raises LeaseLost."""
        unit = claim.unit
        parts = self._watch.parts(f"{unit.number:04}-{unit.lease}-0")
        try:
            names = await asyncio.to_thread(self._names, scanned)
            if self._selection.provenance:
                names |= await self._provenance(claim, parts)
            await self._supporting(claim, parts, names)
            files = await parts.close()
        except BaseException:
            await asyncio.shield(parts.abandon())
            raise
        done = replace(
            unit,
            done=True,
            seen=unit.up_to,
            position=unit.up_to,
            files=files,
            resources=parts.resources,
            bytes=parts.bytes,
        )
        await self._watch.save(done)

    def _names(self, scanned: Sequence[File]) -> set[bytes]:
        found: set[bytes] = set()
        for file in scanned:
            if file.kind == "references":
                with self._files.open(file.stored) as opened:
                    found.update(line.rstrip() for line in opened)
        return found

    async def _supporting(self, claim: Claim, parts: Parts, names: set[bytes]) -> None:
        """Take what is referred to, then what that refers to, until nothing new is found."""
        selection = self._selection
        if selection.ask.since is not None:
            names |= {str(stored.key).encode() async for stored in self._versions(claim, self._changing())}
        seen: set[bytes] = set()
        while names:
            seen |= names
            found: set[bytes] = set()
            ordered = sorted(names)
            for start in range(0, len(ordered), _KEYS):
                keys = [Key(*name.decode().split("/")) for name in ordered[start : start + _KEYS]]
                for stored in await read_at(self._storage, keys, claim.job.seq):
                    if stored is not None and self._may_go(stored):
                        parts.take("output", stored.key.type, selection.line(stored.key.type, stored.json))
                        if selection.references is not None:
                            found.update(selection.references(stored.json))
                await parts.flush()
                await asyncio.sleep(0)
            names = found - seen

    def _changing(self) -> tuple[str, ...]:
        return tuple(name for name in _DIRECTORY if name in self._selection.supporting)

    def _may_go(self, stored: Stored) -> bool:
        selection = self._selection
        if stored.key.type not in selection.supporting:
            return False
        resource = loads(stored.json)
        if stored.key.type in selection.scanned and selection.in_time(stored.at) and selection.takes(stored):
            return False  # it has gone out by itself
        return selection.may_support(resource) and selection.allows(stored, resource)

    async def _provenance(self, claim: Claim, parts: Parts) -> set[bytes]:
        """Take Provenance, and return what it refers to."""
        selection, latest = self._selection, _Latest()
        names: set[bytes] = set()
        only_latest = selection.ask.provenance == "latest"
        async with aclosing(self._about(claim)) as found:
            async for stored, targets in found:
                if only_latest:
                    latest.add(stored, targets)
                    continue
                names |= self._take_provenance(stored, parts)
                if parts.is_full:
                    await parts.flush()
        kept = latest.keys()
        for start in range(0, len(kept), _KEYS):
            for one in await read_at(self._storage, kept[start : start + _KEYS], claim.job.seq):
                if one is not None:
                    names |= self._take_provenance(one, parts)
            await parts.flush()
        return names

    def _take_provenance(self, stored: Stored, parts: Parts) -> set[bytes]:
        parts.take("output", "Provenance", self._selection.line("Provenance", stored.json))
        return set(self._selection.references(stored.json)) if self._selection.references is not None else set()

    async def _about(self, claim: Claim) -> AsyncGenerator[tuple[Stored, Sequence[Key]], None]:
        """Yield each Provenance that goes out, with those of its targets on whose account it does."""
        batch: list[tuple[Stored, Sequence[Key]]] = []
        async for stored in self._versions(claim, ("Provenance",)):
            resource = loads(stored.json)
            if self._selection.allows(stored, resource):
                batch.append((stored, self._targets(resource)))
            if len(batch) >= _KEYS:
                for one in await self._concerned(claim, batch):
                    yield one
                batch = []
        for one in await self._concerned(claim, batch):
            yield one

    async def _concerned(
        self, claim: Claim, batch: Sequence[tuple[Stored, Sequence[Key]]]
    ) -> list[tuple[Stored, Sequence[Key]]]:
        keys = list(dict.fromkeys(key for _, targets in batch for key in targets))
        found = await read_at(self._storage, keys, claim.job.seq) if keys else []
        good = {stored.key for stored in found if stored is not None and self._is_concerned(stored)}
        kept = [(stored, [key for key in targets if key in good]) for stored, targets in batch]
        return [(stored, targets) for stored, targets in kept if targets]

    def _is_concerned(self, target: Stored) -> bool:
        """Say whether Provenance about the target goes out: one of the patients', or where that was asked for one that goes out."""
        selection = self._selection
        if selection.ask.provenance:
            scanned = target.key.type in selection.scanned
            return scanned and selection.in_time(target.at) and selection.takes(target)
        return selection.of_patients(selection.compartments(loads(target.json)))

    def _targets(self, resource: JsonObject) -> list[Key]:
        targets: Any = resource.get("target") or ()
        texts = [target.get("reference") for target in targets if isinstance(target, dict)]
        parsed = [self._references.parse(text) for text in texts if isinstance(text, str)]
        return [Key(one.type, one.id) for one in parsed if isinstance(one, Local)]

    async def _versions(self, claim: Claim, types: Iterable[str]) -> AsyncGenerator[Stored, None]:
        """Yield the versions of types at the snapshot that are in time."""
        selection, types = self._selection, tuple(types)
        if not types:
            return
        # Provenance that was asked for goes out with what it is about, however old it is.
        anytime = bool(selection.ask.provenance) and types == ("Provenance",)
        plan = ScanPlan(as_of=claim.job.seq, types=types, since=None if anytime else selection.ask.since)
        async with aclosing(cast("AsyncGenerator[Sequence[Stored], None]", self._storage.scan(plan))) as batches:
            async for batch in batches:
                for stored in batch:
                    if not stored.deleted and (anytime or selection.in_time(stored.at)):
                        yield stored
                await asyncio.sleep(0)


class _Latest:
    """The newest Provenance about each target."""

    def __init__(self) -> None:
        self._newest: dict[Key, tuple[str, int, str]] = {}

    def add(self, stored: Stored, targets: Iterable[Key]) -> None:
        recorded = str(loads(stored.json).get("recorded", ""))
        found = (recorded, stored.seq, stored.key.id)
        for target in targets:
            if found > self._newest.get(target, ("", 0, "")):
                self._newest[target] = found

    def keys(self) -> list[Key]:
        return [Key("Provenance", id_) for id_ in sorted({id_ for _, _, id_ in self._newest.values()})]
