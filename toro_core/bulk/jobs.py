"""Jobs in the storage's state records, changed by compare-and-set; leases, so that a unit has one writer.

A unit's lease is a record that expires. Its revision when it was taken is the fencing token: it is written into the unit's record
before any work, so that whoever held the lease before fails at the next thing it records, and files are named by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from toro_core.bulk.errors import LeaseLost
from toro_core.bulk.job import Job, Unit, decode_job, decode_unit, encode
from toro_core.errors import StateConflict
from toro_core.storage import Storage

__all__ = ["LEASE_SECONDS", "Claim", "Jobs"]

LEASE_SECONDS: Final = 30.0
"""How long a unit stays with a process that gives no sign of life."""
_JOB: Final = "bulk/job/"


@dataclass(slots=True, kw_only=True)
class Claim:
    """A unit that this process works on, with the revisions of its record and its lease as this process wrote them."""

    job: Job
    unit: Unit
    unit_revision: int
    lease_revision: int


class Jobs:
    """Keeps jobs."""

    def __init__(self, storage: Storage, *, lease_seconds: float = LEASE_SECONDS) -> None:
        """Keep them in this storage's state."""
        self._storage = storage
        self.lease_seconds: Final = lease_seconds

    async def add(self, job: Job, units: Sequence[Unit]) -> None:
        """Add a job with its units."""
        for unit in units:
            await self._storage.put_state(_unit(job.id, unit.number), encode(unit), if_revision=0)
        await self._storage.put_state(_JOB + job.id, encode(job), if_revision=0)

    async def all(self) -> Sequence[Job]:
        """Return every job, the oldest first."""
        found = [decode_job(record.value) for record in await self._storage.list_state(_JOB)]
        return sorted(found, key=lambda job: (job.created, job.id))

    async def get(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        record = await self._storage.get_state(_JOB + job_id)
        return None if record is None else decode_job(record.value)

    async def units(self, job_id: str) -> Sequence[Unit]:
        """Return a job's units in order."""
        return [decode_unit(record.value) for record in await self._storage.list_state(f"bulk/unit/{job_id}/")]

    async def end(self, job: Job) -> bool:
        """Record that a running job is complete or failed; False where another process was first, or it was cancelled."""
        record = await self._storage.get_state(_JOB + job.id)
        if record is None or decode_job(record.value).state != "running":
            return False
        try:
            await self._storage.put_state(_JOB + job.id, encode(job), if_revision=record.revision)
        except StateConflict:
            return False
        return True

    async def remove(self, job_id: str) -> bool:
        """Remove a job and all that belongs to it but its files; False where there was none."""
        found = await self._storage.delete_state(_JOB + job_id)
        for prefix in (f"bulk/unit/{job_id}/", f"bulk/lease/{job_id}/", f"bulk/reading/{job_id}/"):
            for record in await self._storage.list_state(prefix):
                await self._storage.delete_state(record.key)
        return found

    async def claim(self, job: Job, number: int) -> Claim | None:
        """Take a unit's lease where nobody holds it; None where somebody does, or the unit is done."""
        try:
            token = await self._storage.put_state(_lease(job.id, number), b"{}", if_revision=0, ttl=self.lease_seconds)
        except StateConflict:
            return None
        record = await self._storage.get_state(_unit(job.id, number))
        if record is not None and not (unit := decode_unit(record.value)).done:
            made = [file for file in unit.files if file.kind != "references"]
            unit = replace(
                unit,
                lease=token,
                attempts=unit.attempts + 1,
                seen=unit.position,
                resources=sum(file.count for file in made if file.kind == "output"),
                bytes=sum(file.size for file in made),
            )
            try:
                revision = await self._storage.put_state(
                    _unit(job.id, number), encode(unit), if_revision=record.revision
                )
            except StateConflict:
                pass
            else:
                return Claim(job=job, unit=unit, unit_revision=revision, lease_revision=token)
        await self._storage.delete_state(_lease(job.id, number))
        return None

    async def save(self, claim: Claim, unit: Unit) -> None:
        """Record how far a unit has come. Raises LeaseLost."""
        try:
            key = _unit(claim.job.id, unit.number)
            claim.unit_revision = await self._storage.put_state(key, encode(unit), if_revision=claim.unit_revision)
        except StateConflict:
            raise LeaseLost from None
        claim.unit = unit

    async def renew(self, claim: Claim) -> None:
        """Hold the lease for longer. Raises LeaseLost."""
        key = _lease(claim.job.id, claim.unit.number)
        try:
            claim.lease_revision = await self._storage.put_state(
                key, b"{}", if_revision=claim.lease_revision, ttl=self.lease_seconds
            )
        except StateConflict:
            raise LeaseLost from None

    async def release(self, claim: Claim) -> None:
        """Give the lease up, where it is still held."""
        try:
            key = _lease(claim.job.id, claim.unit.number)
            await self._storage.delete_state(key, if_revision=claim.lease_revision)
        except StateConflict:
            return

    async def exists(self, job_id: str) -> bool:
        """Say whether the job still runs."""
        record = await self._storage.get_state(_JOB + job_id)
        return record is not None and decode_job(record.value).state == "running"

    async def mark_read(self, job_id: str, reader: str) -> None:
        """Note that a file of the job is being read now; the note lasts a minute."""
        await self._storage.put_state(f"bulk/reading/{job_id}/{reader}", b"{}", ttl=60.0)

    async def is_read(self, job_id: str) -> bool:
        """Say whether a file of the job is being read, by whatever process."""
        return bool(await self._storage.list_state(f"bulk/reading/{job_id}/"))


def _unit(job_id: str, number: int) -> str:
    return f"bulk/unit/{job_id}/{number:04}"


def _lease(job_id: str, number: int) -> str:
    return f"bulk/lease/{job_id}/{number:04}"
