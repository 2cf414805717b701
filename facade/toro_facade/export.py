"""Bulk Data kick-off: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-kick-off-request"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from toro_core.v1 import ExportLevel, Handling, Issue, IssueSeverity, StartExportRequest, TypeFilter
from toro_facade.answer import Answer
from toro_facade.body import read_resource
from toro_facade.exchange import Exchange
from toro_facade.headers import preferences
from toro_facade.outcome import Refused, outcome, outcome_answer
from toro_facade.query import Pair, parameter

__all__ = ["export_group", "export_patients", "export_system", "status_url"]

_LISTS: Final = {
    "_type": "types",
    "_elements": "elements",
    "includeAssociatedData": "associated_data",
    "patient": "patients",
}
_SINGLE: Final = {"_since": "since", "_until": "until", "_outputFormat": "output_format"}
_HANDLING: Final = {"strict": Handling.HANDLING_STRICT, "lenient": Handling.HANDLING_LENIENT}
_QUERY: Final = re.compile(r",(?=[A-Z][A-Za-z]*(?:\?|%3[fF]))")
"""Where one search of a `_typeFilter` ends and the next begins; other commas are the searches' own."""


async def export_system(exchange: Exchange) -> Answer:
    """Answer `$export` of everything with 202 and where to ask for the status."""
    return await _started(exchange, ExportLevel.EXPORT_LEVEL_SYSTEM)


async def export_patients(exchange: Exchange) -> Answer:
    """Answer `Patient/$export`."""
    return await _started(exchange, ExportLevel.EXPORT_LEVEL_PATIENT)


async def export_group(exchange: Exchange) -> Answer:
    """Answer `Group/{id}/$export`."""
    return await _started(exchange, ExportLevel.EXPORT_LEVEL_GROUP)


def status_url(exchange: Exchange, export_id: str) -> str:
    """Return the address of an export's status."""
    return f"{exchange.fhir_base()}/$export/{export_id}"


async def _started(exchange: Exchange, level: ExportLevel) -> Answer:
    posted = exchange.scope["method"] == "POST"
    given = [*exchange.parameters, *(await _posted(exchange) if posted else ())]
    handling = preferences(exchange.header(b"prefer")).get("handling", "")
    request = StartExportRequest(
        level=level,
        group=exchange.name if level == ExportLevel.EXPORT_LEVEL_GROUP else "",
        handling=_HANDLING.get(handling),
        exposed_types=exchange.services.policy.readable,
        request_url=_request_url(exchange, posted),
        base_url=exchange.fhir_base(),
    )
    for name, value in given:
        _take(request, name, value, posted)
    core = exchange.services.core
    answer = await core.StartExport(request, metadata=exchange.metadata, timeout=exchange.timeout)
    text = "The export has begun; ask the address in Content-Location how it is."
    told = Issue(severity=IssueSeverity.ISSUE_SEVERITY_INFORMATION, code="informational", diagnostics=text)
    location = status_url(exchange, answer.export_id).encode("ascii")
    return outcome_answer(outcome([told]), 202, exchange.media, [(b"content-location", location)])


def _take(request: StartExportRequest, name: str, value: str, posted: bool) -> None:
    if name == "patient" and not posted:
        request.unknown.append("patient (which goes with POST only)")
    elif name in _LISTS:
        getattr(request, _LISTS[name]).extend(part for part in value.split(",") if part)
    elif name in _SINGLE:
        if getattr(request, _SINGLE[name]) not in ("", value):
            raise Refused(400, "invalid", f"{name} is given twice; give it once.")
        setattr(request, _SINGLE[name], value)
    elif name == "_typeFilter":
        request.type_filters.extend(_filter(query) for query in _QUERY.split(value) if query)
    else:
        request.unknown.append(name[:64])


def _filter(query: str) -> TypeFilter:
    """Split a search such as `Observation?code=a%2Cb&status=final`, percent-encoded or not."""
    if "?" not in query:
        query = _decoded(query)
    resource_type, _, rest = query.partition("?")
    if not resource_type or not rest:
        raise Refused(400, "value", "_typeFilter has a part that is no search, as in Observation?status=final.")
    parts = [part.partition("=") for part in rest.split("&") if part]
    parameters = [parameter(_decoded(name), _decoded(value)) for name, _, value in parts]
    return TypeFilter(resource_type=resource_type, parameters=parameters)


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(400, "invalid", "_typeFilter is not UTF-8; percent-encode it as UTF-8.") from None


async def _posted(exchange: Exchange) -> Sequence[Pair]:
    """Read the parameters of a body; one without a body has them in its query."""
    if exchange.header(b"content-length") in ("", "0") and not exchange.header(b"transfer-encoding"):
        return ()
    try:
        body: Any = msgspec.json.decode(await read_resource(exchange))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        text = "The body is no JSON in UTF-8, or is nested too deep; send a Parameters resource."
        raise Refused(400, "structure", text) from None
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise Refused(400, "structure", "The body is no Parameters resource; send one.")
    listed = body.get("parameter", [])
    if not isinstance(listed, list) or not all(isinstance(part, dict) for part in listed):
        raise Refused(400, "structure", "Parameters.parameter is not a list of parameters; send one.")
    return [(str(part.get("name", "")), _value(part)) for part in listed]


def _value(part: dict[str, Any]) -> str:
    found = next((value for name, value in part.items() if name.startswith("value")), None)
    if isinstance(found, dict):
        found = found.get("reference")
    if not isinstance(found, str):
        name = str(part.get("name", ""))[:64]
        raise Refused(400, "value", f"Parameter {name} has no value that is a text or a reference; give it one.")
    return found


def _request_url(exchange: Exchange, posted: bool) -> str:
    path = str(exchange.scope["path"])
    query: bytes = exchange.scope["query_string"]
    return f"{exchange.base()}{path}" + ("" if posted or not query else f"?{query.decode('latin-1')}")
