"""Between HTTP and XML: a large body is translated on a thread, so that other requests go on."""

from __future__ import annotations

import asyncio
from typing import Final

from toro_core.v1 import CallError, GetResourceRequest, Issue
from toro_core.xml import InvalidXml, NoXml, Xml
from toro_facade.answer import Answer
from toro_facade.exchange import Exchange
from toro_facade.media import FHIR_JSON, Media
from toro_facade.outcome import Refused, outcome, outcome_answer

__all__ = ["in_xml", "json_of"]

_LARGE: Final = 64 << 10


async def json_of(exchange: Exchange, xml: Xml, body: bytes) -> bytes:
    """Translate a body that came in XML. Raises Refused (400), and CallError where much is sent with a bad token."""
    try:
        if len(body) <= _LARGE:
            return xml.to_json(body)
        await _known(exchange)
        return await asyncio.to_thread(xml.to_json, body)
    except InvalidXml as error:
        first, *rest = error.issues
        more = [Issue(code=issue.code, diagnostics=issue.diagnostics) for issue in rest]
        raise Refused(400, first.code, first.diagnostics, more=more) from None


async def in_xml(xml: Xml, answer: Answer, media: Media) -> Answer:
    """Translate an answer in FHIR JSON, or say that it has no XML (406)."""
    if not answer.body or (b"content-type", media.content_type) not in answer.headers:
        return answer
    try:
        if len(answer.body) > _LARGE:
            answer.body = await asyncio.to_thread(xml.to_xml, answer.body, pretty=media.pretty)
        else:
            answer.body = xml.to_xml(answer.body, pretty=media.pretty)
    except NoXml as error:
        return outcome_answer(outcome([Issue(code="not-supported", diagnostics=str(error))]), 406, FHIR_JSON)
    return answer


async def _known(exchange: Exchange) -> None:
    """Have the core look at the token, which it does before it finds that nothing is asked. Raises CallError (401)."""
    try:
        await exchange.services.core.GetResource(
            GetResourceRequest(), metadata=exchange.metadata, timeout=exchange.timeout
        )
    except CallError as error:
        if error.code not in ("INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"):
            raise
