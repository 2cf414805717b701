"""One JSON line a request, with nothing in it that a patient could be told by: never a URL, a query, a body or a token."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

import msgspec

__all__ = ["AccessLog", "Line"]

_LOG: Final = logging.getLogger("toro.access")
_ENCODER: Final = msgspec.json.Encoder()
_BATCH: Final = 0.1


class Line(msgspec.Struct, kw_only=True):
    """What is logged of a request; `route` is a template, as in `/fhir/Patient/{id}`."""

    time: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    request_id: str
    client_id: str
    method: str
    route: str
    status: int
    ms: float
    bytes: int


class AccessLog:
    """Keeps lines for a tenth of a second and writes them together: a write for each costs as much as a request."""

    def __init__(self) -> None:
        """Keep no lines yet."""
        self._lines: list[Line] = []

    def add(self, line: Line) -> None:
        """Keep a line, and have it written."""
        if not self._lines:
            asyncio.get_running_loop().call_later(_BATCH, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what is kept, as one record of many lines."""
        lines, self._lines = self._lines, []
        if lines:
            _LOG.info("%s", _ENCODER.encode_lines(lines)[:-1].decode())
