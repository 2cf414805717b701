"""Bulk exports: how fast, in how much memory, and what reads beside them notice."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.client import register
from bench.corpus import Corpus, url
from bench.load_http import request_bytes
from bench.rounds import Row, Target, compare, report, take
from bench.servers import free_port, serving, toro
from toro_core.plugins import open_storage

__all__ = ["measure_exports", "measure_reads_beside_exports"]

_SELECT = "SELECT json FROM version WHERE ended_seq IS NULL AND NOT deleted ORDER BY vid"
_CONNECTIONS = 16
_PACE = 0.01
_EXPORT = "/fhir/$export?_type=Patient,Observation"


async def measure_exports(corpus: Corpus, folder: Path, *, rounds: int) -> list[Row]:
    """Compare a scan, and an export to files, each in a process of its own, with what SQLite's own command selects."""
    command = shutil.which("sqlite3")
    if command is None:
        return []
    memory: list[float] = []
    taken = await take(
        {
            "select": lambda: _selected(command, corpus.database, folder / "selected.ndjson"),
            "scan": lambda: _worked("scan", corpus, folder, []),
            "export": lambda: _worked("export", corpus, folder, memory),
        },
        rounds=rounds,
    )
    select = ("sqlite3 command", taken["select"])
    of = f"of {corpus.resources:,}"
    return [
        compare(f"scan {of}", "MB/s", taken["scan"], *select, Target(kind="at least", ratio=0.8)),
        compare(f"export {of} to files", "MB/s", taken["export"], *select, Target(kind="at least", ratio=0.6)),
        report(f"export {of}, peak memory", "MB", tuple(memory)),
    ]


async def _selected(command: str, database: Path, target: Path) -> float:
    started = time.perf_counter()
    with target.open("wb") as output:
        process = await asyncio.create_subprocess_exec(command, str(database), _SELECT, stdout=output)
        await process.wait()
    seconds = time.perf_counter() - started
    return _size(target) / 1e6 / seconds


def _size(file: Path) -> int:
    """Return a file's size, and remove it."""
    size = file.stat().st_size
    file.unlink()
    return size


async def _worked(what: str, corpus: Corpus, folder: Path, memory: list[float]) -> float:
    arguments = ("-m", "bench.export_worker", what, url(corpus.database), str(folder / "exports"))
    root = Path(__file__).parent.parent
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, cwd=root)
    said, _ = await process.communicate()
    found = json.loads(said)
    memory.append(found["rss"] / 1e6)
    return float(found["bytes"]) / 1e6 / float(found["seconds"])


async def measure_reads_beside_exports(corpus: Corpus, folder: Path, *, seconds: float, rounds: int) -> list[Row]:
    """Compare the slowest of a hundred reads while exports run with those of a quiet server, and time the first byte."""
    database = folder / "beside.db"
    shutil.copyfile(corpus.database, database)
    async with open_storage(url(database)) as storage:
        client = await register(storage)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    settings = folder / "beside.toml"
    settings.write_text(f'export_files = "{folder / "beside"}"\nexport_limit = 100\n')
    command = toro("serve", "--config", str(settings), "--storage", url(database), "--port", str(port))
    async with serving(command, port, folder):
        server = _Server(base, port, await client.token_over_http(base), corpus)
        taken = await take(
            {
                "quiet": lambda: server.slowest(lambda: asyncio.sleep(seconds)),
                "busy": lambda: server.slowest(lambda: server.exporting(seconds)),
                "first": server.first_byte,
            },
            rounds=rounds,
        )
    most = Target(kind="at most", ratio=2)
    return [
        compare("read p99 beside an export", "ms", taken["busy"], "read p99", taken["quiet"], most),
        report("export, kick-off to first byte", "s", taken["first"]),
    ]


@dataclass(frozen=True, slots=True)
class _Server:
    base: str
    port: int
    token: str
    corpus: Corpus

    async def slowest(self, meanwhile: Callable[[], Awaitable[object]]) -> float:
        """Read at a pace while something else goes on, and return what one in a hundred reads takes longer than, in ms."""
        bearer = {"authorization": f"Bearer {self.token}"}
        names = self.corpus.names(500)
        requests = [request_bytes("GET", f"/fhir/{name}", bearer) for name in names]
        taken: list[float] = []
        readers = [asyncio.create_task(self._read(requests[n::_CONNECTIONS], taken)) for n in range(_CONNECTIONS)]
        await meanwhile()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        return sorted(taken)[len(taken) * 99 // 100] * 1000

    async def _read(self, requests: list[bytes], taken: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            while True:
                for request in requests:
                    started = time.perf_counter()
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                    await reader.readexactly(int(lengths[0].partition(b":")[2]))
                    taken.append(time.perf_counter() - started)
                    await asyncio.sleep(_PACE)
        finally:
            writer.close()

    async def exporting(self, seconds: float) -> None:
        """Export again and again for so long."""
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            await self.first_byte()

    async def first_byte(self) -> float:
        """Export, and return the seconds until the first byte can be had."""
        bearer = {"authorization": f"Bearer {self.token}"}
        started = time.perf_counter()
        async with httpx.AsyncClient(base_url=self.base, headers=bearer, timeout=60) as http:
            begun = await http.get(_EXPORT, headers={"prefer": "respond-async"})
            status = begun.headers["content-location"]
            while (answer := await http.get(status)).status_code in (202, 429):  # noqa: ASYNC110 polling is the protocol
                await asyncio.sleep(0.1 if answer.status_code == 202 else 1)
            async with http.stream("GET", answer.json()["output"][0]["url"]) as file:
                await anext(file.aiter_raw())
            seconds = time.perf_counter() - started
            await http.delete(status)
        return seconds
