"""Carries exports on: claims units, works on them, completes jobs, and sweeps away what has expired.

Every process that has one is equal: what one leaves undone, another picks up when its lease has run out.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

import msgspec

from toro_core.bulk.errors import FilesUnusable, LeaseLost
from toro_core.bulk.files import Files
from toro_core.bulk.job import File, FileKind, Job, Unit
from toro_core.bulk.jobs import Claim, Jobs
from toro_core.bulk.members import members
from toro_core.bulk.parts import Encoders, Parts
from toro_core.bulk.referenced import Referenced
from toro_core.bulk.scanning import Scan
from toro_core.bulk.selection import Selection, Tools
from toro_core.bulk.watch import Watch
from toro_core.errors import Issue, StorageBusy, StorageError, ToroError
from toro_core.storage import Storage

__all__ = ["Limits", "Runner", "Worker"]

_LOG: Final = logging.getLogger("toro.bulk")
_ATTEMPTS: Final = 5
_SWEEP: Final = 60.0
_ORPHAN: Final = 3600.0
"""Seconds after which files that no job names are nobody's."""
_ORDER: Final[dict[FileKind, int]] = {"output": 0, "deleted": 1, "error": 2, "references": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large files become, how long they are kept, and how often a runner looks for work; in bytes and seconds."""

    file_bytes: int = 128 << 20
    segment_bytes: int = 512 << 20
    keep: float = 86_400.0
    poll: float = 5.0
    workers: int = 2


class Worker(Protocol):
    """Works on exports in the background, wherever."""

    def wake(self) -> None:
        """Look for work now."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Work as long as the context lasts."""


class Runner:
    """Works on exports in this process."""

    def __init__(self, storage: Storage, jobs: Jobs, files: Files, tools: Tools, limits: Limits) -> None:
        """Work on the jobs of a storage."""
        self._storage = storage
        self._jobs = jobs
        self.files: Final = files
        self._tools = tools
        self._limits = limits
        self._wake = asyncio.Event()
        self._swept = 0.0
        self._worked = time.monotonic()

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    @property
    def idle(self) -> float:
        """Return the seconds since there was work."""
        return time.monotonic() - self._worked

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work in the background; at the end give up what is under way, for others to go on with."""
        tasks = [asyncio.create_task(self._run()) for _ in range(self._limits.workers)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                worked = await self.step()
                await self._sweep_now_and_then()
            except StorageBusy:
                worked = False
            except Exception as error:
                _log(error, "looking for work")
                worked = False
            if not worked:
                try:
                    async with asyncio.timeout(self._limits.poll):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def step(self) -> bool:
        """Do one piece of work, where there is one, and say whether there was."""
        for job in await self._jobs.all():
            if job.state != "running":
                continue
            units = await self._jobs.units(job.id)
            if len(units) == job.units and all(unit.done for unit in units):
                return await self._complete(job, units)
            open_ = [unit for unit in units if not unit.done and unit.kind == "scan"]
            for unit in open_ or [unit for unit in units if not unit.done]:
                claim = await self._jobs.claim(job, unit.number)
                if claim is not None:
                    try:
                        await self._work(claim)
                    finally:
                        self._worked = time.monotonic()
                    return True
        return False

    async def _work(self, claim: Claim) -> None:
        job = claim.job
        encoders = Encoders(self._tools.extractor.definitions, job.ask.format)
        watch = Watch(self._jobs, claim, self.files, encoders, self._limits.file_bytes)
        try:
            async with watch.watching():
                if claim.unit.attempts > _ATTEMPTS:
                    raise FilesUnusable("The export broke off too often at the same place; ask the operator.")
                await self._unit(claim, watch)
        except LeaseLost:
            if await self._jobs.get(job.id) is None:
                await asyncio.to_thread(self.files.remove, job.id)
        except StorageBusy:
            await asyncio.sleep(1)
        except Exception as error:
            _log(error, f"working on export {job.id}")
            text = (
                str(error)
                if isinstance(error, StorageError | FilesUnusable)
                else "The export failed; ask the operator."
            )
            await self._end(replace(job, state="failed", failure=text))
            await asyncio.to_thread(self.files.remove, job.id)

    async def _unit(self, claim: Claim, watch: Watch) -> None:
        selection = Selection(claim.job, self._tools, await members(self._storage, claim.job.ask))
        if claim.unit.kind == "scan":
            await Scan(self._storage, selection, watch, self._limits.segment_bytes).run(claim)
            return
        scanned = [file for unit in await self._jobs.units(claim.job.id) for file in unit.files]
        references = self._tools.extractor.references
        await Referenced(self._storage, selection, watch, self.files, references).run(claim, scanned)

    async def _complete(self, job: Job, units: Sequence[Unit]) -> bool:
        files = [file for unit in units for file in unit.files if file.kind != "references"]
        notes = await self._notes(job)
        named = tuple(_named([*files, *notes]))
        totals = replace(
            job,
            state="complete",
            files=named,
            resources=sum(unit.resources for unit in units),
            bytes=sum(file.size for file in named),
        )
        return await self._end(totals)

    async def _end(self, job: Job) -> bool:
        return await self._jobs.end(replace(job, expires=_now() + round(self._limits.keep * 1000)))

    async def _notes(self, job: Job) -> tuple[File, ...]:
        """Write what was left out by leniency, as OperationOutcomes."""
        if not job.notes:
            return ()
        parts = Parts(
            self.files, f"{job.id}/notes", Encoders(self._tools.extractor.definitions), self._limits.file_bytes
        )
        for note in job.notes:
            parts.take("error", "OperationOutcome", _outcome(note))
        return await parts.close()

    async def _sweep_now_and_then(self) -> None:
        if time.monotonic() - self._swept >= _SWEEP:
            self._swept = time.monotonic()
            await self.sweep()

    async def sweep(self) -> None:
        """Remove expired jobs with their files, unless those are being read, and files that no job names."""
        known = set()
        for job in await self._jobs.all():
            known.add(job.id)
            if job.expires is not None and job.expires <= _now() and not await self._jobs.is_read(job.id):
                await self._jobs.remove(job.id)
                await asyncio.to_thread(self.files.remove, job.id)
        for folder in await asyncio.to_thread(self.files.folders):
            old = folder.name not in known and folder.changed < time.time() - _ORPHAN
            if old and await self._jobs.get(folder.name) is None and not await self._jobs.is_read(folder.name):
                await asyncio.to_thread(self.files.remove, folder.name)


def _named(files: Sequence[File]) -> list[File]:
    """Order files by what they are about and name them by type and number."""
    counts: dict[tuple[FileKind, str], int] = {}
    found = []
    for file in sorted(files, key=lambda file: (_ORDER[file.kind], file.type)):
        number = counts[file.kind, file.type] = counts.get((file.kind, file.type), 0) + 1
        about = "" if file.kind == "output" else f"{file.kind}."
        ending = file.stored.rpartition(".")[2]
        found.append(replace(file, name=f"{about}{file.type}.{number}.{ending}"))
    return found


def _outcome(note: Issue) -> bytes:
    issue = {"severity": note.severity, "code": note.code, "diagnostics": note.diagnostics}
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})


def _now() -> int:
    return time.time_ns() // 1_000_000


def _log(error: Exception, doing: str) -> None:
    """Log the kind and the place of an error; its message only where it is one of ours, which quotes no resource."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    said = f" ({error})" if isinstance(error, ToroError) else ""
    _LOG.error("%s%s %s, at %s", type(error).__name__, said, doing, place)
