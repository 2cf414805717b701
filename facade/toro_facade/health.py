"""Probes for whoever runs the process."""

from __future__ import annotations

from typing import Final

from toro_core.v1 import CallError, GetCapabilitiesRequest
from toro_facade.answer import Answer, Header
from toro_facade.exchange import Exchange

__all__ = ["live", "live_answer", "ready", "unready_answer"]

_DEADLINE: Final = 2.0
_HEADERS: Final[tuple[Header, ...]] = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


def live_answer() -> Answer:
    """Say that the process runs."""
    return Answer(headers=list(_HEADERS), body=b'{"status":"live"}')


def unready_answer() -> Answer:
    """Say that requests are better sent elsewhere."""
    return Answer(status=503, headers=[*_HEADERS, (b"retry-after", b"2")], body=b'{"status":"core unreachable"}')


async def live(exchange: Exchange) -> Answer:
    """Answer `GET /health/live`: the process runs."""
    return live_answer()


async def ready(exchange: Exchange) -> Answer:
    """Answer `GET /health/ready`: the core answers in time."""
    core = exchange.services.core
    try:
        await core.GetCapabilities(GetCapabilitiesRequest(), metadata=exchange.metadata, timeout=_DEADLINE)
    except CallError:
        return unready_answer()
    return Answer(headers=list(_HEADERS), body=b'{"status":"ready"}')
