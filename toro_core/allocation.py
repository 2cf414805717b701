"""What the C library does with memory that is given back."""

from __future__ import annotations

from typing import Final

__all__ = ["keep_freed_memory"]

_LARGEST: Final = 31 << 20
"""glibc learns from blocks of up to 32 MiB."""


def keep_freed_memory() -> None:
    """Have a process that needs large blocks again and again keep them, some 64 MB at most.

    glibc otherwise gives each back to the system and gets it again page by page, which takes a fifth of an export, and of a search
    wherever its answer happens to end the heap. It goes by the largest block freed so far; this one's pages are never touched.
    Other C libraries do as they would.
    """
    bytes(_LARGEST)
