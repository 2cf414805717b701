"""The public Python face of `toro.v1`: messages, generated stubs, and `Core`, one client over either transport.

Past 250 lines because it is the one list of everything public on the wire; there is no logic in it to split off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from toro_core._gen.toro.v1 import (
    capability_service_pb2,
    client_service_pb2,
    export_service_pb2,
    operation_service_pb2,
    resource_service_pb2,
)
from toro_core._gen.toro.v1.capability_service_pb2 import (
    GetCapabilitiesRequest,
    GetCapabilitiesResponse,
    Interaction,
    OperationCapability,
    SearchParameterCapability,
    TypeCapability,
)
from toro_core._gen.toro.v1.capability_service_pb2_grpc import CapabilityServiceStub
from toro_core._gen.toro.v1.client_service_pb2 import (
    ExchangeAssertionRequest,
    ExchangeAssertionResponse,
    GetKeysRequest,
    GetKeysResponse,
)
from toro_core._gen.toro.v1.client_service_pb2_grpc import ClientServiceStub
from toro_core._gen.toro.v1.export_service_pb2 import (
    CancelExportRequest,
    CancelExportResponse,
    ExportFile,
    ExportFileKind,
    ExportLevel,
    ExportState,
    FetchExportFileRequest,
    FetchExportFileResponse,
    GetExportRequest,
    GetExportResponse,
    StartExportRequest,
    StartExportResponse,
    TypeFilter,
)
from toro_core._gen.toro.v1.export_service_pb2_grpc import ExportServiceStub
from toro_core._gen.toro.v1.exposure_pb2 import ExposedType, Exposure
from toro_core._gen.toro.v1.operation_service_pb2 import (
    InvokeOperationRequest,
    InvokeOperationResponse,
    OperationArgument,
)
from toro_core._gen.toro.v1.operation_service_pb2_grpc import OperationServiceStub
from toro_core._gen.toro.v1.resource_pb2 import Issue, Issues, IssueSeverity, Resource
from toro_core._gen.toro.v1.resource_service_pb2 import (
    BinaryContent,
    CommitBundleRequest,
    CommitBundleResponse,
    Content,
    CreateResourceRequest,
    CreateResourceResponse,
    DeleteResourceRequest,
    DeleteResourceResponse,
    EntryFailure,
    EntryOutcome,
    EntryResult,
    FetchBinaryRequest,
    FetchBinaryResponse,
    FetchEverythingRequest,
    FetchEverythingResponse,
    FetchResourceRequest,
    FetchResourceResponse,
    GenerateDocumentRequest,
    GenerateDocumentResponse,
    GetResourceRequest,
    GetResourceResponse,
    Handling,
    ListVersionsRequest,
    ListVersionsResponse,
    PatchFormat,
    PatchResourceRequest,
    PatchResourceResponse,
    SearchEntry,
    SearchMode,
    SearchParameter,
    SearchResourcesRequest,
    SearchResourcesResponse,
    UpdateResourceRequest,
    UpdateResourceResponse,
    ValidateResourceRequest,
    ValidateResourceResponse,
    ValidationMode,
    WatchResourcesRequest,
    WatchResourcesResponse,
)
from toro_core._gen.toro.v1.resource_service_pb2_grpc import ResourceServiceStub
from toro_core.channel import Failure, GrpcTransport, Tls, core_tls, open_channel

__all__ = [
    "METHODS",
    "BinaryContent",
    "CallError",
    "CancelExportRequest",
    "CancelExportResponse",
    "CapabilityServiceStub",
    "ClientServiceStub",
    "CommitBundleRequest",
    "CommitBundleResponse",
    "Content",
    "Core",
    "CreateResourceRequest",
    "CreateResourceResponse",
    "DeleteResourceRequest",
    "DeleteResourceResponse",
    "EntryFailure",
    "EntryOutcome",
    "EntryResult",
    "ExchangeAssertionRequest",
    "ExchangeAssertionResponse",
    "ExportFile",
    "ExportFileKind",
    "ExportLevel",
    "ExportServiceStub",
    "ExportState",
    "ExposedType",
    "Exposure",
    "FetchBinaryRequest",
    "FetchBinaryResponse",
    "FetchEverythingRequest",
    "FetchEverythingResponse",
    "FetchExportFileRequest",
    "FetchExportFileResponse",
    "FetchResourceRequest",
    "FetchResourceResponse",
    "GenerateDocumentRequest",
    "GenerateDocumentResponse",
    "GetCapabilitiesRequest",
    "GetCapabilitiesResponse",
    "GetExportRequest",
    "GetExportResponse",
    "GetKeysRequest",
    "GetKeysResponse",
    "GetResourceRequest",
    "GetResourceResponse",
    "Handling",
    "Interaction",
    "InvokeOperationRequest",
    "InvokeOperationResponse",
    "Issue",
    "IssueSeverity",
    "Issues",
    "ListVersionsRequest",
    "ListVersionsResponse",
    "Metadata",
    "Method",
    "OperationArgument",
    "OperationCapability",
    "OperationServiceStub",
    "PatchFormat",
    "PatchResourceRequest",
    "PatchResourceResponse",
    "Resource",
    "ResourceServiceStub",
    "SearchEntry",
    "SearchMode",
    "SearchParameter",
    "SearchParameterCapability",
    "SearchResourcesRequest",
    "SearchResourcesResponse",
    "StartExportRequest",
    "StartExportResponse",
    "Tls",
    "Transport",
    "TypeCapability",
    "TypeFilter",
    "UpdateResourceRequest",
    "UpdateResourceResponse",
    "ValidateResourceRequest",
    "ValidateResourceResponse",
    "ValidationMode",
    "WatchResourcesRequest",
    "WatchResourcesResponse",
    "bare_error",
    "connect",
    "core_tls",
]

Metadata: TypeAlias = Sequence[tuple[str, str]]
"""gRPC metadata: lower-case keys, as in ("authorization", "Bearer …") and ("x-request-id", "…")."""


class CallError(Exception):
    """A call failed: `code` is the gRPC status code's name, `reason` ErrorInfo.reason, `issues` all that was found."""

    def __init__(
        self, code: str, reason: str, issues: Sequence[Issue], *, details: Mapping[str, str] | None = None
    ) -> None:
        """Carry what the status said; `details` is ErrorInfo.metadata."""
        super().__init__(f"{code} {reason}: {issues[0].diagnostics if issues else ''}")
        self.code = code
        self.reason = reason
        self.issues = tuple(issues)
        self.details = dict(details or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC: its path on the wire and its messages."""

    name: str
    service: str
    path: str
    request: type[Message]
    response: type[Message]
    streams: bool


def _methods() -> dict[str, Method]:
    found = {}
    for module in (
        resource_service_pb2,
        operation_service_pb2,
        client_service_pb2,
        capability_service_pb2,
        export_service_pb2,
    ):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                found[method.name] = Method(
                    name=method.name,
                    service=service.full_name,
                    path=f"/{service.full_name}/{method.name}",
                    request=getattr(module, method.input_type.name),
                    response=getattr(module, method.output_type.name),
                    streams=method.server_streaming,
                )
    return found


METHODS: Mapping[str, Method] = _methods()
"""Every RPC of `toro.v1` by its name."""


class Transport(Protocol):
    """Carries calls to a core, in process or over gRPC. Both raise CallError."""

    async def unary(self, method: Method, request: Message, metadata: Metadata, timeout: float | None) -> Message:
        """Carry one request and return its answer; `timeout` in seconds."""

    def stream(
        self, method: Method, request: Message, metadata: Metadata, timeout: float | None
    ) -> AsyncIterator[Message]:
        """Carry one request and iterate over its answers."""


class Core:
    """A core to call. Every method raises CallError; `timeout` is in seconds."""

    def __init__(self, transport: Transport) -> None:
        """Call over this transport."""
        self._transport = transport

    async def _unary(self, name: str, request: Message, metadata: Metadata, timeout: float | None) -> Any:
        return await self._transport.unary(METHODS[name], request, metadata, timeout)

    async def GetResource(
        self, request: GetResourceRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> GetResourceResponse:
        """Read a resource."""
        return cast(GetResourceResponse, await self._unary("GetResource", request, metadata, timeout))

    def FetchResource(
        self, request: FetchResourceRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> AsyncIterator[FetchResourceResponse]:
        """Read a resource of any size in chunks."""
        answers = self._transport.stream(METHODS["FetchResource"], request, metadata, timeout)
        return cast("AsyncIterator[FetchResourceResponse]", answers)

    async def CreateResource(
        self, request: CreateResourceRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> CreateResourceResponse:
        """Store a new resource."""
        return cast(CreateResourceResponse, await self._unary("CreateResource", request, metadata, timeout))

    async def UpdateResource(
        self, request: UpdateResourceRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> UpdateResourceResponse:
        """Store a new version."""
        return cast(UpdateResourceResponse, await self._unary("UpdateResource", request, metadata, timeout))

    async def PatchResource(
        self, request: PatchResourceRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> PatchResourceResponse:
        """Change parts of a resource."""
        return cast(PatchResourceResponse, await self._unary("PatchResource", request, metadata, timeout))

    async def DeleteResource(
        self, request: DeleteResourceRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> DeleteResourceResponse:
        """Delete a resource, or what a condition finds."""
        return cast(DeleteResourceResponse, await self._unary("DeleteResource", request, metadata, timeout))

    async def CommitBundle(
        self, request: CommitBundleRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> CommitBundleResponse:
        """Carry out a batch or a transaction."""
        return cast(CommitBundleResponse, await self._unary("CommitBundle", request, metadata, timeout))

    async def ValidateResource(
        self, request: ValidateResourceRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> ValidateResourceResponse:
        """Check a resource without storing it."""
        return cast(ValidateResourceResponse, await self._unary("ValidateResource", request, metadata, timeout))

    async def SearchResources(
        self, request: SearchResourcesRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> SearchResourcesResponse:
        """Find resources of a type."""
        return cast(SearchResourcesResponse, await self._unary("SearchResources", request, metadata, timeout))

    async def ListVersions(
        self, request: ListVersionsRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> ListVersionsResponse:
        """List the versions of a resource, of a type or of all."""
        return cast(ListVersionsResponse, await self._unary("ListVersions", request, metadata, timeout))

    def WatchResources(
        self, request: WatchResourcesRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> AsyncIterator[WatchResourcesResponse]:
        """Watch what is committed."""
        answers = self._transport.stream(METHODS["WatchResources"], request, metadata, timeout)
        return cast("AsyncIterator[WatchResourcesResponse]", answers)

    def FetchEverything(
        self, request: FetchEverythingRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> AsyncIterator[FetchEverythingResponse]:
        """Stream all there is of one patient."""
        answers = self._transport.stream(METHODS["FetchEverything"], request, metadata, timeout)
        return cast("AsyncIterator[FetchEverythingResponse]", answers)

    async def GenerateDocument(
        self, request: GenerateDocumentRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> GenerateDocumentResponse:
        """Put a document together."""
        return cast(GenerateDocumentResponse, await self._unary("GenerateDocument", request, metadata, timeout))

    def FetchBinary(
        self, request: FetchBinaryRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> AsyncIterator[FetchBinaryResponse]:
        """Read the content of a Binary in chunks."""
        answers = self._transport.stream(METHODS["FetchBinary"], request, metadata, timeout)
        return cast("AsyncIterator[FetchBinaryResponse]", answers)

    async def InvokeOperation(
        self, request: InvokeOperationRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> InvokeOperationResponse:
        """Invoke an operation."""
        return cast(InvokeOperationResponse, await self._unary("InvokeOperation", request, metadata, timeout))

    async def ExchangeAssertion(
        self, request: ExchangeAssertionRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> ExchangeAssertionResponse:
        """Exchange a client's assertion for an access token."""
        return cast(ExchangeAssertionResponse, await self._unary("ExchangeAssertion", request, metadata, timeout))

    async def GetKeys(
        self, request: GetKeysRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> GetKeysResponse:
        """Get the keys that verify access tokens."""
        return cast(GetKeysResponse, await self._unary("GetKeys", request, metadata, timeout))

    async def StartExport(
        self, request: StartExportRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> StartExportResponse:
        """Begin an export."""
        return cast(StartExportResponse, await self._unary("StartExport", request, metadata, timeout))

    async def GetExport(
        self, request: GetExportRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> GetExportResponse:
        """Say how an export is."""
        return cast(GetExportResponse, await self._unary("GetExport", request, metadata, timeout))

    async def CancelExport(
        self, request: CancelExportRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> CancelExportResponse:
        """Stop an export."""
        return cast(CancelExportResponse, await self._unary("CancelExport", request, metadata, timeout))

    def FetchExportFile(
        self, request: FetchExportFileRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> AsyncIterator[FetchExportFileResponse]:
        """Read a file of an export in chunks."""
        answers = self._transport.stream(METHODS["FetchExportFile"], request, metadata, timeout)
        return cast("AsyncIterator[FetchExportFileResponse]", answers)

    async def GetCapabilities(
        self, request: GetCapabilitiesRequest, *, metadata: Metadata = (), timeout: float | None = None
    ) -> GetCapabilitiesResponse:
        """Get what the core can do."""
        return cast(GetCapabilitiesResponse, await self._unary("GetCapabilities", request, metadata, timeout))


@asynccontextmanager
async def connect(address: str, *, max_body: int = 32 << 20, tls: Tls | None = None) -> AsyncIterator[Core]:
    """Open a core at a gRPC address, as in "localhost:9090"; `max_body` in bytes is what it takes and gives at most."""
    async with open_channel(address, max_body, tls) as channel:
        yield Core(GrpcTransport(channel, _call_error))


def bare_error(code: str) -> CallError:
    """Return the error of a call of which only the gRPC status code is known: the connection or the deadline ended it."""
    reason, issue, text = _BARE.get(code, (code, "exception", f"The core answered {code}."))
    severity = IssueSeverity.ISSUE_SEVERITY_ERROR
    return CallError(code, reason, [Issue(severity=severity, code=issue, diagnostics=text)])


_BARE: Mapping[str, tuple[str, str, str]] = {
    "DEADLINE_EXCEEDED": (
        "DEADLINE_EXCEEDED",
        "timeout",
        "The call took longer than its deadline; what it wrote may still become durable. Narrow it or allow more.",
    ),
    "RESOURCE_EXHAUSTED": ("RESOURCE_TOO_LARGE", "too-long", "The message is larger than the other side takes."),
    "UNAVAILABLE": ("STORAGE_UNAVAILABLE", "transient", "The core cannot be reached; try again."),
}


def _call_error(failure: Failure) -> CallError:
    """Read back what `toro_core.status.rich_status` wrote; a failure of the connection itself carries no details."""
    issues, info = Issues(), ErrorInfo()
    for detail in Status.FromString(failure.status).details:
        detail.Unpack(issues)
        detail.Unpack(info)
    if not info.reason:
        return bare_error(failure.code)
    return CallError(failure.code, info.reason, issues.issues, details=info.metadata)
