"""FHIR vread: https://hl7.org/fhir/R4/http.html#vread"""

from __future__ import annotations

from toro_facade.answer import Answer
from toro_facade.exchange import Exchange
from toro_facade.resource import no_parameters, resource_answer, stored

__all__ = ["vread"]


async def vread(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/{type}/{id}/_history/{vid}` with that version."""
    no_parameters(exchange)
    return resource_answer(exchange, await stored(exchange))
