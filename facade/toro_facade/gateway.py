"""The ASGI side of every request: find, authenticate at sight, answer, turn errors into outcomes, send, log."""

from __future__ import annotations

import logging
import os
import re
import traceback
from contextlib import suppress
from functools import lru_cache
from time import perf_counter
from typing import Final

from starlette.types import Receive, Scope, Send

from toro_core.log import LineLog
from toro_core.v1 import CallError, Issue
from toro_facade.access_log import Line
from toro_facade.answer import Answer
from toro_facade.body import ClientGone
from toro_facade.exchange import Exchange, Services
from toro_facade.media import FHIR_JSON
from toro_facade.outcome import Refused, call_answer, outcome, outcome_answer, refusal_answer
from toro_facade.routes import Found, Routes
from toro_facade.streaming import streamed
from toro_facade.tokens import claims
from toro_facade.xml import in_xml

__all__ = ["Gateway"]

_LOG: Final = logging.getLogger("toro.facade")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_KNOWN_CALLER: Final = frozenset(
    {
        "ABORTED",
        "ALREADY_EXISTS",
        "FAILED_PRECONDITION",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "OUT_OF_RANGE",
        "PERMISSION_DENIED",
    }
)
"""gRPC codes of refusals that come only after the token was found good."""
_GONE: Final = 499
"""What the log says where there was nobody left to answer."""


class Gateway:
    """Answers every path of the server."""

    def __init__(self, services: Services, routes: Routes, log: LineLog) -> None:
        """Answer along these routes."""
        self._log = log
        self._services = services
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = perf_counter()
        headers = _joined(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else os.urandom(12).hex()
        exchange = Exchange(
            services=self._services, scope=scope, receive=receive, headers=headers, request_id=request_id
        )
        method: str = scope["method"]
        template = ""
        status, size = _GONE, 0
        try:
            found = self._found(exchange, method)
            template = found.endpoint.template
            answer = await self._answer(exchange, found)
        except Refused as error:
            answer = refusal_answer(error, exchange.media)
        except ClientGone:
            answer = None
        except Exception as error:
            answer = _unforeseen(error, exchange)
        if exchange.media.xml and answer is not None:
            answer = await self._translated(answer, exchange)
        try:
            if answer is not None:
                status, size = answer.status, await _send(answer, send, method, request_id, receive)
        finally:
            line = Line(
                request_id=request_id,
                client_id=exchange.client_id[:128],
                method=method if method in _METHODS else "",
                route=template,
                status=status,
                ms=round((perf_counter() - started) * 1000, 3),
                bytes=size,
            )
            self._log.add(line)

    def _found(self, exchange: Exchange, method: str) -> Found:
        """Find what answers. Raises Refused, which is said in the media type the client takes."""
        try:
            return self._routes.find(method, exchange.scope["path"])
        except Refused:
            if exchange.scope["path"].startswith("/fhir"):
                with suppress(Refused):
                    exchange.negotiate()
            raise

    async def _answer(self, exchange: Exchange, found: Found) -> Answer:
        endpoint = found.endpoint
        exchange.resource_type = found.resource_type
        exchange.resource_id = found.resource_id
        exchange.version_id = found.version_id
        exchange.compartment = found.compartment
        bearer = exchange.headers.get(b"authorization", b"")
        try:
            if endpoint.negotiates:
                exchange.negotiate()
            if endpoint.protected and not bearer:
                # Refused before its body is read: whoever sends none has no claim on our memory.
                issue = Issue(code="login", diagnostics="An access token is needed; get one at the token endpoint.")
                raise CallError("UNAUTHENTICATED", "UNAUTHENTICATED", [issue])
            answer = await endpoint.handler(exchange)
        except CallError as error:
            if endpoint.protected and error.code in _KNOWN_CALLER:
                exchange.client_id = _client(bearer)
            sent = bearer[:7].lower() == b"bearer "
            return call_answer(error, token_sent=sent, request_id=exchange.request_id, media=exchange.media)
        if endpoint.protected:
            exchange.client_id = _client(bearer)
        return answer

    async def _translated(self, answer: Answer, exchange: Exchange) -> Answer:
        media, exchange.media = exchange.media, FHIR_JSON
        assert self._services.xml is not None, "only then is XML negotiated"  # noqa: S101
        try:
            return await in_xml(self._services.xml, answer, media)
        except Exception as error:
            return _unforeseen(error, exchange)


@lru_cache(maxsize=1024)
def _client(bearer: bytes) -> str:
    found = claims(bearer[7:].decode("latin-1").strip())
    return found.client_id or found.sub


def _joined(raw: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in raw:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


async def _send(answer: Answer, send: Send, method: str, request_id: str, receive: Receive) -> int:
    """Send the answer and return how many bytes of body went out."""
    headers = answer.headers
    headers.append((b"x-request-id", request_id.encode("ascii")))
    headers.append((b"x-content-type-options", b"nosniff"))
    if answer.stream is not None:
        return await streamed(answer, answer.stream, send, receive, head=method == "HEAD")
    body = answer.body
    if answer.status != 304:
        headers.append((b"content-length", str(len(body)).encode("ascii")))
    if method == "HEAD":
        body = b""
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return len(body)


def _unforeseen(error: Exception, exchange: Exchange) -> Answer:
    """Tell the client only the request id, and the log only kind and place: a message may quote a resource."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    _LOG.error("unforeseen %s at %s, request id %s", type(error).__name__, place, exchange.request_id)
    text = f"Internal error; the operator finds it in the log under request id {exchange.request_id}."
    return outcome_answer(outcome([Issue(code="exception", diagnostics=text)]), 500, exchange.media)
