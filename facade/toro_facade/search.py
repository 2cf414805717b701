"""FHIR search, in a type, a patient's compartment or several types: https://hl7.org/fhir/R4/http.html#search"""

from __future__ import annotations

from toro_core.v1 import Handling, SearchEntry, SearchResourcesRequest, SearchResourcesResponse
from toro_facade.answer import Answer
from toro_facade.body import read_form
from toro_facade.bundle import Link, searchset
from toro_facade.exchange import Exchange
from toro_facade.headers import preferences
from toro_facade.outcome import Refused
from toro_facade.query import Pair, joined, pairs, parameter, quoted
from toro_facade.resource import fetched

__all__ = [
    "search",
    "search_by_form",
    "search_compartment",
    "search_system",
    "search_system_by_form",
    "searchset_body",
]

_FORM_LIMIT = 1 << 20
_HANDLING = {"strict": Handling.HANDLING_STRICT, "lenient": Handling.HANDLING_LENIENT}


async def search(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/{type}` with a page of what matches."""
    return await _answered(exchange, exchange.parameters)


async def search_by_form(exchange: Exchange) -> Answer:
    """Answer `POST /fhir/{type}/_search`, whose form and URL both hold parameters."""
    form = exchange.take_format(pairs(await read_form(exchange, _FORM_LIMIT)))
    return await _answered(exchange, exchange.parameters + form)


async def search_system(exchange: Exchange) -> Answer:
    """Answer `GET /fhir?_type=…` with a page of what matches, one type after the other."""
    return await _answered(exchange, exchange.parameters)


async def search_system_by_form(exchange: Exchange) -> Answer:
    """Answer `POST /fhir/_search`."""
    return await search_by_form(exchange)


async def search_compartment(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/Patient/{id}/{type}`, and with `*` for all types: https://hl7.org/fhir/R4/http.html#vsearch"""
    return await _answered(exchange, exchange.parameters)


async def _answered(exchange: Exchange, given: list[Pair]) -> Answer:
    services = exchange.services
    request = _request(exchange, given)
    found = await services.core.SearchResources(request, metadata=exchange.metadata, timeout=exchange.timeout)
    body = await searchset_body(exchange, _url(exchange, exchange.fhir_base()), found)
    return Answer(
        headers=[(b"content-type", exchange.media.content_type), (b"cache-control", b"private, no-cache")],
        body=exchange.media.render(body),
    )


async def searchset_body(exchange: Exchange, url: str, found: SearchResourcesResponse) -> bytes:
    """Render a page of the search that was made at this URL, which is without its query."""
    entries = [entry if entry.resource.json else await _whole(exchange, entry) for entry in found.entries]
    total = found.total if found.HasField("total") else None
    return searchset(exchange.fhir_base(), entries, _links(exchange, url, found), total, found.issues)


def _request(exchange: Exchange, given: list[Pair]) -> SearchResourcesRequest:
    request = SearchResourcesRequest(
        resource_type=exchange.resource_type,
        handling=_HANDLING.get(preferences(exchange.header(b"prefer")).get("handling", "")),
        max_bytes=exchange.services.settings.max_body,
        exposure=exchange.services.exposure,
        compartment=exchange.compartment,
    )
    if any(name == "_page" for name, _ in given):
        if len(given) > 1 or not given[0][1]:
            raise Refused(400, "invalid", "_page comes alone: use the next link as it is.")
        request.page_token = given[0][1]
    else:
        request.parameters.extend(parameter(name, value) for name, value in given)
    return request


async def _whole(exchange: Exchange, entry: SearchEntry) -> SearchEntry:
    """Get what the core left out of a page for its size."""
    return SearchEntry(resource=await fetched(exchange, entry.resource.name, ""), mode=entry.mode)


def _url(exchange: Exchange, base: str) -> str:
    """Return the URL without its query; a form is sent to the same one with `_search` after it."""
    if exchange.compartment:
        return f"{base}/{exchange.compartment}/{exchange.resource_type or '*'}"
    return f"{base}/{exchange.resource_type}" if exchange.resource_type else base


def _links(exchange: Exchange, url: str, found: SearchResourcesResponse) -> list[Link]:
    applied = "&".join(joined(parameter) for parameter in found.applied)
    start = exchange.link(f"{url}?{applied}" if applied else url)
    links: list[Link] = [("self", start), ("first", start)]
    if found.previous_page_token:
        links.append(("previous", exchange.link(f"{url}?_page={quoted(found.previous_page_token)}")))
    if found.next_page_token:
        links.append(("next", exchange.link(f"{url}?_page={quoted(found.next_page_token)}")))
    return links
