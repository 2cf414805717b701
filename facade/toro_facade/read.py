"""FHIR read: https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from toro_facade.answer import Answer
from toro_facade.exchange import Exchange
from toro_facade.resource import no_parameters, resource_answer, stored

__all__ = ["read"]


async def read(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/{type}/{id}` with the current version, or 304 where the client has it."""
    no_parameters(exchange)
    return resource_answer(exchange, await stored(exchange))
