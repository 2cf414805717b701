"""FHIR update and conditional update: https://hl7.org/fhir/R4/http.html#update"""

from __future__ import annotations

from toro_core.v1 import UpdateResourceRequest
from toro_facade.answer import Answer
from toro_facade.body import read_resource
from toro_facade.exchange import Exchange
from toro_facade.headers import excluded_versions, expected_version
from toro_facade.query import conditions
from toro_facade.resource import no_parameters
from toro_facade.write import content_wanted, written_answer

__all__ = ["conditional_update", "update", "update_of"]


async def update(exchange: Exchange) -> Answer:
    """Answer `PUT /fhir/{type}/{id}` with the new version; If-Match guards against a lost update.

    If-None-Match: * only creates.
    """
    no_parameters(exchange)
    return await _updated(exchange, UpdateResourceRequest(name=exchange.name))


async def update_of(exchange: Exchange, json: bytes) -> Answer:
    """Answer with what becomes of the resource the path names, given its new content."""
    return await _updated(exchange, UpdateResourceRequest(name=exchange.name, json=json))


async def conditional_update(exchange: Exchange) -> Answer:
    """Answer `PUT /fhir/{type}?…`: update the one resource that matches, or create one where none does."""
    found = conditions(exchange.parameters)
    return await _updated(exchange, UpdateResourceRequest(name=exchange.resource_type, conditions=found))


async def _updated(exchange: Exchange, request: UpdateResourceRequest) -> Answer:
    request.etag = expected_version(exchange.header(b"if-match"))
    request.none_match = excluded_versions(exchange.header(b"if-none-match"))
    request.allow_missing = exchange.services.settings.update_create
    if not request.json:
        request.json = await read_resource(exchange)
    request.content = content_wanted(exchange)
    answer = await exchange.services.core.UpdateResource(request, metadata=exchange.metadata, timeout=exchange.timeout)
    return written_answer(exchange, answer.resource, created=answer.created, issues=answer.issues)
