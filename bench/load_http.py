"""HTTP/1.1 load over connections that stay open: as little work a request as can be, in the standard library."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import uvloop

__all__ = ["HttpLoad", "LoadFailed", "request_bytes", "run_http"]

_LENGTH = b"\r\ncontent-length: "


class LoadFailed(Exception):
    """A server did not answer as it should, so its speed means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLoad:
    """Whole requests, sent in turn, each connection waiting for its answer before it sends the next."""

    port: int
    requests: tuple[bytes, ...]
    status: int = 200
    connections: int = 16
    seconds: float = 1.0


def request_bytes(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Write a request."""
    fields = {"host": "127.0.0.1", **headers}
    if body:
        fields["content-length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def run_http(load: HttpLoad) -> float:
    """Run a load and return answers a second. Raises LoadFailed."""
    return uvloop.run(_run(load))


async def _run(load: HttpLoad) -> float:
    loop = asyncio.get_running_loop()
    run = _Run(load=load, requests=itertools.cycle(load.requests), done=loop.create_future())
    connections = [
        (await loop.create_connection(lambda: _Connection(run), "127.0.0.1", load.port))[1]
        for _ in range(load.connections)
    ]
    started = time.perf_counter()
    for connection in connections:
        connection.send()
    timer = loop.call_later(load.seconds, run.stop)
    try:
        await run.done
    finally:
        timer.cancel()
        elapsed = time.perf_counter() - started
        for connection in connections:
            connection.close()
    if not run.answers:
        raise LoadFailed(f"no answer within {load.seconds} s")
    return run.answers / elapsed


@dataclass(slots=True, kw_only=True)
class _Run:
    load: HttpLoad
    requests: Iterator[bytes]
    done: asyncio.Future[None]
    answers: int = 0

    def stop(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(LoadFailed(why))


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._expected = b"HTTP/1.1 %d " % run.load.status
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.fail("the server closed a connection")

    def send(self) -> None:
        self._transport.write(next(self._run.requests))

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._head = b""
            self._missing = self._body_length(data, end) - (len(data) - end - 4)
        if not self._missing and not self._run.done.done():
            self._run.answers += 1
            self.send()

    def _body_length(self, data: bytes, end: int) -> int:
        if not data.startswith(self._expected):
            self._run.fail(f"expected status {self._run.load.status}, got: {data[:500].decode(errors='replace')}")
        at = data.lower().find(_LENGTH, 0, end)
        if at < 0:
            self._run.fail("an answer has no Content-Length")
            return len(data) - end - 4
        start = at + len(_LENGTH)
        return int(data[start : data.index(b"\r", start)])
