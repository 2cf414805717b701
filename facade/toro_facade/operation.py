"""FHIR operations, each answered by the core: https://hl7.org/fhir/R4/operations.html"""

from __future__ import annotations

from toro_core.v1 import Handling, InvokeOperationRequest
from toro_facade.answer import Answer, Header
from toro_facade.body import read_optional
from toro_facade.bundle import version_of
from toro_facade.exchange import Exchange
from toro_facade.headers import preferences
from toro_facade.outcome import Refused
from toro_facade.search import searchset_body

__all__ = ["Invoke"]

_HANDLING = {"strict": Handling.HANDLING_STRICT, "lenient": Handling.HANDLING_LENIENT}


class Invoke:
    """Answers `GET` and `POST` of one operation, on the system, a type or a resource."""

    def __init__(self, code: str) -> None:
        """Invoke the operation of this code."""
        self._code = code

    async def __call__(self, exchange: Exchange) -> Answer:
        """Answer with what the operation returns: a Bundle, where that are resources page by page."""
        core, base = exchange.services.core, exchange.fhir_base()
        request = await self._request(exchange)
        found = await core.InvokeOperation(request, metadata=exchange.metadata, timeout=exchange.timeout)
        headers: list[Header] = [
            (b"content-type", exchange.media.content_type),
            (b"cache-control", b"private, no-cache"),
        ]
        if found.HasField("stored"):
            url = f"{base}/{found.stored.name}/_history/{version_of(found.stored)}"
            headers.append((b"location", url.encode("ascii")))
        if found.WhichOneof("result") == "page":
            invoked = request.name or request.resource_type
            path = f"{base}/{invoked}" if invoked else base
            body = await searchset_body(exchange, f"{path}/${self._code}", found.page)
        else:
            body = found.json
        return Answer(headers=headers, body=exchange.media.render(body))

    async def _request(self, exchange: Exchange) -> InvokeOperationRequest:
        request = InvokeOperationRequest(
            operation=self._code,
            name=exchange.name if exchange.resource_id else "",
            resource_type="" if exchange.resource_id else exchange.resource_type,
            parameters=await read_optional(exchange) if exchange.scope["method"] == "POST" else b"",
            exposure=exchange.services.exposure,
            base_url=exchange.fhir_base(),
            max_bytes=exchange.services.settings.max_body,
            handling=_HANDLING.get(preferences(exchange.header(b"prefer")).get("handling", "")),
        )
        for name, value in exchange.parameters:
            if name != "_page":
                request.arguments.add(name=name, value=value)
            elif len(exchange.parameters) > 1 or not value:
                raise Refused(400, "invalid", "_page comes alone: use the next link as it is.")
            else:
                request.page_token = value
        return request
