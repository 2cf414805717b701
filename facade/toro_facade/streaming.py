"""Sending of bodies that are read while they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from starlette.types import Receive, Send

from toro_facade.answer import Answer

__all__ = ["streamed"]


async def streamed(answer: Answer, stream: AsyncIterator[bytes], send: Send, receive: Receive, *, head: bool) -> int:
    """Send an answer chunk by chunk until its client hangs up, and return how many bytes of body went out.

    What fails after the head has gone out breaks the connection off, so that no client takes a part for the whole.
    """
    if answer.size is not None:
        answer.headers.append((b"content-length", str(answer.size).encode("ascii")))
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    size = 0
    gone = asyncio.create_task(_hung_up(receive))
    try:
        async with aclosing(cast("AsyncGenerator[bytes, None]", stream)) as chunks:
            if not head:
                async for chunk in chunks:
                    if gone.done():
                        return size
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    size += len(chunk)
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})
    return size


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
