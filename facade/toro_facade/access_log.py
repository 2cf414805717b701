"""One JSON line a request, with nothing in it that a patient could be told by: never a URL, a query, a body or a token."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

__all__ = ["ACCESS", "Line"]

ACCESS: Final = "toro.access"
"""The logger's name."""


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
