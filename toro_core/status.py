"""Errors to gRPC statuses: the one place in the core that knows which reason is which code."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Mapping
from typing import Final

from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from toro_core.channel import DETAILS
from toro_core.errors import Issue, Severity, ToroError
from toro_core.v1 import CallError, Issues, IssueSeverity, bare_error
from toro_core.v1 import Issue as IssueMessage

__all__ = ["CODES", "DETAILS_BY_DEFAULT", "call_error", "issue_message", "rich_status"]

_LOG: Final = logging.getLogger("toro.core")

CODES: Final[Mapping[str, StatusCode]] = {
    "ALREADY_EXISTS": StatusCode.ALREADY_EXISTS,
    "CONDITION_CHANGED": StatusCode.ABORTED,
    "DEADLINE_EXCEEDED": StatusCode.DEADLINE_EXCEEDED,
    "INSUFFICIENT_SCOPE": StatusCode.PERMISSION_DENIED,
    "INTERNAL": StatusCode.INTERNAL,
    "INCOMPLETE_DOCUMENT": StatusCode.FAILED_PRECONDITION,
    "INVALID_ARGUMENT": StatusCode.INVALID_ARGUMENT,
    "INVALID_BUNDLE": StatusCode.INVALID_ARGUMENT,
    "INVALID_CLIENT": StatusCode.UNAUTHENTICATED,
    "INVALID_EXPORT": StatusCode.INVALID_ARGUMENT,
    "INVALID_JSON": StatusCode.INVALID_ARGUMENT,
    "INVALID_OPERATION": StatusCode.INVALID_ARGUMENT,
    "INVALID_PAGE_TOKEN": StatusCode.INVALID_ARGUMENT,
    "INVALID_PATCH": StatusCode.INVALID_ARGUMENT,
    "INVALID_REQUEST": StatusCode.INVALID_ARGUMENT,
    "INVALID_RESOURCE": StatusCode.INVALID_ARGUMENT,
    "INVALID_SCOPE": StatusCode.INVALID_ARGUMENT,
    "INVALID_SEARCH": StatusCode.INVALID_ARGUMENT,
    "INVALID_TOKEN": StatusCode.UNAUTHENTICATED,
    "MULTIPLE_MATCHES": StatusCode.FAILED_PRECONDITION,
    "NOT_EXPOSED": StatusCode.FAILED_PRECONDITION,
    # Not UNAVAILABLE, which clients take as leave to repeat.
    "OUTCOME_UNKNOWN": StatusCode.DEADLINE_EXCEEDED,
    "PATCH_FAILED": StatusCode.FAILED_PRECONDITION,
    "REFERENCE_UNRESOLVED": StatusCode.FAILED_PRECONDITION,
    "RESOURCE_DELETED": StatusCode.NOT_FOUND,
    "RESOURCE_NOT_FOUND": StatusCode.NOT_FOUND,
    "RESOURCE_TOO_LARGE": StatusCode.OUT_OF_RANGE,
    "STATE_CONFLICT": StatusCode.ABORTED,
    "STILL_REFERENCED": StatusCode.FAILED_PRECONDITION,
    "STORAGE_DAMAGED": StatusCode.DATA_LOSS,
    "STORAGE_FULL": StatusCode.RESOURCE_EXHAUSTED,
    "STORAGE_UNAVAILABLE": StatusCode.UNAVAILABLE,
    "TARGET_MISSING": StatusCode.FAILED_PRECONDITION,
    "TOO_COSTLY": StatusCode.INVALID_ARGUMENT,
    "TOO_MANY_EXPORTS": StatusCode.RESOURCE_EXHAUSTED,
    "UNAUTHENTICATED": StatusCode.UNAUTHENTICATED,
    "UNKNOWN_OPERATION": StatusCode.UNIMPLEMENTED,
    "UNPROCESSABLE_RESOURCE": StatusCode.INVALID_ARGUMENT,
    "UNSUPPORTED": StatusCode.UNIMPLEMENTED,
    "UNSUPPORTED_TYPE": StatusCode.NOT_FOUND,
    "UPDATE_CREATE_NOT_ALLOWED": StatusCode.FAILED_PRECONDITION,
    "VERSION_CONFLICT": StatusCode.ABORTED,
}

_OPERATORS: Final = frozenset({"INTERNAL", "OUTCOME_UNKNOWN", "STORAGE_DAMAGED", "STORAGE_FULL", "STORAGE_UNAVAILABLE"})
"""Reasons that the operator has to hear of."""

DETAILS_BY_DEFAULT: Final = 5_000
"""Bytes of issues for callers that do not say what they take: with all else, less than the 8 KiB that every client takes."""
_MESSAGE: Final = 500
_FRAME: Final = 8

_SEVERITIES: Final[Mapping[Severity, IssueSeverity]] = {
    "fatal": IssueSeverity.ISSUE_SEVERITY_FATAL,
    "error": IssueSeverity.ISSUE_SEVERITY_ERROR,
    "warning": IssueSeverity.ISSUE_SEVERITY_WARNING,
    "information": IssueSeverity.ISSUE_SEVERITY_INFORMATION,
}


def call_error(error: Exception, request_id: str = "") -> CallError:
    """Say any error as a caller may see it; one that nobody foresaw is logged by its place and told by the request id alone."""
    if isinstance(error, CallError):
        return error
    if isinstance(error, ToroError) and error.reason in CODES:
        if error.reason in _OPERATORS:
            _log(error, request_id)
        scope = getattr(error, "scope", None)
        details = {"scope": str(scope)} if scope else {}
        issues = _fitting(map(issue_message, error.issues), DETAILS)
        return CallError(CODES[error.reason].name, error.reason, issues, details=details)
    if isinstance(error, TimeoutError):
        return bare_error("DEADLINE_EXCEEDED")
    _log(error, request_id)
    text = f"Internal error; the operator finds it in the log under request id {request_id or 'unknown'}."
    return CallError("INTERNAL", "INTERNAL", [IssueMessage(code="exception", diagnostics=text)])


def _log(error: Exception, request_id: str) -> None:
    """Log the kind and the place of an error, never its message, which may quote a resource."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-6:]))
    _LOG.error("%s at %s, request id %s", type(error).__name__, place, request_id or "unknown")


def issue_message(issue: Issue) -> IssueMessage:
    """Say an issue on the wire."""
    return IssueMessage(
        severity=_SEVERITIES[issue.severity],
        code=issue.code,
        diagnostics=issue.diagnostics,
        expressions=issue.expressions,
    )


def rich_status(error: CallError, max_details: int) -> Status:
    """Say a call error as google.rpc.Status with ErrorInfo and Issues, as `grpc-status-details-bin` carries it.

    Of the issues, as many as take up to `max_details` bytes.
    """
    info, issues = Any(), Any()
    info.Pack(ErrorInfo(reason=error.reason, domain="toro", metadata=error.details))
    issues.Pack(Issues(issues=_fitting(error.issues, max_details)))
    text = error.issues[0].diagnostics[:_MESSAGE] if error.issues else error.reason
    return Status(code=StatusCode[error.code].value[0], message=text, details=[info, issues])


def _fitting(issues: Iterable[IssueMessage], max_bytes: int) -> list[IssueMessage]:
    """Keep the first issues that fit, and say how many are left out; a refusal too large for its metadata is lost whole."""
    given, size = list(issues), 0
    for number, issue in enumerate(given):
        size += issue.ByteSize() + _FRAME
        if size > max_bytes:
            text = f"{len(given) - number} more issues are not listed; correct these and send the request again."
            note = IssueMessage(severity=_SEVERITIES["information"], code="incomplete", diagnostics=text)
            return [*given[:number], note]
    return given
