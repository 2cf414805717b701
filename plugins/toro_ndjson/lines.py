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
    """A line of a file, without its end; `whole` where it had one."""

    number: int
    offset: int
    data: bytes
    whole: bool


def sealed(payload: bytes) -> bytes:
    """Put the sum before the members of a JSON object, and a line's end behind it."""
    rest = payload[1:]
    return b'%s%08x",%s\n' % (_START, zlib.crc32(rest), rest)


def unsealed(line: bytes) -> bool:
    """Say whether a line, without its end, is as it was sealed."""
    if not line.startswith(_START) or line[PREFIX - 2 : PREFIX] != b'",':
        return False
    try:
        crc = int(line[len(_START) : PREFIX - 2], 16)
    except ValueError:
        return False
    return zlib.crc32(memoryview(line)[PREFIX:]) == crc


def lines(file: File, offset: int = 0) -> Iterator[Line]:
    """Yield a file's lines; only one is in memory at a time, beside a chunk."""
    number, rest = 1, b""
    at = offset
    while chunk := file.read(at, _CHUNK):
        at += len(chunk)
        parts = (rest + chunk).split(b"\n")
        rest = parts.pop()
        for part in parts:
            yield Line(number, offset, part, True)
            offset += len(part) + 1
            number += 1
    if rest:
        yield Line(number, offset, rest, False)
