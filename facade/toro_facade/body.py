"""Reading of request bodies, never beyond their limit."""

from __future__ import annotations

from collections.abc import AsyncIterator

from toro_facade.exchange import Exchange
from toro_facade.media import NO_XML, is_json_body, is_xml_body
from toro_facade.outcome import Refused
from toro_facade.xml import json_of

__all__ = ["ClientGone", "body_chunks", "read_body", "read_form", "read_optional", "read_resource"]

_FORM = "application/x-www-form-urlencoded"


class ClientGone(Exception):
    """The client hung up, or was cut off, before its body was complete."""


async def read_resource(exchange: Exchange) -> bytes:
    """Read the resource a client sent, in JSON whatever it came in. Raises Refused (400, 413, 415), ClientGone."""
    content_type = exchange.header(b"content-type")
    if not is_json_body(content_type, sniffed=True):
        return await _read_xml(exchange, content_type)
    body = await read_body(exchange, exchange.services.settings.max_body)
    if not body:
        raise Refused(400, "required", "The request has no body; send the resource as JSON.")
    if not is_json_body(content_type, sniffed=body.lstrip(b" \t\r\n")[:1] == b"{"):
        raise _unsupported(exchange)
    return body


async def _read_xml(exchange: Exchange, content_type: str) -> bytes:
    if not is_xml_body(content_type) or exchange.services.xml is None:
        raise _unsupported(exchange)
    body = await read_body(exchange, exchange.services.settings.max_body)
    return await json_of(exchange, exchange.services.xml, body)


async def read_optional(exchange: Exchange) -> bytes:
    """Read the resource a client sent, empty where it says nothing of a body. Raises Refused (400, 413, 415), ClientGone."""
    if exchange.header(b"content-length") in ("", "0") and not (
        exchange.header(b"content-type") or exchange.header(b"transfer-encoding")
    ):
        return b""
    return await read_resource(exchange)


async def read_form(exchange: Exchange, limit: int) -> bytes:
    """Read a form. Raises Refused (413, 415), ClientGone."""
    content_type = exchange.header(b"content-type").partition(";")[0].strip().lower()
    body = await read_body(exchange, min(limit, exchange.services.settings.max_body))
    if body and content_type != _FORM:
        raise Refused(415, "not-supported", f"The body is not a form: send it as {_FORM}.")
    return body


async def read_body(exchange: Exchange, limit: int) -> bytes:
    """Read the body, refusing it by its Content-Length or as soon as it is longer than `limit`. Raises Refused, ClientGone."""
    return b"".join([chunk async for chunk in body_chunks(exchange, limit)])


async def body_chunks(exchange: Exchange, limit: int) -> AsyncIterator[bytes]:
    """Give the body as it comes, with the same refusals."""
    if exchange.header(b"content-encoding").strip().lower() not in ("", "identity"):
        raise Refused(415, "not-supported", "Compressed bodies are not supported: send it without Content-Encoding.")
    announced = exchange.header(b"content-length")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    size = 0
    while True:
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk
        if not message.get("more_body", False):
            return


def _too_large(limit: int) -> Refused:
    return Refused(413, "too-long", f"The body is larger than this server accepts, which is {limit} bytes.")


def _unsupported(exchange: Exchange) -> Refused:
    if exchange.services.xml:
        text = "The body is not FHIR R4 in UTF-8: send it as application/fhir+json or application/fhir+xml."
    else:
        text = f"The body is not FHIR R4 JSON in UTF-8: send it as application/fhir+json. {NO_XML}"
    return Refused(415, "not-supported", text)
