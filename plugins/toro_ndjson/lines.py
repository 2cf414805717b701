"""Lines that say whether they are whole: a JSON object whose first member is the CRC-32 of what follows it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from toro_ndjson.places import File

__all__ = ["PREFIX", "Line", "lines", "sealed", "unsealed"]

_START: Final = b'{"crc":"'
PREFIX: Final = len(_START) + len('00000000",')
"""Bytes that sealing puts before what followed the object's brace."""
_CHUNK: Final = 1 << 20


class Line(NamedTuple):
    """A line of a file, without its end; `whole` where it had one. One that is longer than was asked for is without `data`."""

    number: int
    offset: int
    data: bytes
    whole: bool
    length: int


def sealed(payload: bytes) -> bytes:
    """Put the sum before the members of a JSON object, and a line's end behind it."""
    rest = payload[1:]
    return b'%s%08x",%s\n' % (_START, zlib.crc32(rest), rest)


def unsealed(line: bytes) -> bool:
    """Say whether a line, without its end, is as it was sealed."""
    if not line.startswith(_START) or line[PREFIX - 2 : PREFIX] != b'",':
        return False
    return line[len(_START) : PREFIX - 2] == b"%08x" % zlib.crc32(memoryview(line)[PREFIX:])


def lines(file: File, offset: int = 0, *, longest: int | None = None) -> Iterator[Line]:
    """Yield a file's lines; only one is in memory at a time, beside a chunk, and none that has more bytes than `longest`."""
    number, at, length = 1, offset, 0
    rest: list[bytes] = []

    def line(whole: bool) -> Line:
        data = b"" if longest is not None and length > longest else b"".join(rest)
        return Line(number, offset, data, whole, length)

    while chunk := file.read(at, _CHUNK):
        at += len(chunk)
        *parts, last = chunk.split(b"\n")
        for part in parts:
            rest.append(part)
            length += len(part)
            yield line(whole=True)
            offset += length + 1
            number += 1
            rest.clear()
            length = 0
        length += len(last)
        if longest is not None and length > longest:
            rest.clear()
        elif last:
            rest.append(last)
    if length:
        yield line(whole=False)
