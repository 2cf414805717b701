"""HTTP/1.1 load over connections that stay open: as little work a request as can be, in the standard library."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import uvloop

from bench.tally import Tally

__all__ = ["HttpLoad", "request_bytes", "run_http"]

_LENGTH = b"\r\ncontent-length: "


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
    tally = Tally(load.seconds)
    requests = itertools.cycle(load.requests)
    connections = [
        (await loop.create_connection(lambda: _Connection(tally, requests, load.status), "127.0.0.1", load.port))[1]
        for _ in range(load.connections)
    ]
    for connection in connections:
        connection.send()
    try:
        return await tally.rate()
    finally:
        for connection in connections:
            connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self, tally: Tally, requests: Iterator[bytes], status: int) -> None:
        self._tally = tally
        self._requests = requests
        self._expected = b"HTTP/1.1 %d " % status
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.fail("the server closed a connection")

    def send(self) -> None:
        self._transport.write(next(self._requests))

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
        if not self._missing and not self._tally.over:
            self._tally.count()
            self.send()

    def _body_length(self, data: bytes, end: int) -> int:
        if not data.startswith(self._expected):
            self._tally.fail(f"expected {self._expected.decode()}, got: {data[:500].decode(errors='replace')}")
        at = data.lower().find(_LENGTH, 0, end)
        if at < 0:
            self._tally.fail("an answer has no Content-Length")
            return len(data) - end - 4
        start = at + len(_LENGTH)
        return int(data[start : data.index(b"\r", start)])
