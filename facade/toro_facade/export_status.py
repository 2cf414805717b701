"""Bulk Data status and delete: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request"""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

import msgspec

from toro_core.v1 import (
    CancelExportRequest,
    ExportFile,
    ExportFileKind,
    ExportState,
    GetExportRequest,
    GetExportResponse,
    Issue,
    IssueSeverity,
)
from toro_facade.answer import Answer, Header
from toro_facade.exchange import Exchange
from toro_facade.export import status_url
from toro_facade.headers import http_date
from toro_facade.outcome import outcome, outcome_answer

__all__ = ["cancel_export", "export_status"]

_MEMBERS: Final = (
    ("output", ExportFileKind.EXPORT_FILE_KIND_OUTPUT),
    ("deleted", ExportFileKind.EXPORT_FILE_KIND_DELETED),
    ("error", ExportFileKind.EXPORT_FILE_KIND_ERROR),
)
_FRESH: Final[Header] = (b"cache-control", b"no-store")


async def export_status(exchange: Exchange) -> Answer:
    """Answer with 202 while the export runs, then with its manifest, or why it failed."""
    request = GetExportRequest(export_id=exchange.resource_id)
    core = exchange.services.core
    found = await core.GetExport(request, metadata=exchange.metadata, timeout=exchange.timeout)
    if found.state == ExportState.EXPORT_STATE_RUNNING:
        progress = f"{found.percent}% done, {found.resources} resources, {found.bytes} bytes"
        headers: list[Header] = [
            (b"x-progress", progress.encode("ascii")),
            (b"retry-after", str(found.retry_after).encode("ascii")),
            _FRESH,
        ]
        return Answer(status=202, headers=headers)
    expires = (b"expires", http_date(found.expire_time.seconds))
    if found.state == ExportState.EXPORT_STATE_FAILED:
        return outcome_answer(outcome(found.issues), 500, headers=[expires, _FRESH])
    body = msgspec.json.encode(_manifest(exchange, found))
    return Answer(headers=[(b"content-type", b"application/json"), expires, _FRESH], body=body)


async def cancel_export(exchange: Exchange) -> Answer:
    """Answer the end of an export, complete or not, with 202."""
    request = CancelExportRequest(export_id=exchange.resource_id)
    await exchange.services.core.CancelExport(request, metadata=exchange.metadata, timeout=exchange.timeout)
    text = "The export has ended and its files are gone."
    told = Issue(severity=IssueSeverity.ISSUE_SEVERITY_INFORMATION, code="informational", diagnostics=text)
    return outcome_answer(outcome([told]), 202)


def _manifest(exchange: Exchange, found: GetExportResponse) -> dict[str, Any]:
    base = status_url(exchange, exchange.resource_id)
    moment = found.transaction_time.ToDatetime(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lists = {name: [_item(base, file) for file in found.files if file.kind == kind] for name, kind in _MEMBERS}
    return {
        "transactionTime": moment,
        "request": found.request_url,
        "requiresAccessToken": found.requires_access_token,
        **lists,
    }


def _item(base: str, file: ExportFile) -> dict[str, Any]:
    return {"type": file.resource_type, "url": file.url or f"{base}/{file.name}", "count": file.count}
