"""Getting a resource from the core and answering with it."""

from __future__ import annotations

from toro_core.v1 import CallError, FetchResourceRequest, GetResourceRequest, Resource
from toro_facade.answer import Answer, Header
from toro_facade.exchange import Exchange
from toro_facade.headers import http_date, matches, modified_since, preferences
from toro_facade.outcome import Refused

__all__ = ["client_has", "fetched", "no_parameters", "resource_answer", "stored", "version_headers"]

_PRIVATE: Header = (b"cache-control", b"private, no-cache")


async def stored(exchange: Exchange) -> Resource:
    """Get the resource, or the version of it, that the path names; a very large one in chunks. Raises CallError."""
    services = exchange.services
    request = GetResourceRequest(
        name=exchange.name, version_id=exchange.version_id, max_bytes=services.settings.max_body
    )
    try:
        answer = await services.core.GetResource(request, metadata=exchange.metadata, timeout=exchange.timeout)
    except CallError as error:
        if error.reason != "RESOURCE_TOO_LARGE":
            raise
        return await fetched(exchange, exchange.name, exchange.version_id)
    return answer.resource


async def fetched(exchange: Exchange, name: str, version_id: str) -> Resource:
    """Get a resource of any size. Raises CallError."""
    request = FetchResourceRequest(name=name, version_id=version_id)
    resource = Resource()
    chunks = []
    async for part in exchange.services.core.FetchResource(
        request, metadata=exchange.metadata, timeout=exchange.timeout
    ):
        if part.HasField("resource"):
            resource.CopyFrom(part.resource)
        chunks.append(part.chunk)
    resource.json = b"".join(chunks)
    return resource


def resource_answer(exchange: Exchange, resource: Resource) -> Answer:
    """Answer with a resource, or 304 where the client has it already (a conditional read). Raises Refused (410)."""
    if resource.deleted:
        raise Refused(410, "deleted", f"{resource.name} was deleted; read a past version.")
    headers = version_headers(resource)
    if client_has(exchange, resource):
        return Answer(status=304, headers=headers)
    media = exchange.media
    headers.append((b"content-type", media.content_type))
    return Answer(headers=headers, body=media.render(resource.json) if media.pretty else resource.json)


def version_headers(resource: Resource) -> list[Header]:
    """Return ETag and Last-Modified of a version, and that it is nobody else's to cache."""
    return [
        (b"etag", resource.etag.encode("ascii")),
        (b"last-modified", http_date(resource.update_time.seconds)),
        _PRIVATE,
    ]


def no_parameters(exchange: Exchange) -> None:
    """Refuse parameters that would be ignored, unless the client is lenient. Raises Refused (400)."""
    if exchange.parameters and preferences(exchange.header(b"prefer")).get("handling") != "lenient":
        text = f"{exchange.parameters[0][0]} is not a parameter of this interaction; leave it out."
        raise Refused(400, "not-supported", text)


def client_has(exchange: Exchange, resource: Resource) -> bool:
    """Tell whether the client has this version already."""
    tags = exchange.header(b"if-none-match")
    if tags:
        return matches(tags, resource.etag)
    date = exchange.header(b"if-modified-since")
    return bool(date) and not modified_since(date, resource.update_time.seconds)
