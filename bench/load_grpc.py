"""gRPC load as plain HTTP/2 frames: the usual clients cost as much as a server and would be measured with it.

The calls run as concurrent streams of one connection. Headers are sent once and then as indices of the HPACK table, as every
gRPC client does. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import uvloop

from bench.tally import Tally

__all__ = ["GrpcLoad", "run_grpc"]

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_LARGEST_WINDOW = 2**31 - 1
_INITIAL_WINDOW = 65_535
_INITIAL_WINDOW_SIZE = 4
_FIRST_DYNAMIC = 62
_MESSAGE_PREFIX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcLoad:
    """Serialised request messages of one method, sent in turn."""

    port: int
    path: str
    messages: tuple[bytes, ...]
    metadata: tuple[tuple[str, str], ...] = ()
    calls: int = 16
    seconds: float = 1.0


def run_grpc(load: GrpcLoad) -> float:
    """Run a load and return answers a second. Raises LoadFailed."""
    return uvloop.run(_run(load))


async def _run(load: GrpcLoad) -> float:
    loop = asyncio.get_running_loop()
    tally = Tally(load.seconds)
    _, connection = await loop.create_connection(lambda: _Connection(tally, load), "127.0.0.1", load.port)
    connection.start()
    try:
        return await tally.rate()
    finally:
        connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self, tally: Tally, load: GrpcLoad) -> None:
        self._tally = tally
        self._calls = load.calls
        self._answered: set[int] = set()  # streams that have sent a message; one that ends without was refused
        self._buffer = bytearray()
        self._streams: Iterator[int] = itertools.count(1, 2)
        self._messages = itertools.cycle(
            _frame(_DATA, _END_STREAM, 0, struct.pack(">BI", 0, len(message)) + message) for message in load.messages
        )
        self._first, self._later = _header_blocks(load)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, _LARGEST_WINDOW)
        window = struct.pack(">I", _LARGEST_WINDOW - _INITIAL_WINDOW)
        self._transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW, 0, 0, window))

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.fail("the server closed the connection")

    def start(self) -> None:
        self._send(self._first)
        for _ in range(self._calls - 1):
            self._send(self._later)

    def _send(self, headers: bytes) -> None:
        stream = struct.pack(">I", next(self._streams))
        message = next(self._messages)
        opened = struct.pack(">I", len(headers))[1:] + bytes((_HEADERS, _END_HEADERS)) + stream + headers
        self._transport.write(opened + message[:5] + stream + message[9:])

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if len(buffer) - at - 9 < length:
                break
            kind, flags, stream = struct.unpack_from(">BBI", buffer, at + 3)
            self._take(kind, flags, stream, bytes(buffer[at + 9 : at + 9 + length]) if kind == _PING else b"", length)
            at += 9 + length
        del buffer[:at]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, length: int) -> None:
        if kind == _DATA and length >= _MESSAGE_PREFIX:
            self._answered.add(stream)
        elif kind == _HEADERS and flags & _END_STREAM:
            if stream not in self._answered:
                self._tally.fail("a call was refused")
            self._answered.discard(stream)
            if not self._tally.over:
                self._tally.count()
                self._send(self._later)
        elif kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RESET, _GOAWAY):
            self._tally.fail("the server reset a call or is going away")


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _header_blocks(load: GrpcLoad) -> tuple[bytes, bytes]:
    """Write the headers as literals that enter the table, and as the indices they have from then on."""
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", load.path),
        (":authority", f"127.0.0.1:{load.port}"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *load.metadata,
    ]
    literal = b"".join(b"\x40" + _text(name) + _text(value) for name, value in headers)
    last = _FIRST_DYNAMIC + len(headers) - 1
    return literal, bytes(0x80 | last - position for position in range(len(headers)))


def _text(value: str) -> bytes:
    """Write a string without Huffman coding. RFC 7541, 5.2"""
    length = len(value)
    if length < 127:
        return bytes((length,)) + value.encode()
    prefix = bytearray((127,))
    length -= 127
    while length >= 128:
        prefix.append(length & 127 | 128)
        length >>= 7
    return bytes((*prefix, length)) + value.encode()
