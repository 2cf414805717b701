"""Bringing large files to the disk while they are written, so that fsync has little left to wait for."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["WRITE_BACK_BYTES", "write_back"]

WRITE_BACK_BYTES: Final = 8_000_000
"""After how many bytes it is worth asking."""


def write_back(descriptor: int, start: int) -> int:
    """Have the system begin with what a file has from `start` on, where it can be asked to, and return the file's size."""
    size = os.fstat(descriptor).st_size
    if hasattr(os, "posix_fadvise"):
        # On Linux this starts writing what is dirty and does not wait.
        os.posix_fadvise(descriptor, start, size - start, os.POSIX_FADV_DONTNEED)
    return size
