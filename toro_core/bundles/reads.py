"""Reads, searches and histories among the entries of a Bundle, answered as the RPCs of the same name answer them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Protocol

from google.protobuf.message import Message

from toro_core.access import Access
from toro_core.bundles.entries import Read
from toro_core.caller import Caller
from toro_core.interceptors import Call
from toro_core.rejections import InvalidArgument, ResourceTooLarge
from toro_core.resources import parse_version
from toro_core.search.parse import SearchParser
from toro_core.search.query import Parameter
from toro_core.v1 import (
    CommitBundleRequest,
    EntryOutcome,
    EntryResult,
    GetResourceRequest,
    GetResourceResponse,
    ListVersionsRequest,
    ListVersionsResponse,
    Resource,
    SearchParameter,
    SearchResourcesRequest,
    SearchResourcesResponse,
)

__all__ = ["EntryReader", "Rpcs", "check_read"]

_OF_A_HISTORY: Final = {"_since": "since", "_at": "at", "_page": "page_token"}


class Rpcs(Protocol):
    """The reading RPCs of the service."""

    async def GetResource(self, request: GetResourceRequest, call: Call) -> GetResourceResponse:  # noqa: N802 the RPC's name
        """Read one resource."""

    async def SearchResources(self, request: SearchResourcesRequest, call: Call) -> SearchResourcesResponse:  # noqa: N802
        """Find resources of a type."""

    async def ListVersions(self, request: ListVersionsRequest, call: Call) -> ListVersionsResponse:  # noqa: N802
        """List versions."""


class EntryReader:
    """Answers reads of one call."""

    def __init__(self, rpcs: Rpcs, call: Call, bundle: CommitBundleRequest) -> None:
        """Answer with these RPCs, for the caller of this call, with the Bundle's handling and exposure."""
        self._rpcs = rpcs
        self._call = call
        self._bundle = bundle

    async def result(self, read: Read, max_bytes: int) -> EntryResult:
        """Answer a read with at most so many bytes of JSON. Raises ToroError."""
        if max_bytes <= 0:
            raise ResourceTooLarge("The answer to the Bundle is full; ask for this entry by itself.")
        match read.kind:
            case "read" | "vread":
                return await self._read(read, max_bytes)
            case "history-instance" | "history-type":
                versions = await self._history(read, max_bytes)
                name = f"{read.type}/{read.id}" if read.id else read.type
                return EntryResult(outcome=EntryOutcome.ENTRY_OUTCOME_READ, versions=versions, name=name)
            case "search-type":
                found = await self._search(read, max_bytes)
                return EntryResult(outcome=EntryOutcome.ENTRY_OUTCOME_READ, search=found, name=read.type)

    async def _read(self, read: Read, max_bytes: int) -> EntryResult:
        request = GetResourceRequest(name=f"{read.type}/{read.id}", version_id=read.version, max_bytes=max_bytes)
        resource = (await self._rpcs.GetResource(request, self._call)).resource
        if _has(read, resource):
            resource = Resource(name=resource.name, etag=resource.etag, update_time=resource.update_time)
            return EntryResult(outcome=EntryOutcome.ENTRY_OUTCOME_NOT_MODIFIED, resource=resource)
        return EntryResult(outcome=EntryOutcome.ENTRY_OUTCOME_READ, resource=resource)

    async def _history(self, read: Read, max_bytes: int) -> ListVersionsResponse:
        request = ListVersionsRequest(max_bytes=max_bytes)
        if read.id:
            request.name = f"{read.type}/{read.id}"
        else:
            request.resource_type = read.type
        for parameter in read.parameters:
            value = ",".join(parameter.values)
            if parameter.code == "_count" and value.isascii() and value.isdigit():
                request.page_size = int(value[:9])
            elif parameter.code in _OF_A_HISTORY:
                setattr(request, _OF_A_HISTORY[parameter.code], value)
            else:
                text = "A history in a Bundle takes _count, _since, _at and _page; leave the other parameters out."
                raise InvalidArgument(text)
        answer = await self._rpcs.ListVersions(request, self._call)
        _check_size(answer, answer.versions, max_bytes)
        return answer

    async def _search(self, read: Read, max_bytes: int) -> SearchResourcesResponse:
        request = SearchResourcesRequest(resource_type=read.type, handling=self._bundle.handling, max_bytes=max_bytes)
        if self._bundle.HasField("exposure"):
            request.exposure.CopyFrom(self._bundle.exposure)
        if token := _page_token(read.parameters):
            request.page_token = token
        else:
            request.parameters.extend(
                SearchParameter(code=given.code, modifier=given.modifier, values=given.values)
                for given in read.parameters
            )
        answer = await self._rpcs.SearchResources(request, self._call)
        _check_size(answer, (entry.resource for entry in answer.entries), max_bytes)
        return answer


def check_read(read: Read, caller: Caller, access: Access, parser: SearchParser, *, lenient: bool) -> None:
    """Find out before a transaction commits what its reads would be refused for. Raises ToroError."""
    access.decide(caller, read.type, "s" if read.kind in ("search-type", "history-type") else "r")
    parse_version(read.version)
    if read.kind == "search-type" and not _page_token(read.parameters):
        parser.parse(read.type, read.parameters, lenient=lenient, clause_of=lambda type_: access.visible(caller, type_))


def _page_token(parameters: tuple[Parameter, ...]) -> str:
    return parameters[0].values[0] if len(parameters) == 1 and parameters[0].code == "_page" else ""


def _check_size(answer: Message, resources: Iterable[Resource], max_bytes: int) -> None:
    """Count what was left out for its size as well: whoever renders the answer fetches it."""
    left_out = sum(resource.size for resource in resources if not resource.json)
    if answer.ByteSize() + left_out > max_bytes:
        raise ResourceTooLarge("The answer to the Bundle is full; ask for this entry by itself.")


def _has(read: Read, resource: Resource) -> bool:
    """Say whether the caller has this version already."""
    if read.none_match:
        tags = [tag.strip().removeprefix("W/") for tag in read.none_match.split(",")]
        return "*" in tags or resource.etag.removeprefix("W/") in tags
    if not read.modified_since:
        return False
    try:
        since = datetime.fromisoformat(read.modified_since)
    except ValueError:
        raise InvalidArgument("ifModifiedSince is no instant; write one, as in 2026-01-31T08:00:00Z.") from None
    return resource.update_time.ToDatetime(UTC) <= since.replace(tzinfo=since.tzinfo or UTC)
