"""A file being written, in large pieces."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from toro_ndjson.folder import write_all
from toro_ndjson.places import File

__all__ = ["Output"]

_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Output:
    """A file being written; `end` is how long it is."""

    file: File
    end: int = 0
    waiting: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, *parts: bytes) -> int:
        """Write parts and return where they begin."""
        begin = self.end
        for part in parts:
            self.waiting.append(part)
            self.end += len(part)
        if self.end - self.size >= _CHUNK:
            self._flush()
        return begin

    def finish(self) -> None:
        """Write what waits and let it be durable."""
        self._flush()
        os.fsync(self.file.descriptor)

    def _flush(self) -> None:
        write_all(self.file.descriptor, self.waiting)
        self.waiting.clear()
        self.size = self.end
