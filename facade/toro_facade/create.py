"""FHIR create: https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from toro_core.v1 import CreateResourceRequest, SearchParameter
from toro_facade.answer import Answer
from toro_facade.body import read_resource
from toro_facade.exchange import Exchange
from toro_facade.query import conditions, pairs
from toro_facade.resource import no_parameters
from toro_facade.write import content_wanted, written_answer

__all__ = ["create", "create_of"]


async def create(exchange: Exchange) -> Answer:
    """Answer `POST /fhir/{type}` with 201 and where the new resource is, or 200 and the one that If-None-Exist finds."""
    no_parameters(exchange)
    return await create_of(exchange, await read_resource(exchange))


async def create_of(exchange: Exchange, json: bytes) -> Answer:
    """Answer with what becomes of this resource."""
    request = CreateResourceRequest(
        resource_type=exchange.resource_type,
        json=json,
        content=content_wanted(exchange),
        conditions=_conditions(exchange),
    )
    answer = await exchange.services.core.CreateResource(request, metadata=exchange.metadata, timeout=exchange.timeout)
    return written_answer(exchange, answer.resource, created=answer.created, issues=answer.issues)


def _conditions(exchange: Exchange) -> list[SearchParameter]:
    search = exchange.headers.get(b"if-none-exist")
    return [] if search is None else conditions(pairs(search.strip().removeprefix(b"?")))
