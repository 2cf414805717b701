"""Exports as their owners see them: begun, looked at, read and given up, each time with leave to."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from toro_core.access import Access, Forbidden
from toro_core.auth.scopes import Grant, grants_of, spell
from toro_core.bulk.asking import Asking
from toro_core.bulk.cohorts import Cohorts
from toro_core.bulk.errors import TooManyExports
from toro_core.bulk.files import Files
from toro_core.bulk.job import MEDIA_TYPES, Ask, File, Job, Unit
from toro_core.bulk.jobs import Jobs
from toro_core.bulk.runner import Worker
from toro_core.caller import Caller
from toro_core.errors import NotFound
from toro_core.search.combine import EVERYTHING
from toro_core.storage import Storage
from toro_core.v1 import StartExportRequest

__all__ = ["Exports", "Look"]

_CHUNK: Final = 1 << 20
_UNITS: Final = 8
_MARK: Final = 20.0
_POLLS: Final = 30
_POLLS_SECONDS: Final = 10.0
"""A client may ask for the status of an export so often in so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An export as it is now; `urls` are addresses of its files, by name, that need no token."""

    job: Job
    percent: int
    resources: int
    bytes: int
    retry_after: int
    urls: Mapping[str, str]


class Exports:
    """The exports of a storage."""

    def __init__(
        self,
        storage: Storage,
        jobs: Jobs,
        files: Files,
        asking: Asking,
        access: Access,
        cohorts: Cohorts,
        worker: Worker,
        *,
        at_once: int,
        unit_span: int = 20_000,
    ) -> None:
        """Begin at most `at_once` for a client; `worker` is told of them.

        So many sequences as `unit_span` are worth a unit of their own, which another process may work on.
        """
        self._storage = storage
        self._jobs = jobs
        self._files = files
        self._asking = asking
        self._access = access
        self._cohorts = cohorts
        self.worker: Final = worker
        self._at_once = at_once
        self._unit_span = unit_span
        self._polls: dict[str, list[float]] = {}

    async def start(self, caller: Caller, request: StartExportRequest) -> Job:
        """Begin an export of what is stored now. Raises InvalidExport, Forbidden, NotFound, Gone, TooManyExports."""
        ask, notes = self._asking.understood(caller, request)
        running = [job for job in await self._jobs.all() if job.owner == caller.client_id and job.state == "running"]
        if len(running) >= self._at_once:
            raise TooManyExports(
                f"{len(running)} exports of this client are under way; wait for one to be complete, or delete it."
            )
        ask, watermark = await self._cohorts.snapshot(caller, request, ask)
        ask, more = await self._cohorts.with_patients(request, ask)
        units = tuple(_units(ask, watermark.seq, self._unit_span))
        job = Job(
            id=secrets.token_hex(16),
            owner=caller.client_id,
            scopes=tuple(spell(grant) for grant in caller.grants),
            ask=ask,
            seq=watermark.seq,
            at=watermark.at,
            created=time.time_ns() // 1_000_000,
            units=len(units),
            notes=(*notes, *more),
        )
        await self._jobs.add(job, units)
        self.worker.wake()
        return job

    async def look(self, caller: Caller, job_id: str) -> Look:
        """Return an export. Raises NotFound, Forbidden, TooManyExports."""
        job = await self._job(caller, job_id)
        self._count_poll(job_id)
        percent, resources, size = 100, job.resources, job.bytes
        if job.state == "running":
            units = await self._jobs.units(job_id)
            whole = sum(unit.up_to - unit.after for unit in units) or 1
            seen = sum(unit.seen - unit.after for unit in units)
            percent = min(99, 100 * seen // whole)
            resources, size = sum(unit.resources for unit in units), sum(unit.bytes for unit in units)
        age = (time.time_ns() // 1_000_000 - job.created) / 1000
        return Look(
            job=job,
            percent=percent,
            resources=resources,
            bytes=size,
            retry_after=1 if age < 10 else 5 if age < 120 else 15,
            urls=await self._urls(job),
        )

    async def cancel(self, caller: Caller, job_id: str) -> None:
        """Stop an export and remove its files. Raises NotFound, Forbidden."""
        job = await self._job(caller, job_id)
        await self._jobs.remove(job.id)
        await asyncio.to_thread(self._files.remove, job.id)

    async def file(self, caller: Caller, job_id: str, name: str) -> tuple[Job, File]:
        """Return a file of a complete export. Raises NotFound, Forbidden."""
        job = await self._job(caller, job_id)
        found = next((file for file in job.files if file.name == name), None)
        if found is None:
            raise NotFound("There is no such file; read the export's status for those there are.")
        return job, found

    async def content(self, job: Job, file: File, offset: int, limit: int) -> AsyncIterator[bytes]:
        """Yield a part of a file, all that follows where `limit` is 0; the file stays while it is read. Raises NotFound."""
        end = file.size if not limit else min(file.size, offset + limit)
        try:
            opened = await asyncio.to_thread(self._files.open, file.stored)
        except FileNotFoundError:
            raise _expired() from None
        reader, marked = secrets.token_hex(8), float("-inf")
        try:
            await asyncio.to_thread(opened.seek, offset)
            while offset < end:
                if time.monotonic() - marked > _MARK:
                    marked = time.monotonic()
                    await self._jobs.mark_read(job.id, reader)
                chunk = await asyncio.to_thread(opened.read, min(_CHUNK, end - offset))
                if not chunk:
                    raise _expired()
                offset += len(chunk)
                yield chunk
        finally:
            await asyncio.to_thread(opened.close)

    async def _job(self, caller: Caller, job_id: str) -> Job:
        """Return a job that is the caller's, whose token allows still what the job exports."""
        job = await self._jobs.get(job_id) if job_id.isalnum() else None
        if job is None or job.owner != caller.client_id:
            raise NotFound("There is no such export; it was deleted, or has expired.")
        then = Caller(client_id=job.owner, grants=grants_of(job.scopes))
        for name in job.ask.types:
            now = self._access.visible(caller, name)
            if now is None or now not in (EVERYTHING, self._access.visible(then, name)):
                raise Forbidden(spell(Grant(type=name, permissions="rs")))
        return job

    async def _urls(self, job: Job) -> dict[str, str]:
        if job.state != "complete" or job.expires is None:
            return {}
        seconds = max(1.0, job.expires / 1000 - time.time())

        def signed() -> dict[str, str]:
            media = [MEDIA_TYPES[file.name.rpartition(".")[2]] for file in job.files]
            found = {
                file.name: self._files.url(file.stored, seconds, type_)
                for file, type_ in zip(job.files, media, strict=True)
            }
            return {name: url for name, url in found.items() if url}

        return await asyncio.to_thread(signed)

    def _count_poll(self, job_id: str) -> None:
        now = time.monotonic()
        recent = [at for at in self._polls.get(job_id, ()) if now - at < _POLLS_SECONDS]
        if len(recent) >= _POLLS:
            raise TooManyExports("The status is asked for too often; wait as long as Retry-After says.")
        if len(self._polls) > 1000:
            self._polls = {key: times for key, times in self._polls.items() if now - times[-1] < _POLLS_SECONDS}
        self._polls[job_id] = [*recent, now]


def _units(ask: Ask, seq: int, span: int) -> list[Unit]:
    """Cut the sequences into ranges, and add a last unit for what they refer to."""
    count = max(1, min(_UNITS, seq // span))
    edges = [seq * number // count for number in range(count + 1)]
    units = [
        Unit(number=number, kind="scan", after=after, up_to=up_to, position=after, seen=after)
        for number, (after, up_to) in enumerate(pairwise(edges))
    ]
    if ask.level != "system" or ask.provenance:
        units.append(Unit(number=count, kind="referenced", after=seq, up_to=seq + 1, position=seq, seen=seq))
    return units


def _expired() -> NotFound:
    return NotFound("The file has expired; begin another export.")
