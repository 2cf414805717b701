"""The gRPC transport: `grpc.aio` serving the service, with health, limits, and a drain at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from toro_core.channel import DETAILS, DETAILS_KEY, OVERHEAD, Tls, core_tls
from toro_core.interceptors import CALLS, Call, log_calls
from toro_core.log import LineLog
from toro_core.rejections import InvalidArgument
from toro_core.service import Service
from toro_core.settings import Settings
from toro_core.status import DETAILS_BY_DEFAULT, call_error, rich_status
from toro_core.v1 import METHODS, CallError, Metadata, Method

__all__ = ["serve_core"]

_PINGS_MS = 30_000
"""Least time between two pings of a client that waits; clients of `toro_core.channel` ping once a minute."""


@asynccontextmanager
async def serve_core(service: Service, settings: Settings) -> AsyncIterator[int]:
    """Serve at `core_listen`, as in "127.0.0.1:9090" or "unix:/run/toro.sock", and give the port; drain at the end.

    Raises SettingsError where that would be plain text beyond loopback, OSError where the address is taken.
    """
    settings.check_grpc(settings.core_listen)
    limit = settings.max_body + OVERHEAD
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", limit),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", _PINGS_MS),
        ]
    )
    log = LineLog(CALLS)
    server.add_generic_rpc_handlers((_Handlers(service.with_interceptors(log_calls(log))),))
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    if settings.core_reflection:
        names = {method.path.split("/")[1] for method in METHODS.values()}
        reflection.enable_server_reflection([*sorted(names), health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    port = _bind(server, settings.core_listen, core_tls(settings))
    await server.start()
    await status.set("", health_pb2.HealthCheckResponse.SERVING)
    try:
        yield port
    finally:
        await status.enter_graceful_shutdown()
        service.end_streams()
        await server.stop(settings.shutdown_grace)
        log.flush()


def _bind(server: grpc.aio.Server, address: str, tls: Tls | None) -> int:
    try:
        if tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, _credentials(tls))
    except RuntimeError as error:
        raise OSError(f"cannot listen at {address}; is it taken?") from error


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    return grpc.ssl_server_credentials([pair], root_certificates=tls.authority.read_bytes(), require_client_auth=True)


class _Handlers(grpc.GenericRpcHandler):
    """Answers every method of `toro.v1` from the service."""

    def __init__(self, service: Service) -> None:
        self._handlers: dict[str, Any] = {}
        for method in METHODS.values():
            make = grpc.unary_stream_rpc_method_handler if method.streams else grpc.unary_unary_rpc_method_handler
            behaviour = _streaming(service, method) if method.streams else _unary(service, method)
            self._handlers[method.path] = make(behaviour, response_serializer=method.response.SerializeToString)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


_Context = grpc.aio.ServicerContext[Any, Any]


def _unary(service: Service, method: Method) -> Callable[[bytes, _Context], Awaitable[Message]]:
    async def answer(sent: bytes, context: _Context) -> Message:
        try:
            answered: Message = await service.answer(_call(method, context), _parse(method, sent))
        except CallError as error:
            await _abort(context, error)
        return answered

    return answer


def _streaming(service: Service, method: Method) -> Callable[[bytes, _Context], AsyncIterator[Message]]:
    async def answer(sent: bytes, context: _Context) -> AsyncIterator[Message]:
        call = _call(method, context)
        try:
            async for answered in await service.answer(call, _parse(method, sent)):
                yield answered
        except Exception as error:
            await _abort(context, call_error(error, call.request_id))

    return answer


def _parse(method: Method, sent: bytes) -> Message:
    """Parse a request here, where gRPC would answer and log a malformed one in words of its own."""
    try:
        return method.request.FromString(sent)
    except DecodeError:
        raise call_error(InvalidArgument(f"The request is no {method.request.__name__}; use the stubs.")) from None


async def _abort(context: _Context, error: CallError) -> None:
    knows = (DETAILS_KEY, str(DETAILS)) in _metadata(context)
    status = rich_status(error, DETAILS if knows else DETAILS_BY_DEFAULT)
    details = ("grpc-status-details-bin", status.SerializeToString())
    await context.abort(grpc.StatusCode[error.code], status.message, (details,))


def _call(method: Method, context: _Context) -> Call:
    return Call(method=method, metadata=_metadata(context), timeout=context.time_remaining(), peer=context.peer())


def _metadata(context: _Context) -> Metadata:
    return tuple((key, value) for key, value in context.invocation_metadata() or () if isinstance(value, str))
