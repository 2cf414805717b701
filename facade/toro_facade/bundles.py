"""FHIR batch and transaction: https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from typing import Final

from toro_core.v1 import CommitBundleRequest, Content, Handling
from toro_facade.answer import Answer
from toro_facade.body import read_resource
from toro_facade.bundle_response import bundle_response
from toro_facade.exchange import Exchange
from toro_facade.headers import preferences
from toro_facade.resource import no_parameters

__all__ = ["bundles"]

_HANDLING: Final = {"strict": Handling.HANDLING_STRICT, "lenient": Handling.HANDLING_LENIENT}


async def bundles(exchange: Exchange) -> Answer:
    """Answer `POST /fhir` with what became of each entry; a transaction that fails is an error and has written nothing.

    Entries may do what the policy exposes, and nothing else.
    """
    no_parameters(exchange)
    settings = exchange.services.settings
    preferred = preferences(exchange.header(b"prefer"))
    wanted = preferred.get("return") == "representation"
    request = CommitBundleRequest(
        json=await read_resource(exchange),
        exposure=exchange.services.exposure,
        allow_missing=settings.update_create,
        allow_multiple=settings.conditional_delete == "multiple",
        content=Content.CONTENT_FULL if wanted else Content.CONTENT_UNSPECIFIED,
        handling=_HANDLING.get(preferred.get("handling", "")),
        max_bytes=settings.max_body,
    )
    core = exchange.services.core
    answer = await core.CommitBundle(request, metadata=exchange.metadata, timeout=exchange.timeout)
    body = await bundle_response(exchange, answer, with_resources=wanted)
    return Answer(
        headers=[(b"content-type", exchange.media.content_type), (b"cache-control", b"private, no-cache")],
        body=exchange.media.render(body),
    )
