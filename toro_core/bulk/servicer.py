"""The RPCs of `toro.v1.ExportService`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from toro_core.bulk.exports import Exports
from toro_core.bulk.job import MEDIA_TYPES, File, FileKind, Job
from toro_core.interceptors import Call
from toro_core.rejections import InvalidArgument
from toro_core.v1 import (
    CancelExportRequest,
    CancelExportResponse,
    ExportFile,
    ExportFileKind,
    ExportState,
    FetchExportFileRequest,
    FetchExportFileResponse,
    GetExportRequest,
    GetExportResponse,
    Issue,
    IssueSeverity,
    StartExportRequest,
    StartExportResponse,
)

__all__ = ["ExportServicer"]

_KINDS: Final[dict[FileKind, ExportFileKind]] = {
    "output": ExportFileKind.EXPORT_FILE_KIND_OUTPUT,
    "deleted": ExportFileKind.EXPORT_FILE_KIND_DELETED,
    "error": ExportFileKind.EXPORT_FILE_KIND_ERROR,
}
_STATES: Final = {
    "running": ExportState.EXPORT_STATE_RUNNING,
    "complete": ExportState.EXPORT_STATE_COMPLETE,
    "failed": ExportState.EXPORT_STATE_FAILED,
}


class ExportServicer:
    """Answers the calls of the export service."""

    def __init__(self, exports: Exports) -> None:
        """Answer from these exports."""
        self._exports = exports

    async def StartExport(self, request: StartExportRequest, call: Call) -> StartExportResponse:
        """Begin an export."""
        job = await self._exports.start(call.known_caller(), request)
        return StartExportResponse(export_id=job.id)

    async def GetExport(self, request: GetExportRequest, call: Call) -> GetExportResponse:
        """Say how an export is."""
        look = await self._exports.look(call.known_caller(), request.export_id)
        job = look.job
        answer = GetExportResponse(
            state=_STATES[job.state],
            percent=look.percent,
            resources=look.resources,
            bytes=look.bytes,
            request_url=job.ask.url,
            requires_access_token=not look.urls,
            output_format=MEDIA_TYPES[job.ask.format],
            retry_after=look.retry_after,
        )
        answer.transaction_time.FromMilliseconds(job.at)
        if job.expires is not None:
            answer.expire_time.FromMilliseconds(job.expires)
        for file in job.files:
            answer.files.append(_file(file, look.urls.get(file.name, "")))
        if job.state == "failed":
            severity = IssueSeverity.ISSUE_SEVERITY_ERROR
            answer.issues.append(Issue(severity=severity, code="exception", diagnostics=job.failure))
        return answer

    async def CancelExport(self, request: CancelExportRequest, call: Call) -> CancelExportResponse:
        """Stop an export."""
        await self._exports.cancel(call.known_caller(), request.export_id)
        return CancelExportResponse()

    async def FetchExportFile(
        self, request: FetchExportFileRequest, call: Call
    ) -> AsyncIterator[FetchExportFileResponse]:
        """Read a file."""
        if request.offset < 0 or request.limit < 0:
            raise InvalidArgument("offset or limit is negative; leave it out or send a positive number.")
        job, file = await self._exports.file(call.known_caller(), request.export_id, request.name)
        return self._read(job, file, request)

    async def _read(
        self, job: Job, file: File, request: FetchExportFileRequest
    ) -> AsyncIterator[FetchExportFileResponse]:
        yield FetchExportFileResponse(file=_file(file, ""), media_type=MEDIA_TYPES[file.name.rpartition(".")[2]])
        if not request.only_describe:
            async for chunk in self._exports.content(job, file, request.offset, request.limit):
                yield FetchExportFileResponse(chunk=chunk)


def _file(file: File, url: str) -> ExportFile:
    return ExportFile(
        kind=_KINDS[file.kind], resource_type=file.type, name=file.name, count=file.count, size=file.size, url=url
    )
