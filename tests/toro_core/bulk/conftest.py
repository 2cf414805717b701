"""A storage with exports on it, in small pieces; run as a script, a process that works on them until it is killed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from toro_core.access import Access
from toro_core.auth.scopes import grants_of
from toro_core.bulk.asking import Asking
from toro_core.bulk.cohorts import Cohorts
from toro_core.bulk.exports import Exports
from toro_core.bulk.files import Files, LocalFiles
from toro_core.bulk.job import Job
from toro_core.bulk.jobs import Jobs
from toro_core.bulk.runner import Limits, Runner
from toro_core.bulk.selection import Tools
from toro_core.caller import Caller
from toro_core.definitions import load
from toro_core.json import dumps, loads
from toro_core.plugins import open_storage
from toro_core.reading import Reader
from toro_core.resources import body
from toro_core.search.extract import Extractor
from toro_core.search.parse import SearchParser
from toro_core.storage import Key, Storage, Stored, Write
from toro_core.testing.memory import MemoryStorage
from toro_core.v1 import ExportLevel, StartExportRequest

BASE = "https://fhir.example.org/fhir"
EXTRACTOR = Extractor(load(), (BASE,))
CALLER = Caller(client_id="client", grants=grants_of(("system/*.rs",)))
SMALL = Limits(file_bytes=3000, segment_bytes=6000, poll=0.05, workers=1)


@dataclass
class Place:
    """Exports of a storage, and one who may have everything."""

    storage: Storage
    jobs: Jobs
    files: Files
    exports: Exports
    runner: Runner
    caller: Caller = CALLER

    async def put(self, *resources: dict[str, Any]) -> Sequence[Stored]:
        """Store resources in one commit."""
        return await self.storage.commit([_write(resource) for resource in resources])

    async def delete(self, name: str) -> Stored:
        (stored,) = await self.storage.commit([Write(key=Key(*name.split("/")), body=None)])
        return stored

    async def start(self, **given: Any) -> Job:
        asked: dict[str, Any] = {"level": ExportLevel.EXPORT_LEVEL_SYSTEM, "base_url": BASE} | given
        return await self.exports.start(self.caller, StartExportRequest(**asked))

    async def finish(self, job: Job, seconds: float = 30) -> Job:
        """Work until the job has ended."""
        async with asyncio.timeout(seconds):
            while (found := await self.jobs.get(job.id)) is not None and found.state == "running":
                if not await self.runner.step():
                    await asyncio.sleep(0.02)
        assert found is not None
        return found

    async def export(self, **asked: Any) -> Job:
        return await self.finish(await self.start(**asked))

    async def lines(self, job: Job) -> dict[str, list[bytes]]:
        """Return the lines of a complete job by type, "deleted" and "error" apart, in the order of its files."""
        found: dict[str, list[bytes]] = {}
        for file in job.files:
            chunks = [chunk async for chunk in self.exports.content(job, file, 0, 0)]
            data = b"".join(chunks)
            assert len(data) == file.size
            assert data.endswith(b"\n")
            lines = data.removesuffix(b"\n").split(b"\n")
            assert len(lines) == file.count
            found.setdefault(file.type if file.kind == "output" else file.kind, []).extend(lines)
        return found

    async def ids(self, job: Job) -> set[str]:
        """Name what went out."""
        resources = [
            loads(line) for kind, lines in (await self.lines(job)).items() if kind[0].isupper() for line in lines
        ]
        names = [f"{resource['resourceType']}/{resource['id']}" for resource in resources]
        assert len(names) == len(set(names))
        return set(names)


def _write(resource: dict[str, Any]) -> Write:
    parsed = loads(dumps(resource))
    key = Key(resource["resourceType"], resource["id"])
    return Write(key=key, body=body(parsed, key.id), rows=EXTRACTOR.rows(parsed))


def place_on(
    storage: Storage,
    folder: Path,
    limits: Limits = SMALL,
    *,
    unit_span: int = 1000,
    lease_seconds: float = 30.0,
    ascii_only: bool = False,
    files: Files | None = None,
) -> Place:
    """Put exports on a storage."""
    parser = SearchParser(EXTRACTOR)
    access = Access(parser.constraint)
    jobs, files = Jobs(storage, lease_seconds=lease_seconds), files or LocalFiles(folder)
    runner = Runner(storage, jobs, files, Tools(EXTRACTOR, parser, access, ascii_only=ascii_only), limits)
    asking = Asking(EXTRACTOR.definitions, parser, access)
    cohorts = Cohorts(storage, Reader(storage, EXTRACTOR, access), EXTRACTOR.references)
    exports = Exports(storage, jobs, files, asking, access, cohorts, runner, at_once=4, unit_span=unit_span)
    return Place(storage, jobs, files, exports, runner)


def patient(number: int | str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{number}", **more}


def observation(number: int | str, subject: int | str = 0, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"text": "Größe"},
        "subject": {"reference": f"Patient/p{subject}"},
        **more,
    }


@pytest.fixture(scope="session")
def kit() -> ModuleType:
    """Return this module, of which tests need the parts."""
    return sys.modules[__name__]


@pytest.fixture(params=["sqlite", "memory"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Exports on each storage that comes with Toro."""
    if request.param == "memory":
        yield place_on(MemoryStorage(), tmp_path / "exports")
        return
    async with opened(f"sqlite:///{tmp_path}/toro.db", tmp_path / "exports") as place:
        yield place


@asynccontextmanager
async def opened(url: str, folder: Path, **options: Any) -> AsyncIterator[Place]:
    async with open_storage(url) as storage:
        yield place_on(storage, folder, **options)


async def _work(url: str, folder: str, options: dict[str, Any]) -> None:
    async with opened(url, Path(folder), **options) as place, place.runner.running():
        print("working", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
