"""Requests over HTTP to servers that run as in production: embedded, and split into facade and core."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.client import Client, register
from bench.corpus import Corpus, lines, url
from bench.load import Generator
from bench.load_http import HttpLoad, request_bytes
from bench.rounds import Row, Target, compare, take
from bench.servers import baseline, free_port, serving, toro
from toro_core.plugins import open_storage

__all__ = ["copied", "measure_http"]

_READ = 500
_SMALL, _LARGE = 16, 64
_Sample = Callable[[], Awaitable[float]]


async def measure_http(corpus: Corpus, folder: Path, generator: Generator, *, seconds: float, rounds: int) -> list[Row]:
    """Measure reads, searches and creates against a hello world and a commit a request, all in turn."""
    async with AsyncExitStack() as stack:
        load = partial(_sample, generator, seconds)
        hello = await stack.enter_async_context(_baseline("hello", folder))
        commits = await stack.enter_async_context(_baseline("commits", folder, str(folder / "commits-http.db")))
        embedded = await stack.enter_async_context(_embedded(corpus, folder))
        split = await stack.enter_async_context(_split(corpus, folder))
        root = (request_bytes("GET", "/", {}),)
        post = tuple(request_bytes("POST", "/", {}, line) for line in _bodies())
        taken = await take(
            {
                "hello": load(port=hello, requests=root),
                "read": load(port=embedded.port, requests=embedded.reads(corpus)),
                "split": load(port=split.port, requests=split.reads(corpus)),
                "search": load(port=embedded.port, requests=embedded.searches(corpus)),
                "commit 16": load(port=commits, requests=post, status=201, connections=_SMALL),
                "create 16": load(port=embedded.port, requests=embedded.creates(), status=201, connections=_SMALL),
                "commit 64": load(port=commits, requests=post, status=201, connections=_LARGE),
                "create 64": load(port=embedded.port, requests=embedded.creates(), status=201, connections=_LARGE),
            },
            rounds=rounds,
        )
    return _rows(taken)


def _rows(taken: Mapping[str, tuple[float, ...]]) -> list[Row]:
    hello = ("hello world", taken["hello"])
    return [
        compare("read, embedded, 16 connections", "/s", taken["read"], *hello, Target(kind="at least", ratio=0.4)),
        compare("read, split over gRPC", "/s", taken["split"], *hello),
        compare("search page of 50", "/s", taken["search"], *hello),
        compare("durable create, 16 connections", "/s", taken["create 16"], "bare commits", taken["commit 16"]),
        compare("durable create, 64 connections", "/s", taken["create 64"], "bare commits", taken["commit 64"]),
    ]


def _sample(
    generator: Generator,
    seconds: float,
    *,
    port: int,
    requests: tuple[bytes, ...],
    status: int = 200,
    connections: int = _SMALL,
) -> _Sample:
    load = HttpLoad(port=port, requests=requests, status=status, connections=connections, seconds=seconds)
    return partial(generator.rate, load)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """A running server and the headers that let the client in."""

    port: int
    headers: Mapping[str, str]

    def reads(self, corpus: Corpus) -> tuple[bytes, ...]:
        return tuple(request_bytes("GET", f"/fhir/{name}", self.headers) for name in corpus.names(_READ))

    def searches(self, corpus: Corpus) -> tuple[bytes, ...]:
        paths = (f"/fhir/Observation?patient={patient}&_count=50" for patient in corpus.heavy)
        return tuple(request_bytes("GET", path, self.headers) for path in paths)

    def creates(self) -> tuple[bytes, ...]:
        headers = {**self.headers, "content-type": "application/fhir+json"}
        return tuple(request_bytes("POST", "/fhir/Observation", headers, line) for line in _bodies())


def _bodies() -> list[bytes]:
    found = [line for line in lines(2_000) if b'"resourceType":"Observation"' in line]
    return found[:_READ]


async def copied(corpus: Corpus, database: Path) -> Client:
    """Copy a database, so that what is written stays out of the corpus, and register a client in it."""
    await asyncio.to_thread(shutil.copyfile, corpus.database, database)
    async with open_storage(url(database)) as storage:
        return await register(storage)


@asynccontextmanager
async def _baseline(name: str, folder: Path, *arguments: str) -> AsyncIterator[int]:
    port = free_port()
    async with serving(baseline(name, str(port), *arguments), port, folder):
        yield port


@asynccontextmanager
async def _embedded(corpus: Corpus, folder: Path) -> AsyncIterator[_Server]:
    database = folder / "embedded.db"
    client = await copied(corpus, database)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    command = toro("serve", "--storage", url(database), "--port", str(port), "--base-url", base)
    async with serving(command, port, folder):
        yield await _entered(client, port, base)


@asynccontextmanager
async def _split(corpus: Corpus, folder: Path) -> AsyncIterator[_Server]:
    database = folder / "split.db"
    client = await copied(corpus, database)
    port, core_port = free_port(), free_port()
    base, address = f"http://127.0.0.1:{port}", f"127.0.0.1:{core_port}"
    core = toro("core", "--storage", url(database), "--listen", address, "--base-url", base)
    facade = toro("facade", "--core", address, "--port", str(port), "--base-url", base)
    async with serving(core, core_port, folder), serving(facade, port, folder):
        yield await _entered(client, port, base)


async def _entered(client: Client, port: int, base: str) -> _Server:
    token = await client.token_over_http(base)
    return _Server(port=port, headers={"authorization": f"Bearer {token}", "accept": "application/fhir+json"})
