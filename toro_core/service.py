"""The RPCs of `toro.v1`, one short method each: parse, authorise, act, answer.

Past 250 lines because every RPC has its method here; what they do lies elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from google.protobuf.message import Message

from toro_core.auth.authority import Authority
from toro_core.bulk.exports import Exports
from toro_core.bulk.servicer import ExportServicer
from toro_core.bundles.bundler import Bundler
from toro_core.capabilities import capabilities
from toro_core.changes import Done
from toro_core.definitions import Definitions
from toro_core.histories import Histories
from toro_core.history_messages import asked_history, history_answer
from toro_core.interceptors import Call, Interceptor, chain, deadlines, errors, identify
from toro_core.operation_messages import (
    binary_stream,
    composition,
    creatable,
    document_answer,
    everything_stream,
    everything_wanted,
    invoked,
    operation_answer,
    readable,
)
from toro_core.operations.acting import Acting
from toro_core.operations.document import Documents
from toro_core.operations.everything import Everything
from toro_core.operations.registry import Operations
from toro_core.reading import Reader
from toro_core.rejections import InvalidArgument, ResourceTooLarge
from toro_core.resources import known_type, message, parse_name, parse_version
from toro_core.search.extract import Extractor
from toro_core.search_messages import asked_search, search_answer
from toro_core.searching import Searcher
from toro_core.settings import Settings
from toro_core.status import issue_message
from toro_core.storage import Storage, Stored
from toro_core.v1 import (
    CommitBundleRequest,
    CommitBundleResponse,
    Content,
    CreateResourceRequest,
    CreateResourceResponse,
    DeleteResourceRequest,
    DeleteResourceResponse,
    ExchangeAssertionRequest,
    ExchangeAssertionResponse,
    FetchBinaryRequest,
    FetchBinaryResponse,
    FetchEverythingRequest,
    FetchEverythingResponse,
    FetchResourceRequest,
    FetchResourceResponse,
    GenerateDocumentRequest,
    GenerateDocumentResponse,
    GetCapabilitiesRequest,
    GetCapabilitiesResponse,
    GetKeysRequest,
    GetKeysResponse,
    GetResourceRequest,
    GetResourceResponse,
    Handling,
    InvokeOperationRequest,
    InvokeOperationResponse,
    ListVersionsRequest,
    ListVersionsResponse,
    PatchResourceRequest,
    PatchResourceResponse,
    Resource,
    SearchResourcesRequest,
    SearchResourcesResponse,
    UpdateResourceRequest,
    UpdateResourceResponse,
    ValidateResourceRequest,
    ValidateResourceResponse,
    WatchResourcesRequest,
    WatchResourcesResponse,
)
from toro_core.v1 import Issue as IssueMessage
from toro_core.validating import MODES, Validating
from toro_core.watching import Watching
from toro_core.write_requests import create_change, delete_change, patch_change, update_change
from toro_core.writing import Writer

__all__ = ["Parts", "Service"]

_MAX_BYTES: Final = 3_500_000
"""What a resource, or a page of them, may have where the caller does not say: every gRPC client takes a message of this size."""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a service is made of; `toro_core.assembly` puts it together."""

    settings: Settings
    storage: Storage
    definitions: Definitions
    extractor: Extractor
    authority: Authority
    reader: Reader
    writer: Writer
    bundler: Bundler
    searcher: Searcher
    histories: Histories
    watching: Watching
    validating: Validating
    exports: Exports
    everything: Everything
    documents: Documents
    acting: Acting
    operations: Operations


class Service:
    """Answers calls; both transports go through `answer`."""

    def __init__(self, parts: Parts, interceptors: tuple[Interceptor, ...] = ()) -> None:
        """Answer with these parts, `interceptors` outermost."""
        self._parts = parts
        self._types = parts.definitions.resource_types
        self._servicers = {"toro.v1.ExportService": ExportServicer(parts.exports)}
        around = (*interceptors, errors, deadlines, identify(parts.authority))
        self.answer = chain(around, self._act)

    def with_interceptors(self, *interceptors: Interceptor) -> Service:
        """Return a service of the same parts with these around every call."""
        return Service(self._parts, interceptors)

    async def _act(self, call: Call, request: Message) -> Any:
        servicer = self._servicers.get(call.method.service, self)
        return await getattr(servicer, call.method.name)(request, call)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Do in the background what calls leave to be done."""
        async with self._parts.exports.worker.running():
            yield

    async def GetResource(self, request: GetResourceRequest, call: Call) -> GetResourceResponse:
        """Read one resource."""
        stored = await self._read(request, call)
        if len(stored.json) > _accepted(request.max_bytes):
            raise ResourceTooLarge
        return GetResourceResponse(resource=message(stored))

    async def FetchResource(self, request: FetchResourceRequest, call: Call) -> AsyncIterator[FetchResourceResponse]:
        """Read one resource in chunks."""
        return _chunks(await self._read(request, call))

    async def _read(
        self, request: GetResourceRequest | FetchResourceRequest | FetchBinaryRequest, call: Call
    ) -> Stored:
        key = parse_name(request.name, self._types)
        version = parse_version(request.version_id)
        return await self._parts.reader.read(call.known_caller(), key, version)

    async def CreateResource(self, request: CreateResourceRequest, call: Call) -> CreateResourceResponse:
        """Store a new resource, or find the one there is."""
        self._check_size(request.json)
        (done,) = await self._parts.writer.change(call.known_caller(), create_change(request, self._types))
        created = done.outcome == "created"
        return CreateResourceResponse(resource=_written(done, request.content), created=created, issues=_told(done))

    async def UpdateResource(self, request: UpdateResourceRequest, call: Call) -> UpdateResourceResponse:
        """Store a new version."""
        self._check_size(request.json)
        (done,) = await self._parts.writer.change(call.known_caller(), update_change(request, self._types))
        created = done.outcome == "created"
        return UpdateResourceResponse(resource=_written(done, request.content), created=created, issues=_told(done))

    async def PatchResource(self, request: PatchResourceRequest, call: Call) -> PatchResourceResponse:
        """Change parts of a resource."""
        self._check_size(request.patch)
        change = patch_change(request, self._types, self._parts.definitions)
        (done,) = await self._parts.writer.change(call.known_caller(), change)
        return PatchResourceResponse(resource=_written(done, request.content), issues=_told(done))

    async def DeleteResource(self, request: DeleteResourceRequest, call: Call) -> DeleteResourceResponse:
        """Delete a resource, or what a condition finds."""
        found = await self._parts.writer.change(call.known_caller(), delete_change(request, self._types))
        gone = [done.stored for done in found if done.outcome == "deleted" and done.stored]
        return DeleteResourceResponse(deletions=[message(stored) for stored in gone])

    async def CommitBundle(self, request: CommitBundleRequest, call: Call) -> CommitBundleResponse:
        """Carry out a batch or a transaction."""
        self._check_size(request.json)
        return await self._parts.bundler.commit(request, call, self)

    async def ValidateResource(self, request: ValidateResourceRequest, call: Call) -> ValidateResourceResponse:
        """Check a resource without storing it."""
        self._check_size(request.json)
        key = parse_name(request.name, self._types) if request.name else None
        resource_type = key.type if key else known_type(request.resource_type, self._types)
        judged = await self._parts.validating.judge(
            call.known_caller(), resource_type, key, request.json, MODES[request.mode], request.profiles
        )
        issues = [issue_message(issue) for issue in judged.issues]
        return ValidateResourceResponse(issues=issues, acceptable=judged.acceptable)

    def _check_size(self, json: bytes) -> None:
        limit = self._parts.settings.max_body
        if len(json) > limit:
            raise ResourceTooLarge(
                f"The resource is larger than this server's limit of {limit} bytes; send a smaller one."
            )

    async def SearchResources(self, request: SearchResourcesRequest, call: Call) -> SearchResourcesResponse:
        """Find resources."""
        max_bytes = _accepted(request.max_bytes)
        searcher, caller = self._parts.searcher, call.known_caller()
        search = asked_search(request, self._types, lenient=self._is_lenient(request.handling))
        if request.explain:
            return SearchResourcesResponse(explanation=await searcher.explain(caller, search))
        if request.page_token:
            found = await searcher.follow(caller, search, request.page_token)
        else:
            found = await searcher.search(caller, search)
        return search_answer(found, max_bytes)

    def _is_lenient(self, asked: Handling) -> bool:
        if asked == Handling.HANDLING_UNSPECIFIED:
            return self._parts.settings.search_handling == "lenient"
        return asked == Handling.HANDLING_LENIENT

    async def ListVersions(self, request: ListVersionsRequest, call: Call) -> ListVersionsResponse:
        """List versions: of one resource, of a type, of all."""
        max_bytes = _accepted(request.max_bytes)
        asked = asked_history(request, self._types, self._parts.settings)
        found = await self._parts.histories.page(call.known_caller(), asked)
        return history_answer(found, max_bytes)

    async def WatchResources(self, request: WatchResourcesRequest, call: Call) -> AsyncIterator[WatchResourcesResponse]:
        """Watch what is committed."""
        max_bytes = _accepted(request.max_bytes)
        types = [known_type(name, self._types) for name in request.resource_types]
        after = request.after if request.HasField("after") else None
        return await self._parts.watching.watch(call, types, after, max_bytes)

    def end_streams(self) -> None:
        """End the streams that would go on for as long as their callers like."""
        self._parts.watching.close()

    async def InvokeOperation(self, request: InvokeOperationRequest, call: Call) -> InvokeOperationResponse:
        """Invoke an operation."""
        self._check_size(request.parameters)
        asked = invoked(
            request, self._types, self._parts.settings.fhir_base(), lenient=self._is_lenient(request.handling)
        )
        result = await self._parts.operations.invoke(call.known_caller(), asked)
        return operation_answer(result, _accepted(request.max_bytes))

    async def FetchEverything(
        self, request: FetchEverythingRequest, call: Call
    ) -> AsyncIterator[FetchEverythingResponse]:
        """Stream a patient's record."""
        caller, everything = call.known_caller(), self._parts.everything
        max_bytes, exposed = _accepted(request.max_bytes), readable(request)
        wanted = everything_wanted(request, self._types)
        await everything.check(caller, self._parts.reader, wanted.patient, exposed)
        walk, _ = await everything.walk(caller, wanted, exposed, request.page_token)
        return everything_stream(everything, walk, request.page_size, max_bytes)

    async def GenerateDocument(self, request: GenerateDocumentRequest, call: Call) -> GenerateDocumentResponse:
        """Put a document together."""
        parts, caller = self._parts, call.known_caller()
        readable_types, creatable_types = readable(request), creatable(request)
        answer = await parts.documents.generate(
            caller,
            composition(request, self._types),
            base_url=request.base_url or parts.settings.fhir_base(),
            persist=request.persist,
            readable=readable_types,
            creatable=creatable_types,
            resources=parts.acting.of(caller, readable_types, creatable_types),
        )
        return document_answer(answer, _accepted(request.max_bytes))

    async def FetchBinary(self, request: FetchBinaryRequest, call: Call) -> AsyncIterator[FetchBinaryResponse]:
        """Read the content of a Binary in chunks."""
        return binary_stream(await self._read(request, call))

    async def ExchangeAssertion(self, request: ExchangeAssertionRequest, call: Call) -> ExchangeAssertionResponse:
        """Exchange an assertion for an access token."""
        token_url = request.token_url or self._parts.settings.token_url()
        granted = await self._parts.authority.exchange(request.assertion, tuple(request.scopes), token_url)
        return ExchangeAssertionResponse(
            access_token=granted.access_token, expires_in=granted.expires_in, scopes=granted.scopes
        )

    async def GetKeys(self, request: GetKeysRequest, call: Call) -> GetKeysResponse:
        """Get the public keys."""
        return GetKeysResponse(jwks=await self._parts.authority.jwks())

    async def GetCapabilities(self, request: GetCapabilitiesRequest, call: Call) -> GetCapabilitiesResponse:
        """Get what this core can do."""
        return self._capabilities

    @cached_property
    def _capabilities(self) -> GetCapabilitiesResponse:
        parts = self._parts
        return capabilities(parts.definitions, parts.extractor, parts.storage, parts.settings, parts.operations)


def _accepted(max_bytes: int) -> int:
    if max_bytes < 0:
        raise InvalidArgument("max_bytes is negative; leave it out or send the most bytes you accept.")
    return max_bytes or _MAX_BYTES


async def _chunks(stored: Stored) -> AsyncIterator[FetchResourceResponse]:
    yield FetchResourceResponse(resource=message(stored, content=False))
    for start in range(0, len(stored.json), _CHUNK):
        yield FetchResourceResponse(chunk=stored.json[start : start + _CHUNK])


def _written(done: Done, content: Content) -> Resource | None:
    return message(done.stored, content=content == Content.CONTENT_FULL) if done.stored else None


def _told(done: Done) -> list[IssueMessage]:
    return [issue_message(issue) for issue in done.issues]
