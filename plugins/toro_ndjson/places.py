"""Where a resource's JSON lies: a part of a file, with what it has to add up to."""

from __future__ import annotations

import os
import zlib
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from toro_core.errors import Damaged

__all__ = ["File", "Kind", "Place"]

Kind: TypeAlias = Literal["journal", "current", "history", "foreign"]
"""What a file holds: commits, the current resources of a type, what was replaced, or what others wrote."""

_CHUNK: Final = 1 << 20


class File:
    """A file open for reading, for as long as anything lies in it: renamed or removed meanwhile it is still the same one."""

    __slots__ = ("descriptor", "kind", "name")

    def __init__(self, descriptor: int, name: str, kind: Kind) -> None:
        """Take a descriptor over; the name is relative to the storage's folder."""
        self.descriptor = descriptor
        self.name = name
        self.kind: Final = kind

    def __del__(self) -> None:
        os.close(self.descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """Return what lies there, less where the file ends."""
        return os.pread(self.descriptor, length, offset)

    def length(self) -> int:
        """Return how many bytes it has."""
        return os.fstat(self.descriptor).st_size

    def line(self, offset: int) -> int:
        """Return the number, from 1, of the line that holds this byte."""
        count, at = 1, 0
        while at < offset:
            chunk = self.read(at, min(_CHUNK, offset - at))
            if not chunk:
                break
            count += chunk.count(b"\n")
            at += len(chunk)
        return count


class Place(NamedTuple):
    """A part of a file and its CRC-32."""

    file: File
    offset: int
    length: int
    crc: int

    def read(self) -> bytes:
        """Return the JSON. Raises Damaged, which names file and line."""
        try:
            data = self.file.read(self.offset, self.length)
        except OSError as error:
            raise Damaged(f"{self.file.name} cannot be read ({error.strerror}); restore it from a backup") from error
        if len(data) != self.length or zlib.crc32(data) != self.crc:
            line = self.file.line(self.offset)
            raise Damaged(
                f"line {line} of {self.file.name} is not what was written and is not served; restore the file from a backup"
            )
        # JSON of several lines lies there as one string.
        return msgspec.json.decode(data, type=str).encode() if data.startswith(b'"') else data
