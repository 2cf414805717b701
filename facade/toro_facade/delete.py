"""FHIR delete and conditional delete: https://hl7.org/fhir/R4/http.html#delete"""

from __future__ import annotations

from toro_core.v1 import DeleteResourceRequest, Issue, IssueSeverity
from toro_facade.answer import Answer
from toro_facade.exchange import Exchange
from toro_facade.headers import expected_version, preferences
from toro_facade.outcome import outcome, outcome_answer
from toro_facade.query import conditions
from toro_facade.resource import no_parameters

__all__ = ["conditional_delete", "delete"]


async def delete(exchange: Exchange) -> Answer:
    """Answer `DELETE /fhir/{type}/{id}` with 204, also where there was nothing to delete."""
    no_parameters(exchange)
    return await _deleted(exchange, DeleteResourceRequest(name=exchange.name))


async def conditional_delete(exchange: Exchange) -> Answer:
    """Answer `DELETE /fhir/{type}?…` with 204; several matches are deleted only where the settings allow it."""
    found = conditions(exchange.parameters)
    request = DeleteResourceRequest(name=exchange.resource_type, conditions=found)
    request.allow_multiple = exchange.services.settings.conditional_delete == "multiple"
    return await _deleted(exchange, request)


async def _deleted(exchange: Exchange, request: DeleteResourceRequest) -> Answer:
    request.etag = expected_version(exchange.header(b"if-match"))
    answer = await exchange.services.core.DeleteResource(request, metadata=exchange.metadata, timeout=exchange.timeout)
    gone = answer.deletions
    headers = [(b"etag", gone[0].etag.encode("ascii"))] if len(gone) == 1 else []
    if preferences(exchange.header(b"prefer")).get("return") != "OperationOutcome":
        return Answer(status=204, headers=headers)
    text = f"{len(gone)} resource{' was' if len(gone) == 1 else 's were'} deleted."
    issue = Issue(severity=IssueSeverity.ISSUE_SEVERITY_INFORMATION, code="informational", diagnostics=text)
    return outcome_answer(outcome([issue]), 200, exchange.media, headers)
