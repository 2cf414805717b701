"""A process that scans a database, or exports it to files, and says how long that took and how much memory."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from toro_core.access import Access
from toro_core.allocation import keep_freed_memory
from toro_core.auth.scopes import grants_of
from toro_core.bulk.asking import Asking
from toro_core.bulk.cohorts import Cohorts
from toro_core.bulk.exports import Exports
from toro_core.bulk.files import LocalFiles
from toro_core.bulk.jobs import Jobs
from toro_core.bulk.runner import Limits, Runner
from toro_core.bulk.selection import Tools
from toro_core.caller import Caller
from toro_core.definitions import load
from toro_core.lines import lines
from toro_core.plugins import open_storage
from toro_core.reading import Reader
from toro_core.search.extract import Extractor
from toro_core.search.parse import SearchParser
from toro_core.storage import ScanPlan, Storage
from toro_core.v1 import ExportLevel, StartExportRequest


async def scan(storage: Storage) -> int:
    """Read all that is current and return its bytes."""
    watermark = await storage.watermark()
    size = 0
    async for batch in lines(storage, ScanPlan(as_of=watermark.seq)):
        size += sum([len(some.json) + 1 for some in batch.lines])
    return size


async def export(storage: Storage, folder: Path) -> int:
    """Export all of it, as a system administrator who asks for everything, and return the files' bytes."""
    extractor = Extractor(load(), ())
    parser = SearchParser(extractor)
    access = Access(parser.constraint)
    jobs, files = Jobs(storage), LocalFiles(folder)
    runner = Runner(storage, jobs, files, Tools(extractor, parser, access), Limits(poll=0.01))
    cohorts = Cohorts(storage, Reader(storage, extractor, access), extractor.references)
    asking = Asking(extractor.definitions, parser, access)
    exports = Exports(storage, jobs, files, asking, access, cohorts, runner, at_once=1)
    caller = Caller(client_id="bench", grants=grants_of(("system/*.rs",)))
    job = await exports.start(caller, StartExportRequest(level=ExportLevel.EXPORT_LEVEL_SYSTEM))
    while (found := await jobs.get(job.id)) is not None and found.state == "running":
        await runner.step()
    size = found.bytes if found else 0
    await exports.cancel(caller, job.id)
    return size


async def main(what: str, url: str, folder: str) -> None:
    """Do it and print JSON."""
    keep_freed_memory()  # as the process for exports does
    async with open_storage(url) as storage:
        started = time.perf_counter()
        size = await (scan(storage) if what == "scan" else export(storage, Path(folder)))
        seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "bytes": size, "rss": _peak()}))


def _peak() -> int:
    """Return the most memory that this process has had, in bytes; Linux counts its parent's in `ru_maxrss` too."""
    status = Path("/proc/self/status")
    if status.exists():
        (found,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(found.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
