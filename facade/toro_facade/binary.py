"""Binary, whose content is read and written as it is: https://hl7.org/fhir/R4/binary.html#rest

What is asked for or sent in FHIR's own media types is the resource, in JSON; everything else is the content.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from toro_core.v1 import BinaryContent, FetchBinaryRequest, FetchBinaryResponse
from toro_facade.answer import Answer, Header
from toro_facade.body import body_chunks
from toro_facade.create import create, create_of
from toro_facade.exchange import Exchange
from toro_facade.headers import preferences
from toro_facade.media import names_fhir, prefers_fhir
from toro_facade.outcome import Refused
from toro_facade.query import pairs
from toro_facade.resource import client_has, no_parameters, resource_answer, stored, version_headers
from toro_facade.update import update, update_of

__all__ = ["create_binary", "read_binary", "update_binary"]

_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:\s*;[ -~]*)?", re.ASCII)
_UNKNOWN: Final = "application/octet-stream"
_SHOWN: Final = frozenset({"application/pdf", "image/gif", "image/jpeg", "image/png", "text/plain"})
"""What a browser may show where it is; anything else it is to save, because it could run in this server's name."""
_FRAME: Final = 1_024
"""Bytes of a Binary beside its content."""


async def read_binary(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/Binary/{id}` and that of a version with the content or, by FHIR's media types, with the resource."""
    given = pairs(exchange.scope["query_string"])
    if any(name == "_format" for name, _ in given) or prefers_fhir(exchange.header(b"accept")):
        exchange.negotiate()
        no_parameters(exchange)
        answer = resource_answer(exchange, await stored(exchange))
        answer.headers.append((b"vary", b"accept"))
        return answer
    exchange.parameters = given
    no_parameters(exchange)
    services = exchange.services
    request = FetchBinaryRequest(name=exchange.name, version_id=exchange.version_id)
    parts = services.core.FetchBinary(request, metadata=exchange.metadata, timeout=exchange.timeout)
    content = (await anext(parts)).content
    headers = _headers(content)
    if client_has(exchange, content.resource):
        return Answer(status=304, headers=headers)
    headers.append((b"content-type", _content_type(content).encode("ascii")))
    return Answer(headers=headers, stream=_chunks(parts), size=content.size)


async def create_binary(exchange: Exchange) -> Answer:
    """Answer `POST /fhir/Binary`: the body is the content, unless its media type is FHIR's."""
    exchange.negotiate()
    if names_fhir(exchange.header(b"content-type")):
        return await create(exchange)
    no_parameters(exchange)
    return await create_of(exchange, await _resource(exchange))


async def update_binary(exchange: Exchange) -> Answer:
    """Answer `PUT /fhir/Binary/{id}` likewise."""
    exchange.negotiate()
    if names_fhir(exchange.header(b"content-type")):
        return await update(exchange)
    no_parameters(exchange)
    return await update_of(exchange, await _resource(exchange))


async def _resource(exchange: Exchange) -> bytes:
    """Read the content and make the resource of it, encoding it as it comes. Raises Refused (400, 413, 415), ClientGone."""
    content_type = exchange.header(b"content-type").strip()
    if not _MEDIA_TYPE.fullmatch(content_type):
        raise Refused(415, "not-supported", "Content-Type is no media type; say what the content is.")
    if "return" not in preferences(exchange.header(b"prefer")):
        # Who sends content does not want it back as base64.
        exchange.headers = {**exchange.headers, b"prefer": exchange.headers.get(b"prefer", b"") + b",return=minimal"}
    head: dict[str, object] = {"resourceType": "Binary", "contentType": content_type}
    if exchange.resource_id:
        head["id"] = exchange.resource_id
    if context := exchange.header(b"x-security-context").strip():
        head["securityContext"] = {"reference": context}
    pieces = [msgspec.json.encode(head)[:-1], b',"data":"']
    limit = exchange.services.settings.max_body // 4 * 3 - _FRAME
    rest = b""
    async for chunk in body_chunks(exchange, limit):
        rest += chunk
        whole = len(rest) // 3 * 3
        pieces.append(base64.b64encode(rest[:whole]))
        rest = rest[whole:]
    pieces += [base64.b64encode(rest), b'"}']
    if not any(pieces[2:-1]):
        raise Refused(400, "required", "The request has no body; send the content.")
    return b"".join(pieces)


def _headers(content: BinaryContent) -> list[Header]:
    essence = content.content_type.partition(";")[0].strip().lower()
    headers = version_headers(content.resource)
    headers += [
        (b"vary", b"accept"),
        (b"content-disposition", b"inline" if essence in _SHOWN else b"attachment"),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
    ]
    context = content.security_context
    if context and context.isascii() and context.isprintable():
        headers.append((b"x-security-context", context.encode("ascii")))
    return headers


def _content_type(content: BinaryContent) -> str:
    given = content.content_type.strip()
    return given if _MEDIA_TYPE.fullmatch(given) else _UNKNOWN


async def _chunks(parts: AsyncIterator[FetchBinaryResponse]) -> AsyncIterator[bytes]:
    async for part in parts:
        yield part.chunk
