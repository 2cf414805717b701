"""The in-process transport: the same service behind the same interceptors, without gRPC between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from google.protobuf.message import Message

from toro_core.assembly import open_service
from toro_core.interceptors import Call
from toro_core.server import serve_core
from toro_core.service import Service
from toro_core.settings import Settings
from toro_core.status import call_error
from toro_core.v1 import Core, Metadata, Method

__all__ = ["LocalTransport", "open_core"]


@asynccontextmanager
async def open_core(settings: Settings) -> AsyncIterator[Core]:
    """Open the storage the settings name and a core on it, in this process; close both at the end.

    Where the settings name a `core_listen`, the same service is served over gRPC beside it.
    """
    async with open_service(settings) as service:
        if not settings.core_listen:
            yield Core(LocalTransport(service))
            return
        async with serve_core(service, settings):
            yield Core(LocalTransport(service))


class LocalTransport:
    """Calls a service directly. Messages are passed as they are: neither side changes one it has passed."""

    def __init__(self, service: Service) -> None:
        """Call this service."""
        self._service = service

    async def unary(self, method: Method, request: Message, metadata: Metadata, timeout: float | None) -> Message:  # noqa: ASYNC109 the deadline travels
        """Carry one request and return its answer."""
        return cast(Message, await self._service.answer(_call(method, metadata, timeout), request))

    async def stream(
        self,
        method: Method,
        request: Message,
        metadata: Metadata,
        timeout: float | None,  # noqa: ASYNC109 the deadline travels
    ) -> AsyncIterator[Message]:
        """Carry one request and iterate over its answers."""
        call = _call(method, metadata, timeout)
        answers: AsyncIterator[Message] = await self._service.answer(call, request)
        try:
            async for answer in answers:
                yield answer
        except Exception as error:
            raise call_error(error, call.request_id) from None


def _call(method: Method, metadata: Metadata, timeout: float | None) -> Call:
    return Call(method=method, metadata=metadata, timeout=timeout, peer="local")
