"""A core on SQLite, called in process and over gRPC, and a client that may come in with any scopes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from toro_core.assembly import service_on
from toro_core.auth.clients import Clients
from toro_core.auth.signer import new_client_key, read_private_key, sign_assertion
from toro_core.local import LocalTransport
from toro_core.plugins import open_storage
from toro_core.server import serve_core
from toro_core.service import Service
from toro_core.settings import Settings
from toro_core.storage import Key, Storage, Write
from toro_core.v1 import Core, CreateResourceRequest, ExchangeAssertionRequest, Metadata, Resource, connect

CLIENT = "service"


@dataclass
class Partner:
    """A registered client that may ask for every scope."""

    storage: Storage
    settings: Settings
    core: Core
    client_id: str
    _key: bytes = b""
    _tokens: dict[tuple[str, ...], str] = field(default_factory=dict)

    async def register(self) -> None:
        private, public = new_client_key()
        self._key = json.dumps(private).encode()
        jwks = json.dumps({"keys": [public]}).encode()
        scopes = ("system/*.cruds",)
        await Clients(self.storage).add(name="Service", scopes=scopes, jwks=jwks, client_id=self.client_id)

    def assertion(self) -> str:
        token_url = self.settings.token_url()
        return sign_assertion(read_private_key(self._key), client_id=self.client_id, token_url=token_url)

    async def may(self, *scopes: str) -> Metadata:
        """Return the metadata of calls with exactly these scopes."""
        if scopes not in self._tokens:
            request = ExchangeAssertionRequest(
                assertion=self.assertion(), scopes=scopes, token_url=self.settings.token_url()
            )
            answer = await self.core.ExchangeAssertion(request)
            assert set(answer.scopes) == set(scopes)
            self._tokens[scopes] = answer.access_token
        return (("authorization", f"Bearer {self._tokens[scopes]}"),)

    async def create(self, resource: dict[str, Any]) -> Resource:
        """Store a resource as someone who may do everything."""
        request = CreateResourceRequest(resource_type=resource["resourceType"], json=json.dumps(resource).encode())
        return (await self.core.CreateResource(request, metadata=await self.may("system/*.cruds"))).resource

    async def delete(self, name: str) -> None:
        """Store a resource's deletion."""
        await self.storage.commit([Write(key=Key(*name.split("/")), body=None)])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        storage=f"sqlite:///{tmp_path}/toro.db", base_url="https://fhir.example.org", core_listen="127.0.0.1:0"
    )


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[Storage]:
    async with open_storage(settings.storage) as storage:
        yield storage


@pytest.fixture
def service(storage: Storage, settings: Settings) -> Service:
    return service_on(storage, settings)


@pytest.fixture
async def local(service: Service) -> Core:
    """Return the core in this process."""
    return Core(LocalTransport(service))


@pytest.fixture
async def remote(service: Service, settings: Settings) -> AsyncIterator[Core]:
    """Give the same core behind gRPC."""
    async with serve_core(service, settings) as port, connect(f"127.0.0.1:{port}") as core:
        yield core


@pytest.fixture(params=["local", "remote"])
def core(request: pytest.FixtureRequest) -> Core:
    """Return the core over each transport in turn."""
    found: Core = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def partner(storage: Storage, settings: Settings, local: Core) -> Partner:
    partner = Partner(storage, settings, local, CLIENT)
    await partner.register()
    return partner


@pytest.fixture
def observation() -> Callable[..., dict[str, Any]]:
    """Make an Observation of a category; members given are put in."""

    def make(category: str = "laboratory", **members: Any) -> dict[str, Any]:
        system = "http://terminology.hl7.org/CodeSystem/observation-category"
        return {
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [{"system": system, "code": category}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": "Patient/1"},
            "effectiveDateTime": "2024-05-06T07:08:09Z",
            "valueQuantity": {"value": 72, "unit": "beats/minute"},
            **members,
        }

    return make
