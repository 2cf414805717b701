"""A core that answers what a test tells it to, behind the real client class, and the facade before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from google.protobuf.message import Message

from toro_core.settings import Settings
from toro_core.v1 import (
    CallError,
    Core,
    GetCapabilitiesResponse,
    Interaction,
    Metadata,
    Method,
    OperationCapability,
    Resource,
    SearchParameterCapability,
    TypeCapability,
)
from toro_facade.app import create_app
from toro_facade.policy import PUBLISHED, SUPPORTING


class FakeTransport:
    """Keeps what it was asked, and answers from `answers`: a message, a list of them for a stream, or an error to raise."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any, dict[str, str]]] = []

    async def unary(self, method: Method, request: Message, metadata: Metadata, timeout: float | None) -> Message:  # noqa: ASYNC109
        assert timeout is not None
        self.asked.append((method.name, request, dict(metadata)))
        answer = self.answers[method.name]
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Message)
        return answer

    async def stream(
        self,
        method: Method,
        request: Message,
        metadata: Metadata,
        timeout: float | None,  # noqa: ASYNC109
    ) -> AsyncIterator[Message]:
        self.asked.append((method.name, request, dict(metadata)))
        for answer in self.answers[method.name]:
            yield answer

    @property
    def last(self) -> Any:
        """The last request."""
        return self.asked[-1][1]


def _capabilities() -> GetCapabilitiesResponse:
    everything = [Interaction.Name(value) for value in Interaction.values() if value]
    names = [name for row in (*PUBLISHED, SUPPORTING) for name in row.types] + ["Basic"]
    parameters = [
        SearchParameterCapability(
            code="_id", type="token", definition="http://hl7.org/fhir/SearchParameter/Resource-id"
        ),
        SearchParameterCapability(code="date", type="date"),
    ]
    return GetCapabilitiesResponse(
        fhir_version="4.0.1",
        software_version="0.1.0",
        interactions=[
            Interaction.INTERACTION_BATCH,
            Interaction.INTERACTION_TRANSACTION,
            Interaction.INTERACTION_HISTORY_SYSTEM,
        ],
        operations=[
            OperationCapability(
                code="validate",
                definition="http://hl7.org/fhir/OperationDefinition/Resource-validate",
                type=True,
                instance=True,
                built_in=True,
            ),
            OperationCapability(
                code="everything",
                definition="http://hl7.org/fhir/OperationDefinition/Patient-everything",
                instance=True,
                resource_types=["Patient"],
                built_in=True,
            ),
            OperationCapability(
                code="count-notes",
                definition="http://example.org/OperationDefinition/count-notes",
                system=True,
                type=True,
                affects_state=True,
            ),
        ],
        types=[
            TypeCapability(
                resource_type=name,
                interactions=everything,
                search_parameters=parameters,
                supported_profiles=[f"http://hl7.org/fhir/us/core/StructureDefinition/us-core-{name.lower()}"],
            )
            for name in names
        ],
    )


@pytest.fixture
def capabilities() -> GetCapabilitiesResponse:
    return _capabilities()


@pytest.fixture
def transport(capabilities: GetCapabilitiesResponse) -> FakeTransport:
    transport = FakeTransport()
    transport.answers["GetCapabilities"] = capabilities
    return transport


@pytest.fixture
def core(transport: FakeTransport) -> Core:
    return Core(transport)


@pytest.fixture
def settings() -> Settings:
    return Settings(base_url="https://fhir.example.org", max_body=10_000)


@pytest.fixture
def make_client(core: Core, capabilities: GetCapabilitiesResponse) -> Callable[[Settings], httpx.AsyncClient]:
    """Make a client of a facade with these settings; it sends a bearer token unless told otherwise."""

    def make(settings: Settings) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(create_app(core, settings, capabilities))
        return httpx.AsyncClient(
            transport=transport, base_url="http://localhost:8080", headers={"authorization": "Bearer token"}
        )

    return make


@pytest.fixture
async def client(
    make_client: Callable[[Settings], httpx.AsyncClient], settings: Settings
) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(settings) as client:
        yield client


@pytest.fixture
def patient() -> Resource:
    resource = Resource(
        name="Patient/1", etag='W/"3"', json=b'{"resourceType":"Patient","id":"1","multipleBirthInteger":1.00}'
    )
    resource.update_time.seconds = 1_700_000_000
    resource.update_time.nanos = 250_000_000
    resource.size = len(resource.json)
    return resource


@pytest.fixture
def failure() -> Callable[..., CallError]:
    """Make a failed call as the core raises it."""
    from toro_core.v1 import Issue

    def make(reason: str, code: str = "INVALID_ARGUMENT", **details: str) -> CallError:
        return CallError(code, reason, [Issue(code="processing", diagnostics="What is wrong.")], details=details)

    return make
