"""What happens around every call, the same over both transports: functions of (call, request, next)."""

from __future__ import annotations

import asyncio
import os
import re
import time
import types
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
from google.protobuf.message import Message

from toro_core.auth.authority import Authority
from toro_core.caller import Caller, caller_of
from toro_core.log import LineLog
from toro_core.status import call_error
from toro_core.v1 import CallError, Metadata, Method

__all__ = ["CALLS", "Call", "Interceptor", "Next", "chain", "deadlines", "errors", "identify", "log_calls"]

OPEN: Final = frozenset({"ExchangeAssertion", "GetKeys", "GetCapabilities"})
"""Methods that need no access token."""

CALLS: Final = "toro.core.calls"
"""The logger of calls."""
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


@dataclass(slots=True, kw_only=True)
class Call:
    """One call as it arrived. `timeout` is the caller's, in seconds from its arrival; `caller` is known after `identify`.

    `request_id` is the metadata's `x-request-id` where that is fit for a log, else a new one.
    """

    method: Method
    metadata: Metadata
    timeout: float | None
    peer: str
    caller: Caller | None = None
    request_id: str = field(init=False)

    def __post_init__(self) -> None:
        """Find the request id."""
        given = next((value for name, value in self.metadata if name == "x-request-id"), "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else os.urandom(12).hex()

    def known_caller(self) -> Caller:
        """Return the caller that `identify` found."""
        assert self.caller is not None, "identify runs before every method that asks for the caller"  # noqa: S101
        return self.caller


Next: TypeAlias = Callable[[Call, Message], Awaitable[Any]]
Interceptor: TypeAlias = Callable[[Call, Message, Next], Awaitable[Any]]


def chain(interceptors: tuple[Interceptor, ...], act: Next) -> Next:
    """Put interceptors around `act`, the first one outermost."""
    for interceptor in reversed(interceptors):
        act = _around(interceptor, act)
    return act


def _around(interceptor: Interceptor, act: Next) -> Next:
    def answer(call: Call, request: Message) -> Awaitable[Any]:
        return interceptor(call, request, act)

    return answer


async def errors(call: Call, request: Message, act: Next) -> Any:
    """Turn everything raised into a CallError."""
    try:
        return await act(call, request)
    except Exception as error:
        raise call_error(error, call.request_id) from None


async def deadlines(call: Call, request: Message, act: Next) -> Any:
    """Stop at the caller's deadline. A commit that is already queued goes on."""
    if call.timeout is None:
        return await act(call, request)
    if call.timeout <= 0:
        raise TimeoutError
    acting = act(call, request).__await__()
    try:
        waited_for = next(acting)
    except StopIteration as done:
        # What answers without waiting, as most reads do, needs no timer, which would cost a tenth of such a read.
        return done.value
    async with asyncio.timeout(call.timeout):
        return await _resumed(acting, waited_for)


@types.coroutine
def _resumed(acting: Generator[Any, Any, Any], waited_for: Any) -> Generator[Any, Any, Any]:
    """Await the rest of what has been begun, `waited_for` first, passing on what it is sent and what is thrown at it."""
    while True:
        try:
            sent = yield waited_for
        except BaseException as error:
            step = partial(acting.throw, error)
        else:
            step = partial(acting.send, sent)
        try:
            waited_for = step()
        except StopIteration as done:
            return done.value


def identify(authority: Authority) -> Interceptor:
    """Find out who is calling, from the bearer token alone."""

    async def identified(call: Call, request: Message, act: Next) -> Any:
        if call.method.name not in OPEN:
            call.caller = await caller_of(call.metadata, authority)
        return await act(call, request)

    return identified


class _Line(msgspec.Struct, kw_only=True):
    time: datetime
    request_id: str
    client_id: str
    method: str
    status: str
    ms: float


def log_calls(log: LineLog) -> Interceptor:
    """Log one JSON line a call: never a name, a query, a body or a token."""

    async def logged(call: Call, request: Message, act: Next) -> Any:
        started = time.perf_counter()
        outcome = "OK"
        try:
            return await act(call, request)
        except CallError as error:
            outcome = error.code
            raise
        except asyncio.CancelledError:
            outcome = "CANCELLED"
            raise
        finally:
            line = _Line(
                time=datetime.now(UTC),
                request_id=call.request_id,
                client_id=call.caller.client_id if call.caller else "",
                method=call.method.name,
                status=outcome,
                ms=round((time.perf_counter() - started) * 1000, 3),
            )
            log.add(line)

    return logged
