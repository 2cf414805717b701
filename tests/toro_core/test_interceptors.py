"""What happens around a call."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, cast

import pytest
from google.protobuf.message import Message

from toro_core.access import Forbidden
from toro_core.auth.authority import Authority
from toro_core.auth.errors import InvalidToken
from toro_core.auth.scopes import grants_of
from toro_core.caller import Caller
from toro_core.interceptors import CALLS, Call, chain, deadlines, errors, identify, log_calls
from toro_core.log import LineLog
from toro_core.v1 import METHODS, CallError, GetKeysRequest, Metadata

REQUEST = GetKeysRequest()


class OneToken:
    """Knows one token."""

    async def verify(self, token: str) -> Caller:
        if token != "good":
            raise InvalidToken
        return Caller(client_id="partner", grants=grants_of(["system/Patient.r"]))


def call(method: str = "GetResource", metadata: Metadata = (), deadline: float | None = None) -> Call:
    return Call(method=METHODS[method], metadata=metadata, timeout=deadline, peer="test")


async def test_interceptors_run_from_the_outside_in() -> None:
    seen = []

    def noting(name: str) -> Any:
        async def interceptor(call: Call, request: Message, act: Any) -> Any:
            seen.append(name)
            return await act(call, request)

        return interceptor

    async def act(call: Call, request: Message) -> str:
        return "answer"

    assert await chain((noting("a"), noting("b")), act)(call(), REQUEST) == "answer"
    assert seen == ["a", "b"]


@pytest.mark.parametrize("given", ["r1", "A-b_c.9", "x" * 64])
def test_a_request_id_fit_for_a_log_is_kept(given: str) -> None:
    assert call(metadata=(("x-request-id", given),)).request_id == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\n{}", "é"])
def test_another_request_id_is_replaced(given: str) -> None:
    first, second = (call(metadata=(("x-request-id", given),)).request_id for _ in range(2))
    assert first != second
    assert len(first) == 24


async def test_errors_become_call_errors_without_their_cause() -> None:
    async def act(call: Call, request: Message) -> None:
        raise KeyError("canary")

    with pytest.raises(CallError) as caught:
        await chain((errors,), act)(call(), REQUEST)
    assert caught.value.reason == "INTERNAL"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_deadline_stops_the_call() -> None:
    async def act(call: Call, request: Message) -> None:
        await asyncio.sleep(30)

    with pytest.raises(CallError) as caught:
        await chain((errors, deadlines), act)(call(deadline=0.01), REQUEST)
    assert caught.value.code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("deadline", [0.0, -1.0])
async def test_a_deadline_that_has_passed_stops_at_once(deadline: float) -> None:
    async def act(call: Call, request: Message) -> None:
        await asyncio.sleep(30)

    with pytest.raises(CallError) as caught:
        await chain((errors, deadlines), act)(call(deadline=deadline), REQUEST)
    assert caught.value.code == "DEADLINE_EXCEEDED"


async def test_who_cancels_hears_of_no_error() -> None:
    async def act(call: Call, request: Message) -> None:
        await asyncio.sleep(30)

    log = LineLog(CALLS)
    task = asyncio.ensure_future(chain((log_calls(log), errors, deadlines), act)(call(deadline=20), REQUEST))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_caller_is_who_the_token_says_whatever_else_is_claimed() -> None:
    seen = []

    async def act(call: Call, request: Message) -> None:
        seen.append(call.known_caller())

    asked = chain((identify(cast(Authority, OneToken())),), act)
    claims = (("client-id", "admin"), ("scope", "system/*.cruds"), ("x-grants", "everything"))
    await asked(call(metadata=(*claims, ("authorization", "Bearer good"))), REQUEST)
    assert seen[0].client_id == "partner"
    assert [grant.type for grant in seen[0].grants] == ["Patient"]


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_every_method_needs_a_token_but_the_three_that_say_so(method: str) -> None:
    async def act(call: Call, request: Message) -> str:
        return "answer"

    asked = chain((errors, identify(cast(Authority, OneToken()))), act)
    if method in {"ExchangeAssertion", "GetKeys", "GetCapabilities"}:
        assert await asked(call(method), REQUEST) == "answer"
    else:
        with pytest.raises(CallError) as caught:
            await asked(call(method), REQUEST)
        assert caught.value.code == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("raised", "status"),
    [(None, "OK"), (Forbidden("system/Patient.r"), "PERMISSION_DENIED"), (ValueError("canary"), "INTERNAL")],
)
async def test_a_call_is_one_line_of_json(
    caplog: pytest.LogCaptureFixture, raised: Exception | None, status: str
) -> None:
    caplog.set_level(logging.INFO, CALLS)

    async def act(call: Call, request: Message) -> None:
        if raised:
            raise raised

    log = LineLog(CALLS)
    asked = chain((log_calls(log), errors, identify(cast(Authority, OneToken()))), act)
    metadata = (("authorization", "Bearer good"), ("x-request-id", "r1"))
    try:
        await asked(call(metadata=metadata), REQUEST)
    except CallError:
        assert raised
    assert CALLS not in {record.name for record in caplog.records}, "lines are written together"
    log.flush()
    [line] = [json.loads(record.getMessage()) for record in caplog.records if record.name == CALLS]
    assert line.pop("ms") >= 0
    assert line.pop("time").endswith("Z")
    assert line == {"request_id": "r1", "client_id": "partner", "method": "GetResource", "status": status}
    assert "canary" not in caplog.text
