"""The answer to a batch or transaction, joined from bytes. https://hl7.org/fhir/R4/http.html#transaction-response"""

from __future__ import annotations

from datetime import UTC
from http import HTTPStatus
from typing import Final

import msgspec

from toro_core.v1 import (
    CallError,
    CommitBundleResponse,
    EntryOutcome,
    EntryResult,
    Interaction,
    Resource,
)
from toro_facade.bundle import version_of
from toro_facade.exchange import Exchange
from toro_facade.headers import preferences
from toro_facade.history import history_body
from toro_facade.outcome import outcome, status_of
from toro_facade.resource import fetched
from toro_facade.search import searchset_body
from toro_facade.write import stored_issue

__all__ = ["bundle_response"]

_STATUSES: Final = {
    EntryOutcome.ENTRY_OUTCOME_CREATED: 201,
    EntryOutcome.ENTRY_OUTCOME_UPDATED: 200,
    EntryOutcome.ENTRY_OUTCOME_FOUND: 200,
    EntryOutcome.ENTRY_OUTCOME_DELETED: 204,
    EntryOutcome.ENTRY_OUTCOME_READ: 200,
    EntryOutcome.ENTRY_OUTCOME_NOT_MODIFIED: 304,
}
_WRITTEN: Final = (
    EntryOutcome.ENTRY_OUTCOME_CREATED,
    EntryOutcome.ENTRY_OUTCOME_UPDATED,
    EntryOutcome.ENTRY_OUTCOME_FOUND,
)


async def bundle_response(exchange: Exchange, answer: CommitBundleResponse, *, with_resources: bool) -> bytes:
    """Render what became of each entry, in their order."""
    kind = b"transaction" if answer.interaction == Interaction.INTERACTION_TRANSACTION else b"batch"
    entries = [await _entry(exchange, result, with_resources=with_resources) for result in answer.results]
    listed = b',"entry":[' + b",".join(entries) + b"]" if entries else b""
    return b'{"resourceType":"Bundle","type":"' + kind + b'-response"' + listed + b"}"


async def _entry(exchange: Exchange, result: EntryResult, *, with_resources: bool) -> bytes:
    base = exchange.fhir_base()
    status = _STATUSES.get(result.outcome, 200)
    match result.WhichOneof("result"):
        case "search":
            body = await searchset_body(exchange, f"{exchange.fhir_base()}/{result.name}", result.search)
            return _joined("", body, {"status": _status(status)})
        case "versions":
            body = await history_body(exchange, result.name, result.versions)
            return _joined("", body, {"status": _status(status)})
        case "failure":
            failure = result.failure
            error = CallError(failure.code, failure.reason, failure.issues)
            return _joined("", b"", {"status": _status(status_of(error))}, outcome(error.issues))
        case "resource":
            resource = result.resource
            response = {"status": _status(status), "etag": resource.etag, "lastModified": _instant(resource)}
            written = result.outcome in _WRITTEN
            if written:
                response["location"] = f"{base}/{resource.name}/_history/{version_of(resource)}"
            if with_resources and not resource.json and resource.size:
                resource = await fetched(exchange, resource.name, version_of(resource))
            full_url = "" if resource.deleted else f"{base}/{resource.name}"
            said = outcome([stored_issue(resource), *result.issues]) if written and _wants_outcome(exchange) else b""
            return _joined(full_url, resource.json, response, said)
    return _joined("", b"", {"status": _status(status)})


def _joined(full_url: str, resource: bytes, response: dict[str, str], said: bytes = b"") -> bytes:
    parts = []
    if full_url:
        parts.append(b'"fullUrl":' + msgspec.json.encode(full_url))
    if resource:
        parts.append(b'"resource":' + resource)
    rendered = msgspec.json.encode(response)
    if said:
        rendered = rendered[:-1] + b',"outcome":' + said + b"}"
    parts.append(b'"response":' + rendered)
    return b"{" + b",".join(parts) + b"}"


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _instant(resource: Resource) -> str:
    return resource.update_time.ToDatetime(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _wants_outcome(exchange: Exchange) -> bool:
    return preferences(exchange.header(b"prefer")).get("return") == "OperationOutcome"
