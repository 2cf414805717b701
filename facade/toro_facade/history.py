"""FHIR history of one resource: https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import re

from toro_core.v1 import ListVersionsRequest, ListVersionsResponse, Resource
from toro_facade.answer import Answer
from toro_facade.bundle import Link, history, version_of
from toro_facade.exchange import Exchange
from toro_facade.outcome import Refused
from toro_facade.query import quoted
from toro_facade.resource import fetched, no_parameters

__all__ = ["history_body", "instance_history"]

_COUNT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


async def instance_history(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/{type}/{id}/_history` with a page of the versions, newest first."""
    count, page = _paging(exchange)
    no_parameters(exchange)
    services = exchange.services
    request = ListVersionsRequest(
        name=exchange.name, page_size=count, page_token=page, max_bytes=services.settings.max_body
    )
    found = await services.core.ListVersions(request, metadata=exchange.metadata, timeout=exchange.timeout)
    body = await history_body(exchange, exchange.name, found, count=count, page=page)
    return Answer(
        headers=[(b"content-type", exchange.media.content_type), (b"cache-control", b"private, no-cache")],
        body=exchange.media.render(body),
    )


async def history_body(
    exchange: Exchange, name: str, found: ListVersionsResponse, *, count: int = 0, page: str = ""
) -> bytes:
    """Render a page of a history."""
    versions = [await _whole(exchange, version) for version in found.versions]
    base = exchange.fhir_base()
    links: list[Link] = [("self", _url(base, name, count, page))]
    if found.next_page_token:
        links.append(("next", _url(base, name, count, found.next_page_token)))
    return history(base, versions, links, found.total if found.HasField("total") else None)


def _paging(exchange: Exchange) -> tuple[int, str]:
    """Take `_count` and `_page` out of the parameters; 0 and empty where they are not given."""
    paging = {"_count": "", "_page": ""}
    rest = []
    for name, value in exchange.parameters:
        if name not in paging:
            rest.append((name, value))
        elif paging[name]:
            raise Refused(400, "invalid", f"{name} is given twice; give it once.")
        else:
            paging[name] = value
    exchange.parameters = rest
    count = paging["_count"]
    if count and not _COUNT.fullmatch(count):
        raise Refused(400, "value", "_count is not a positive whole number.")
    return int(count or 0), paging["_page"]


async def _whole(exchange: Exchange, version: Resource) -> Resource:
    if version.json or version.deleted:
        return version
    return await fetched(exchange, version.name, version_of(version))


def _url(base: str, name: str, count: int, page: str) -> str:
    query = "&".join(
        part for part in (f"_count={count}" if count else "", f"_page={quoted(page)}" if page else "") if part
    )
    return f"{base}/{name}/_history" + (f"?{query}" if query else "")
