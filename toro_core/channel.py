"""gRPC as a client: a channel with Toro's limits, and the transport that carries calls over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import Message

from toro_core.settings import Settings

if TYPE_CHECKING:
    from toro_core.v1 import CallError, Metadata, Method

__all__ = ["DETAILS", "DETAILS_KEY", "OVERHEAD", "Failure", "GrpcTransport", "Tls", "core_tls", "open_channel"]

OVERHEAD: Final = 1 << 20
"""Bytes a message may have beyond the largest resource."""
DETAILS: Final = 56 << 10
"""Bytes of an error's details that these channels take. They travel as metadata, of which a client takes 8 KiB by default."""
DETAILS_KEY: Final = "toro-details"
"""The metadata by which these channels say that they do."""

_OTHER_METADATA: Final = 4 << 10
_ACCEPTS: Final = (DETAILS_KEY, str(DETAILS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Mutual TLS: paths of this side's certificate and key and of the authority that signed the other side's, in PEM."""

    certificate: Path
    key: Path
    authority: Path


def core_tls(settings: Settings) -> Tls | None:
    """Return what the settings say of TLS between facade and core."""
    if not settings.core_tls_certificate:
        return None
    return Tls(
        certificate=Path(settings.core_tls_certificate),
        key=Path(settings.core_tls_key),
        authority=Path(settings.core_tls_ca),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What a failed call left: the status code's name and the serialised google.rpc.Status, empty where there is none."""

    code: str
    status: bytes


@asynccontextmanager
async def open_channel(address: str, max_body: int, tls: Tls | None) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel that takes resources of up to `max_body` bytes; close it at the end."""
    limit = max_body + OVERHEAD
    options = [
        ("grpc.max_receive_message_length", limit),
        ("grpc.max_send_message_length", limit),
        ("grpc.max_metadata_size", DETAILS + _OTHER_METADATA),
        ("grpc.absolute_max_metadata_size", 2 * (DETAILS + _OTHER_METADATA)),
        ("grpc.keepalive_time_ms", 60_000),
        # A core that was away is found again in seconds; by default gRPC comes to look every two minutes.
        ("grpc.max_reconnect_backoff_ms", 3_000),
    ]
    if tls:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=tls.authority.read_bytes(),
            private_key=tls.key.read_bytes(),
            certificate_chain=tls.certificate.read_bytes(),
        )
        opened = grpc.aio.secure_channel(address, credentials, options)
    else:
        opened = grpc.aio.insecure_channel(address, options)
    async with opened as channel:
        yield channel


class GrpcTransport:
    """Carries calls over a channel."""

    def __init__(self, channel: grpc.aio.Channel, failed: Callable[[Failure], CallError]) -> None:
        """Call over this channel and raise what `failed` makes of a failure."""
        self._channel = channel
        self._failed = failed
        self._callables: dict[str, Any] = {}

    async def unary(self, method: Method, request: Message, metadata: Metadata, timeout: float | None) -> Message:  # noqa: ASYNC109 the deadline travels
        """Carry one request and return its answer."""
        call = self._callables.get(method.path)
        if call is None:
            call = self._channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString)
            self._callables[method.path] = call
        try:
            answer: Message = await call(request, metadata=(*metadata, _ACCEPTS), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise self._failed(_failure(error)) from None
        return answer

    async def stream(
        self,
        method: Method,
        request: Message,
        metadata: Metadata,
        timeout: float | None,  # noqa: ASYNC109 the deadline travels
    ) -> AsyncIterator[Message]:
        """Carry one request and iterate over its answers."""
        open_ = self._channel.unary_stream(method.path, method.request.SerializeToString, method.response.FromString)
        call = open_(request, metadata=(*metadata, _ACCEPTS), timeout=timeout)
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise self._failed(_failure(error)) from None
        finally:
            call.cancel()  # for a reader that stops early; a call that has ended takes no notice


def _failure(error: grpc.aio.AioRpcError) -> Failure:
    trailing: Sequence[tuple[str, Any]] = tuple(error.trailing_metadata() or ())
    status = next((value for key, value in trailing if key == "grpc-status-details-bin"), b"")
    return Failure(code=error.code().name, status=status)
