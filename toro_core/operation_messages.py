"""Operations between the wire and the core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol

from toro_core.binaries import Content
from toro_core.operations.contract import Answer, InvalidArguments, ResultPage
from toro_core.operations.everything import Everything
from toro_core.operations.record import Walk
from toro_core.operations.registry import Invoked
from toro_core.operations.wanted import Wanted
from toro_core.rejections import InvalidArgument, ResourceTooLarge
from toro_core.resources import known_type, message, parse_name
from toro_core.search_messages import search_answer
from toro_core.searching import Found
from toro_core.status import issue_message
from toro_core.storage import Key, Stored
from toro_core.v1 import (
    BinaryContent,
    Exposure,
    FetchBinaryResponse,
    FetchEverythingRequest,
    FetchEverythingResponse,
    GenerateDocumentRequest,
    GenerateDocumentResponse,
    Interaction,
    InvokeOperationRequest,
    InvokeOperationResponse,
    SearchMode,
)

__all__ = [
    "binary_stream",
    "composition",
    "creatable",
    "document_answer",
    "everything_stream",
    "everything_wanted",
    "invoked",
    "operation_answer",
    "readable",
]

_MESSAGE: Final = 1 << 20


class _Exposing(Protocol):
    """A request that may carry an exposure."""

    @property
    def exposure(self) -> Exposure: ...

    def HasField(self, field_name: str, /) -> bool: ...  # noqa: N802 protobuf's name


def readable(request: _Exposing) -> frozenset[str] | None:
    """Return the types whose read is exposed; None where nothing narrows them."""
    return _exposed(request, Interaction.INTERACTION_READ)


def creatable(request: _Exposing) -> frozenset[str] | None:
    """Return the types whose creation is exposed; None where nothing narrows them."""
    return _exposed(request, Interaction.INTERACTION_CREATE)


def invoked(request: InvokeOperationRequest, types: frozenset[str], base_url: str, *, lenient: bool) -> Invoked:
    """Return what a request invokes. Raises UnsupportedType, InvalidArgument."""
    if request.name:
        key = parse_name(request.name, types)
        if request.resource_type not in ("", key.type):
            raise InvalidArgument("resource_type is another one than that of name; leave it out.")
    else:
        key = Key(known_type(request.resource_type, types) if request.resource_type else "", "")
    if request.page_token and (request.arguments or request.parameters):
        raise InvalidArgument("A page token comes alone; the arguments are part of it.")
    return Invoked(
        code=request.operation,
        key=key,
        given=[(argument.name, argument.value) for argument in request.arguments],
        parameters=request.parameters,
        page_token=request.page_token,
        base_url=request.base_url.rstrip("/") or base_url,
        readable=readable(request),
        creatable=creatable(request),
        lenient=lenient,
    )


def operation_answer(result: ResultPage | Answer, max_bytes: int) -> InvokeOperationResponse:
    """Render what an operation answers. Raises ResourceTooLarge."""
    if isinstance(result, ResultPage):
        found = Found(
            matches=result.matches,
            included=result.included,
            next_page_token=result.next_page_token,
            total=result.total,
            issues=result.issues,
            applied=result.applied,
        )
        return InvokeOperationResponse(page=search_answer(found, max_bytes))
    _check(result, max_bytes)
    return InvokeOperationResponse(
        json=result.json, stored=message(result.stored, content=False) if result.stored else None
    )


def composition(request: GenerateDocumentRequest, types: frozenset[str]) -> Key:
    """Return the Composition that is asked for. Raises InvalidArgument, UnsupportedType."""
    key = parse_name(request.name, types)
    if key.type != "Composition":
        raise InvalidArgument("name is not that of a Composition; documents are put together from one.")
    return key


def document_answer(answer: Answer, max_bytes: int) -> GenerateDocumentResponse:
    """Render a document. Raises ResourceTooLarge."""
    _check(answer, max_bytes)
    return GenerateDocumentResponse(
        json=answer.json, stored=message(answer.stored, content=False) if answer.stored else None
    )


def everything_wanted(request: FetchEverythingRequest, types: frozenset[str]) -> Wanted:
    """Return whose record is asked for. Raises InvalidArgument, UnsupportedType."""
    key = parse_name(request.name, types)
    if key.type != "Patient":
        raise InvalidArgument("name is not that of a Patient; a record is one patient's.")
    if request.page_size < 0:
        raise InvalidArguments("page_size is negative; leave it out or send a positive number.")
    if request.page_token and (request.start or request.end or request.since or request.types):
        raise InvalidArgument("A page token comes alone; the arguments are part of it.")
    return Wanted(patient=key.id, start=request.start, end=request.end, since=request.since, types=tuple(request.types))


async def everything_stream(
    everything: Everything, walk: Walk, page_size: int, max_bytes: int
) -> AsyncIterator[FetchEverythingResponse]:
    """Walk, and say at the end what was left out and where it goes on."""
    answer, size = FetchEverythingResponse(), 0
    async for part in everything.parts(walk, page_size):
        grown = sum(len(stored.json) for found in (part.matches, part.included) for stored in found)
        if size and size + grown > _MESSAGE:
            yield answer
            answer, size = FetchEverythingResponse(), 0
        size += grown
        for stored in part.matches:
            answer.entries.add(resource=message(stored, max_bytes=max_bytes), mode=SearchMode.SEARCH_MODE_MATCH)
        for stored in part.included:
            answer.entries.add(resource=message(stored, max_bytes=max_bytes), mode=SearchMode.SEARCH_MODE_INCLUDE)
    answer.next_page_token = "" if walk.done else await everything.token(walk, page_size)
    answer.issues.extend(issue_message(issue) for issue in walk.issues())
    yield answer


async def binary_stream(stored: Stored) -> AsyncIterator[FetchBinaryResponse]:
    """Say what a Binary is, then give its content. Raises InvalidArgument where it is none."""
    if stored.key.type != "Binary":
        raise InvalidArgument("name is not that of a Binary; only a Binary has content.")
    content = Content(stored.json)
    yield FetchBinaryResponse(
        content=BinaryContent(
            resource=message(stored, content=False),
            content_type=content.content_type,
            size=content.size,
            security_context=content.security_context,
        )
    )
    for chunk in content.chunks():
        yield FetchBinaryResponse(chunk=chunk)


def _check(answer: Answer, max_bytes: int) -> None:
    if len(answer.json) > max_bytes:
        raise ResourceTooLarge("The answer is larger than the caller accepts; accept more bytes.")


def _exposed(request: _Exposing, interaction: Interaction) -> frozenset[str] | None:
    if not request.HasField("exposure"):
        return None
    return frozenset(one.resource_type for one in request.exposure.types if interaction in one.interactions)
