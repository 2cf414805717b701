"""FHIR history of a resource, a type and the system: https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import re
from typing import Final

from toro_core.v1 import ListVersionsRequest, ListVersionsResponse, Resource
from toro_facade.answer import Answer
from toro_facade.bundle import Link, history, version_of
from toro_facade.exchange import Exchange
from toro_facade.outcome import Refused
from toro_facade.query import quoted
from toro_facade.resource import fetched, no_parameters

__all__ = ["history_body", "instance_history", "system_history", "type_history"]

_COUNT: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_KNOWN: Final = ("_count", "_since", "_at", "_page")


async def instance_history(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/{type}/{id}/_history` with a page of the versions, newest first."""
    return await _answer(exchange, exchange.name, ListVersionsRequest(name=exchange.name))


async def type_history(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/{type}/_history`, newest commit first."""
    name = exchange.resource_type
    return await _answer(exchange, name, ListVersionsRequest(resource_type=name))


async def system_history(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/_history` with the exposed types that the token may search, newest commit first."""
    return await _answer(exchange, "", ListVersionsRequest(exposure=exchange.services.exposure))


async def history_body(
    exchange: Exchange, name: str, found: ListVersionsResponse, given: dict[str, str] | None = None
) -> bytes:
    """Render a page of the history of what is named, that these parameters asked for."""
    versions = [await _whole(exchange, version) for version in found.versions]
    given = given or {}
    base = exchange.fhir_base()
    links: list[Link] = [("self", exchange.link(_url(base, name, given)))]
    if found.next_page_token:
        following = {"_count": given.get("_count", ""), "_page": found.next_page_token}
        links.append(("next", exchange.link(_url(base, name, following))))
    return history(base, versions, links, found.total if found.HasField("total") else None)


async def _answer(exchange: Exchange, name: str, request: ListVersionsRequest) -> Answer:
    given = _taken(exchange)
    no_parameters(exchange)
    services = exchange.services
    request.page_size = int(given.get("_count", 0))
    request.page_token = given.get("_page", "")
    request.since = given.get("_since", "")
    request.at = given.get("_at", "")
    request.max_bytes = services.settings.max_body
    found = await services.core.ListVersions(request, metadata=exchange.metadata, timeout=exchange.timeout)
    body = await history_body(exchange, name, found, given)
    return Answer(
        headers=[(b"content-type", exchange.media.content_type), (b"cache-control", b"private, no-cache")],
        body=exchange.media.render(body),
    )


def _taken(exchange: Exchange) -> dict[str, str]:
    """Take a history's parameters out of all. Raises Refused (400)."""
    taken: dict[str, str] = {}
    rest = []
    for name, value in exchange.parameters:
        if name not in _KNOWN:
            rest.append((name, value))
        elif name in taken:
            raise Refused(400, "invalid", f"{name} is given twice; give it once.")
        elif value:
            taken[name] = value
    exchange.parameters = rest
    if "_count" in taken and not _COUNT.fullmatch(taken["_count"]):
        raise Refused(400, "value", "_count is not a positive whole number.")
    return taken


async def _whole(exchange: Exchange, version: Resource) -> Resource:
    if version.json or version.deleted:
        return version
    return await fetched(exchange, version.name, version_of(version))


def _url(base: str, name: str, given: dict[str, str]) -> str:
    query = "&".join(f"{code}={quoted(given[code])}" for code in _KNOWN if given.get(code))
    return "/".join(part for part in (base, name, "_history") if part) + (f"?{query}" if query else "")
