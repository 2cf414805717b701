"""FHIR patch and conditional patch: https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from typing import Final

from toro_core.v1 import PatchFormat, PatchResourceRequest
from toro_facade.answer import Answer
from toro_facade.body import read_body, read_resource
from toro_facade.exchange import Exchange, Services
from toro_facade.headers import expected_version
from toro_facade.media import is_json_body, is_xml_body
from toro_facade.outcome import Refused
from toro_facade.query import conditions
from toro_facade.resource import no_parameters
from toro_facade.write import content_wanted, written_answer

__all__ = ["conditional_patch", "patch", "patch_formats"]

_FORMATS: Final = ("application/json-patch+json", "application/fhir+json")
"""Media types of a JSON Patch and of a FHIRPath Patch."""


def patch_formats(services: Services) -> tuple[str, ...]:
    """Return the media types of patches."""
    return (*_FORMATS, "application/fhir+xml") if services.xml else _FORMATS


async def patch(exchange: Exchange) -> Answer:
    """Answer `PATCH /fhir/{type}/{id}` with the new version."""
    no_parameters(exchange)
    return await _patched(exchange, PatchResourceRequest(name=exchange.name))


async def conditional_patch(exchange: Exchange) -> Answer:
    """Answer `PATCH /fhir/{type}?…` with the new version of the one resource that matches."""
    found = conditions(exchange.parameters)
    return await _patched(exchange, PatchResourceRequest(name=exchange.resource_type, conditions=found))


async def _patched(exchange: Exchange, request: PatchResourceRequest) -> Answer:
    request.etag = expected_version(exchange.header(b"if-match"))
    request.content = content_wanted(exchange)
    content_type = exchange.header(b"content-type")
    if exchange.services.xml is not None and is_xml_body(content_type):
        request.patch = await read_resource(exchange)
        request.format = PatchFormat.PATCH_FORMAT_FHIRPATH
    else:
        request.patch = await read_body(exchange, exchange.services.settings.max_body)
        request.format = _format(exchange.services, content_type, request.patch)
    answer = await exchange.services.core.PatchResource(request, metadata=exchange.metadata, timeout=exchange.timeout)
    return written_answer(exchange, answer.resource, created=False, issues=answer.issues)


def _format(services: Services, content_type: str, body: bytes) -> PatchFormat:
    """Go by the media type; where that is only JSON, an array is a JSON Patch. Raises Refused (415)."""
    if content_type.partition(";")[0].strip().lower() == _FORMATS[0]:
        return PatchFormat.PATCH_FORMAT_JSON
    first = body.lstrip(b" \t\r\n")[:1]
    if not is_json_body(content_type, sniffed=first in (b"{", b"[")):
        text = "The body is no patch this server takes: send application/json-patch+json, or Parameters as application/fhir+json."
        formats = ", ".join(patch_formats(services)).encode("ascii")
        raise Refused(415, "not-supported", text, ((b"accept-patch", formats),))
    return PatchFormat.PATCH_FORMAT_JSON if first == b"[" else PatchFormat.PATCH_FORMAT_FHIRPATH
