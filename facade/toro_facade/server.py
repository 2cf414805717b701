"""The HTTP server: uvicorn, run by hand, so that it drains before the core is closed and cuts slow clients off."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import uvicorn
from starlette.types import ASGIApp

from toro_core.settings import Settings, SettingsError
from toro_core.v1 import Core, GetCapabilitiesRequest, GetCapabilitiesResponse
from toro_facade.app import create_app
from toro_facade.connection import Patience, http_protocol
from toro_facade.waiting import reached, waiting

__all__ = ["serve", "serving"]

_BACKLOG = 2048
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def serving(core: Core, settings: Settings) -> AsyncIterator[Settings]:
    """Serve a core over HTTP; gives the settings with the port it got, and drains at the end.

    Raises SettingsError where the port is taken or the settings are not safe, CallError where the core cannot be reached.
    """
    with _listening(settings) as (listener, settings):
        capabilities = await core.GetCapabilities(GetCapabilitiesRequest(), timeout=settings.call_timeout)
        async with _answering(create_app(core, settings, capabilities), settings, listener):
            yield settings


async def serve(
    opened: Callable[[Settings], AbstractAsyncContextManager[Core]],
    settings: Settings,
    started: Callable[[Settings], None],
) -> None:
    """Open a core and serve it until SIGTERM or SIGINT, then drain. Raises as `serving` does.

    The port is taken first: `opened` and `started` get the settings with it, as the core has to know its own addresses.
    A core that cannot be reached yet is waited for, and requests are answered with 503 meanwhile.
    """
    stop = asyncio.Event()
    with _listening(settings) as (listener, settings):
        async with opened(settings) as core:
            with _stopping(stop):
                capabilities = await _awaited(core, settings, listener, stop)
                if capabilities is None:
                    return
                async with _answering(create_app(core, settings, capabilities), settings, listener):
                    gc.collect()
                    gc.freeze()  # what is there now stays: collections need not look at it again
                    started(settings)
                    await stop.wait()


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[tuple[socket.socket, Settings]]:
    settings.check_http()
    with contextlib.closing(_listen(settings)) as listener:
        yield listener, replace(settings, port=listener.getsockname()[1])


async def _awaited(
    core: Core, settings: Settings, listener: socket.socket, stop: asyncio.Event
) -> GetCapabilitiesResponse | None:
    """Ask the core what it can do, until it answers; None where the server is stopped before."""
    found = await reached(core, patient=False)
    if found is not None:
        return found
    # The port stays taken when this server ends: what connects in between is answered by the next.
    async with _answering(waiting, settings, listener.dup()):
        asking = asyncio.create_task(reached(core, patient=True))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((asking, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not asking.done():
            asking.cancel()
            return None
        return asking.result()


@asynccontextmanager
async def _answering(app: ASGIApp, settings: Settings, listener: socket.socket) -> AsyncIterator[None]:
    server = _Server(_config(app, settings), settings)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        started = asyncio.create_task(server.listening.wait())
        await asyncio.wait((running, started), return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        yield
    finally:
        server.should_exit = True
        await running


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve` and looks after its connections' clocks."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._patience = Patience(headers=settings.header_timeout, body=settings.body_timeout)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def on_tick(self, counter: int) -> bool:
        for connection in list(self.server_state.connections):
            connection.sweep(self._patience)  # type: ignore[union-attr]
        return await super().on_tick(counter)


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http_protocol(),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_grace),
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )


def _listen(settings: Settings) -> socket.socket:
    """Bind the port before anything is said to be served."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port} ({reason}): stop what uses it, or choose another --port"
        ) from None
    listener.setblocking(False)
    return listener


@contextlib.contextmanager
def _stopping(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` on the signals that end a server, and put back what was there before."""
    loop = asyncio.get_running_loop()
    before = {number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
