"""The client that measures: registered like any partner, in by a signed assertion."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.corpus import url
from toro_core.allocation import keep_freed_memory
from toro_core.assembly import service_on
from toro_core.auth.clients import Clients
from toro_core.auth.signer import ASSERTION_TYPE, PrivateKey, new_client_key, read_private_key, sign_assertion
from toro_core.local import LocalTransport
from toro_core.plugins import open_storage
from toro_core.service import Service
from toro_core.settings import Settings
from toro_core.storage import Storage
from toro_core.v1 import Core, ExchangeAssertionRequest, Metadata

__all__ = ["Client", "InProcess", "in_process", "register"]

_SCOPES = ("system/Patient.crus", "system/Observation.crs", "system/Provenance.rs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered client with its key."""

    id: str
    key: PrivateKey

    async def token_over_http(self, base: str) -> str:
        """Get an access token from a facade."""
        token_url = f"{base}/auth/token"
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": sign_assertion(self.key, client_id=self.id, token_url=token_url),
            "scope": " ".join(_SCOPES),
        }
        async with httpx.AsyncClient() as http:
            answer = await http.post(token_url, data=form, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    async def token(self, core: Core, token_url: str) -> str:
        """Get an access token from a core."""
        assertion = sign_assertion(self.key, client_id=self.id, token_url=token_url)
        request = ExchangeAssertionRequest(assertion=assertion, scopes=_SCOPES, token_url=token_url)
        return (await core.ExchangeAssertion(request)).access_token


async def register(storage: Storage) -> Client:
    """Register a new client."""
    private, public = new_client_key()
    jwks = json.dumps({"keys": [public]}).encode()
    registered = await Clients(storage).add(name="Bench", scopes=_SCOPES, jwks=jwks)
    return Client(id=registered.id, key=read_private_key(json.dumps(private).encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class InProcess:
    """A core in this process, and the metadata that lets the client in."""

    storage: Storage
    service: Service
    core: Core
    token: str
    client: Client
    token_url: str

    async def sign_in(self) -> Metadata:
        """Get another access token: one lives shorter than a run."""
        return (("authorization", f"Bearer {await self.client.token(self.core, self.token_url)}"),)

    @property
    def metadata(self) -> Metadata:
        """Carry the access token."""
        return (("authorization", f"Bearer {self.token}"),)


@asynccontextmanager
async def in_process(database: Path | str) -> AsyncIterator[InProcess]:
    """Open a database, or the storage of a URL, and a core on it."""
    settings = Settings(storage=url(database))
    keep_freed_memory()  # as a server does
    async with open_storage(settings.storage) as storage:
        service = service_on(storage, settings)
        core = Core(LocalTransport(service))
        client = await register(storage)
        token = await client.token(core, settings.token_url())
        yield InProcess(
            storage=storage,
            service=service,
            core=core,
            token=token,
            client=client,
            token_url=settings.token_url(),
        )
