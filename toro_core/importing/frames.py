"""What goes between an import and its workers: first the terms, then parts of files and, each for one, what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from toro_core.validation import Policy

__all__ = ["HEAD", "Terms", "frame", "size_of"]

HEAD: Final = 8
"""Bytes before each message that say how long it is."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an import goes by: the deployment's compiled `packages`, addresses of its own, and what was asked for."""

    packages: Sequence[bytes]
    service_bases: Sequence[str]
    policy: Policy | None
    """None validates nothing."""
    strict: bool
    stop: bool


def frame(data: bytes) -> tuple[bytes, bytes]:
    """Put a message's length before it."""
    return len(data).to_bytes(HEAD, "big"), data


def size_of(head: bytes) -> int:
    """Return the length that a message is said to have."""
    return int.from_bytes(head, "big")
