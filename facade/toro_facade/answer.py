"""What an interaction answers: status, headers, body. Plain data, so that the gateway sends it in two messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["Answer", "Header"]

Header: TypeAlias = tuple[bytes, bytes]
"""Lower-case name and value, as ASGI carries them."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """An HTTP response; Content-Length is added when it is sent. A `stream`, of `size` bytes where known, stands for the body."""

    status: int = 200
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    size: int | None = None
