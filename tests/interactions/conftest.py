"""The facade over the real core and SQLite, in process: a client, and what the storage holds."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from toro_core.assembly import service_on
from toro_core.auth.clients import Clients
from toro_core.auth.signer import ASSERTION_TYPE, new_client_key, read_private_key, sign_assertion
from toro_core.local import LocalTransport
from toro_core.plugins import open_storage
from toro_core.settings import Settings
from toro_core.storage import Storage
from toro_core.v1 import Core, GetCapabilitiesRequest
from toro_facade.app import create_app

_KEY, _PUBLIC = new_client_key()
_FRESH = 200
"""Seconds after which a token is taken anew."""


class Live:
    """A server with one client."""

    def __init__(self, http: httpx.AsyncClient, settings: Settings, database: Path) -> None:
        self.http = http
        self.settings = settings
        self.database = database
        self._scope = self._old = ""
        self._since = 0.0

    async def come_in(self, scope: str) -> None:
        """Send a token of this scope from now on."""
        self._scope, self._since = scope, time.monotonic()
        self._old = self.http.headers.get("authorization", "")
        self.http.headers["authorization"] = f"Bearer {await self.token(scope)}"

    async def renew(self, request: httpx.Request) -> None:
        """Send a new token where the one in use has grown old: a proof on a busy machine takes longer than it lives."""
        if not self._since or request.url.path == "/auth/token":
            return
        used = request.headers["authorization"]
        if time.monotonic() - self._since > _FRESH and used == self.http.headers["authorization"]:
            await self.come_in(self._scope)
        if used == self._old:
            request.headers["authorization"] = self.http.headers["authorization"]

    async def token(self, scope: str) -> str:
        key = read_private_key(json.dumps(_KEY).encode())
        assertion = sign_assertion(key, client_id="partner", token_url=self.settings.token_url())
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            "scope": scope,
        }
        answer = await self.http.post("/auth/token", data=form, headers={"authorization": ""})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def digest(self) -> str:
        """Hash all that is stored of resources."""
        found = hashlib.sha256()
        with closing(sqlite3.connect(self.database)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            for (table,) in tables:
                if table not in ("clock", "state") and not table.startswith("sqlite_"):
                    rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
                    found.update(repr((table, sorted(map(repr, rows)))).encode())
        return found.hexdigest()

    async def put(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Store a resource under its own id."""
        answer = await self.http.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def _live(
    database: Path, settings: Settings, scope: str, open_storage: Callable[[str], AbstractAsyncContextManager[Storage]]
) -> AsyncIterator[Live]:
    """Serve a database."""
    async with open_storage(f"sqlite:///{database}") as storage:
        keys = json.dumps({"keys": [_PUBLIC]}).encode()
        if not await Clients(storage).list():
            await Clients(storage).add(name="Partner", scopes=("system/*.cruds",), jwks=keys, client_id="partner")
        core = Core(LocalTransport(service_on(storage, settings)))
        capabilities = await core.GetCapabilities(GetCapabilitiesRequest())
        transport = httpx.ASGITransport(create_app(core, settings, capabilities))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", timeout=60) as http:
            found = Live(http, settings, database)
            http.event_hooks["request"].append(found.renew)
            await found.come_in(scope)
            yield found


@pytest.fixture
def open_live(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Live]]:
    """Open a server with these settings on the test's one database."""

    def opened(
        scope: str = "system/*.cruds",
        open_storage: Callable[[str], AbstractAsyncContextManager[Storage]] = open_storage,
        **settings: Any,
    ) -> AbstractAsyncContextManager[Live]:
        given: dict[str, Any] = {
            "expose": "full",
            "update_create": True,
            "base_url": "https://fhir.example.org",
        } | settings
        return _live(tmp_path / "toro.db", Settings(**given), scope, open_storage)

    return opened


@pytest.fixture
async def live(open_live: Callable[..., AbstractAsyncContextManager[Live]]) -> AsyncIterator[Live]:
    """Serve everything, with update as create."""
    async with open_live() as found:
        yield found
