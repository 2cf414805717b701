"""uvicorn's HTTP protocols with a clock: slow headers, slow bodies and endless headers are cut off.

uvicorn by itself waits for headers for as long as a client likes to send them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from toro_core.v1 import Issue
from toro_facade.outcome import outcome

__all__ = ["Clock", "Patience", "http_protocol"]

_MOST_HEADERS: Final = 64 << 10
_LEAST_RATE: Final = 1024
"""Bytes a second a body has to come at on average, beyond its first `body` seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds a client has for its headers, and at most between two chunks of its body."""

    headers: float
    body: float


class Clock:
    """What one connection is waiting for, and since when."""

    __slots__ = ("_heard", "_seen", "_since", "waits_for")

    def __init__(self) -> None:
        """Wait for nothing."""
        self.waits_for: str = ""
        self._since = self._heard = 0.0
        self._seen = 0

    def expect(self, what: str, now: float) -> None:
        """Wait for `headers`, for a `body`, or for nothing; what is waited for already goes on."""
        if what != self.waits_for:
            self.waits_for = what
            self._since = self._heard = now
            self._seen = 0

    def hear(self, size: int, now: float) -> int:
        """Count bytes that came, and return how many that makes."""
        self._heard = now
        self._seen += size
        return self._seen

    def overdue(self, patience: Patience, now: float) -> bool:
        """Tell whether this takes too long."""
        if self.waits_for == "headers":
            return now - self._since > patience.headers
        if self.waits_for == "body":
            slow = now - self._since > patience.body + self._seen / _LEAST_RATE
            return slow or now - self._heard > patience.body
        return False


class _Watched:
    """What both protocols share. `sweep` is called several times a second."""

    clock: Clock
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    cycle: Any
    flow: Any

    def sweep(self, patience: Patience) -> None:
        """Cut the connection where its client is too slow."""
        now = self.loop.time()
        if self.flow is not None and self.flow.read_paused:
            self.clock.hear(0, now)  # the server is the slow one
        elif self.clock.overdue(patience, now) and not self.transport.is_closing():
            self.refuse(408, "timeout", f"The request's {self.clock.waits_for} took too long; send them faster.")

    def send_400_response(self, msg: str) -> None:
        """Say what uvicorn refuses as an OperationOutcome too."""
        self.refuse(400, "structure", "The request is not well-formed HTTP/1.1, or its URL is too long; correct it.")

    def refuse(self, status: int, code: str, diagnostics: str) -> None:
        """Answer, unless an answer is under way, and close."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = outcome([Issue(code=code, diagnostics=diagnostics)])
            head = (
                f"HTTP/1.1 {status} {_PHRASES[status]}\r\ncontent-type: application/fhir+json; charset=utf-8\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def count_headers(self, size: int) -> None:
        """Refuse headers without an end."""
        if self.clock.hear(size, self.loop.time()) > _MOST_HEADERS and self.clock.waits_for == "headers":
            self.refuse(431, "too-long", "The request's headers are too large.")


_PHRASES: Final = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


class _WatchedH11(_Watched, H11Protocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clock = Clock()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.clock.expect("headers", self.loop.time())

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        state = self.conn.their_state.__name__
        self.clock.expect({"IDLE": "headers", "SEND_BODY": "body"}.get(state, ""), self.loop.time())
        self.count_headers(len(data))


def http_protocol() -> type[asyncio.Protocol]:
    """Return the fastest protocol that is installed."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:  # no httptools outside CPython
        return _WatchedH11

    class _WatchedHttpTools(_Watched, HttpToolsProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.clock = Clock()

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.clock.expect("headers", self.loop.time())

        def data_received(self, data: bytes) -> None:
            if not self.clock.waits_for and (self.cycle is None or self.cycle.response_complete):
                self.clock.expect("headers", self.loop.time())  # blank lines before a request count too
            super().data_received(data)
            if self.clock.waits_for and not self.transport.is_closing():
                self.count_headers(len(data))

        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            self.clock.expect("body", self.loop.time())

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.clock.expect("headers", self.loop.time())

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self.clock.expect("", 0.0)

    return _WatchedHttpTools
