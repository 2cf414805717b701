"""The files of one stretch of work, written in pieces of about a megabyte; none exists before all of them do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeAlias

from toro_core.bulk.files import Files, Output
from toro_core.bulk.job import File, FileKind, Format
from toro_core.definitions import Definitions

__all__ = ["Encoder", "Encoders", "NdjsonEncoder", "Parts"]

_PENDING: Final = 1 << 20
_FEW: Final = 4
"""Up to so many are written as they are: they are large, and joining would copy them."""


class Encoder(Protocol):
    """Writes lines of JSON in a format. It is called on threads, one at a time."""

    def write(self, lines: list[bytes]) -> None:
        """Write resources; a line may be several, joined by newlines."""

    def close(self) -> int:
        """Complete the file and return its size in bytes."""


MakeEncoder: TypeAlias = Callable[[Output], Encoder]


class NdjsonEncoder:
    """Newline-delimited JSON, with a newline after each line."""

    def __init__(self, output: Output) -> None:
        """Write to this file."""
        self._output = output
        self._size = 0

    def write(self, lines: list[bytes]) -> None:
        """Write resources."""
        for some in lines if len(lines) <= _FEW else (b"\n".join(lines),):
            self._output.write(some)
            self._output.write(b"\n")
            self._size += len(some) + 1

    def close(self) -> int:
        """Complete the file."""
        self._output.close()
        return self._size


class Encoders:
    """Knows what writes a file, by what it is about."""

    def __init__(self, definitions: Definitions, format_: Format = "ndjson") -> None:
        """Write resources in this format; what is about them is NDJSON always."""
        self._definitions = definitions
        self._format = format_

    def of(self, kind: FileKind, resource_type: str) -> tuple[MakeEncoder, Format]:
        """Return what writes such a file, and the ending of its name."""
        if self._format == "parquet" and kind == "output":
            from toro_core.bulk.parquet import ParquetEncoder

            return partial(ParquetEncoder, self._definitions, resource_type), "parquet"
        return NdjsonEncoder, "ndjson"


@dataclass(slots=True, kw_only=True)
class _Part:
    kind: FileKind
    type: str
    stored: str
    make: MakeEncoder
    encoder: Encoder | None = None
    lines: list[bytes] = field(default_factory=list)
    count: int = 0
    bytes: int = 0
    """Bytes of JSON, which say when the file is large enough."""
    size: int = 0
    """Bytes of the file, once it is complete."""


class Parts:
    """Takes lines and spreads them over files, one type a file."""

    def __init__(self, files: Files, prefix: str, encoders: Encoders, max_bytes: int) -> None:
        """Name the files by `prefix`, as in `job/unit-lease-segment`, and begin another where one would pass `max_bytes`."""
        self._files = files
        self._prefix = prefix
        self._encoders = encoders
        self._max_bytes = max_bytes
        self._open: dict[tuple[FileKind, str], _Part] = {}
        self._all: list[_Part] = []
        self._pending = 0
        self._writing: asyncio.Task[None] | None = None
        self.bytes = 0
        """Bytes taken."""
        self.resources = 0
        """Resources taken for output."""

    def take(self, kind: FileKind, resource_type: str, line: bytes) -> None:
        """Take a line; `flush` writes it."""
        part = self._open.get((kind, resource_type))
        size = len(line) + 1
        if part is None or (part.count and part.bytes + size > self._max_bytes):
            part = self._begin(kind, resource_type)
        part.lines.append(line)
        part.count += 1
        part.bytes += size
        self._pending += size
        if kind != "references":
            self.bytes += size
        if kind == "output":
            self.resources += 1

    def take_joined(self, resource_type: str, count: int, joined: bytes) -> None:
        """Take lines of output that have been joined by newlines: as one by one, but quicker where they fit into the file."""
        part = self._open.get(("output", resource_type)) or self._begin("output", resource_type)
        size = len(joined) + 1
        if part.bytes + size > self._max_bytes:
            for line in joined.split(b"\n"):
                self.take("output", resource_type, line)
            return
        part.lines.append(joined)
        part.count += count
        part.bytes += size
        self._pending += size
        self.bytes += size
        self.resources += count

    @property
    def is_full(self) -> bool:
        """Whether enough has been taken to be written."""
        return self._pending >= _PENDING

    def _begin(self, kind: FileKind, resource_type: str) -> _Part:
        make, ending = self._encoders.of(kind, resource_type)
        name = f"{self._prefix}-{len(self._all)}.{kind}.{resource_type}.{ending}"
        part = _Part(kind=kind, type=resource_type, stored=name, make=make)
        self._all.append(part)
        self._open[kind, resource_type] = part
        return part

    async def flush(self) -> None:
        """Have what was taken written; it goes on in the background, until the next flush at most."""
        await self._written()
        self._pending = 0
        if waiting := [part for part in self._all if part.lines]:
            taken = [(part, part.lines, self._open.get((part.kind, part.type)) is not part) for part in waiting]
            for part in waiting:
                part.lines = []
            self._writing = asyncio.create_task(asyncio.to_thread(self._write, taken))

    async def _written(self) -> None:
        """Wait until what is being written has been."""
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    def _write(self, taken: list[tuple[_Part, list[bytes], bool]]) -> None:
        for part, lines, full in taken:
            if part.encoder is None:
                part.encoder = part.make(self._files.create(part.stored))
            part.encoder.write(lines)
            if full:
                part.size, part.encoder = part.encoder.close(), None

    async def close(self) -> tuple[File, ...]:
        """Write the rest, make every file durable, and return them."""
        await self.flush()
        await self._written()
        return await asyncio.to_thread(self._close)

    def _close(self) -> tuple[File, ...]:
        found = []
        for part in self._all:
            if part.encoder is not None:
                part.size, part.encoder = part.encoder.close(), None
            found.append(File(kind=part.kind, type=part.type, stored=part.stored, count=part.count, size=part.size))
        return tuple(found)

    async def abandon(self) -> None:
        """Give up what was written."""
        with suppress(Exception):  # it is given up anyway
            await self._written()
        await asyncio.to_thread(self._abandon)

    def _abandon(self) -> None:
        for part in self._all:
            if part.encoder is not None:
                with suppress(OSError):  # a job that was cancelled has lost its folder already
                    part.encoder.close()
                part.encoder = None
            self._files.remove_file(part.stored)
