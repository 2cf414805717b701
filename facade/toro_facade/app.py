"""The ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from toro_core.log import LineLog
from toro_core.settings import Settings
from toro_core.v1 import Core, GetCapabilitiesResponse
from toro_core.xml import open_xml
from toro_facade.access_log import ACCESS
from toro_facade.bundles import exposure_of
from toro_facade.exchange import Services
from toro_facade.gateway import Gateway
from toro_facade.links import Links
from toro_facade.policy import running_policy
from toro_facade.routes import Routes

__all__ = ["create_app"]


def create_app(core: Core, settings: Settings, capabilities: GetCapabilitiesResponse) -> Starlette:
    """Put the facade before a core whose `GetCapabilities` said `capabilities`. Raises SettingsError."""
    policy = running_policy(settings, capabilities)
    services = Services(
        core=core,
        settings=settings,
        policy=policy,
        exposure=exposure_of(policy),
        capabilities=capabilities,
        links=Links(settings),
        started=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        xml=open_xml(),
    )
    log = LineLog(ACCESS)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        log.flush()

    gateway = Gateway(services, Routes(services.policy), log)
    return _App(routes=[_Everything(gateway)], lifespan=lifespan)


class _App(Starlette):
    """Starlette without the middleware that answers exceptions: the gateway lets none out, and passing it costs each request."""

    def build_middleware_stack(self) -> ASGIApp:
        return self.router


class _Everything(BaseRoute):
    """Hands every request on: the policy knows which paths there are, and a pattern a route would cost each of them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gateway(scope, receive, send)
