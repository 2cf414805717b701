"""What a facade answers while its core is not there yet: it lives, is not ready, and asks to come back."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from starlette.types import Receive, Scope, Send

from toro_core.v1 import CallError, Core, GetCapabilitiesRequest, GetCapabilitiesResponse, Issue
from toro_facade.answer import Answer
from toro_facade.health import live_answer, unready_answer
from toro_facade.outcome import outcome, outcome_answer

__all__ = ["reached", "waiting"]

_LOG: Final = logging.getLogger("toro.facade")
_DEADLINE: Final = 5.0
_PAUSE: Final = 0.5
_NOT_YET: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})


async def reached(core: Core, *, patient: bool) -> GetCapabilitiesResponse | None:
    """Return what the core can do, None where it does not answer yet; who is `patient` asks until it does.

    Raises CallError where it answers and refuses.
    """
    while True:
        try:
            return await core.GetCapabilities(GetCapabilitiesRequest(), timeout=_DEADLINE)
        except CallError as error:
            if error.code not in _NOT_YET:
                raise
        if not patient:
            return None
        await asyncio.sleep(_PAUSE)


async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request without a core (ASGI). Connections are closed, so that the next request finds the application."""
    if scope["type"] == "lifespan":
        await _live_on(receive, send)
        return
    path = scope["path"]
    if path == "/health/live":
        answer = live_answer()
    elif path == "/health/ready":
        answer = unready_answer()
    else:
        issue = Issue(code="transient", diagnostics="The server is starting; try again.")
        answer = outcome_answer(outcome([issue]), 503, headers=[(b"retry-after", b"2")])
    await _send(answer, send, is_head=scope["method"] == "HEAD")


async def _live_on(receive: Receive, send: Send) -> None:
    _LOG.warning("the core does not answer; waiting for it, and not ready until it does")
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def _send(answer: Answer, send: Send, *, is_head: bool) -> None:
    length = (b"content-length", str(len(answer.body)).encode("ascii"))
    headers = [*answer.headers, length, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else answer.body})
