"""Errors to HTTP: the one place that knows which reason is which status. https://hl7.org/fhir/R4/http.html#Status-Codes"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from toro_core.v1 import CallError, Issue, IssueSeverity
from toro_facade.answer import Answer, Header
from toro_facade.media import FHIR_JSON, Media

__all__ = ["STATUSES", "Refused", "call_answer", "outcome", "outcome_answer", "refusal_answer", "status_of"]

STATUSES: Final[Mapping[str, int]] = {
    "ALREADY_EXISTS": 409,
    "CANCELLED": 503,
    "CONDITION_CHANGED": 409,
    "DEADLINE_EXCEEDED": 504,
    "INCOMPLETE_DOCUMENT": 422,
    "INSUFFICIENT_SCOPE": 403,
    "INTERNAL": 500,
    "INVALID_ARGUMENT": 400,
    "INVALID_BUNDLE": 400,
    "INVALID_CLIENT": 401,
    "INVALID_EXPORT": 400,
    "INVALID_GRANT": 400,
    "INVALID_JSON": 400,
    "INVALID_OPERATION": 400,
    "INVALID_PAGE_TOKEN": 400,
    "INVALID_PATCH": 400,
    "INVALID_REQUEST": 400,
    "INVALID_RESOURCE": 400,
    "INVALID_SCOPE": 400,
    "INVALID_SEARCH": 400,
    "INVALID_TOKEN": 401,
    "MULTIPLE_MATCHES": 412,
    "NOT_EXPOSED": 405,
    "OUTCOME_UNKNOWN": 504,
    "PATCH_FAILED": 422,
    "REFERENCE_UNRESOLVED": 412,
    "RESOURCE_DELETED": 410,
    "RESOURCE_NOT_FOUND": 404,
    "RESOURCE_TOO_LARGE": 413,
    "STATE_CONFLICT": 409,
    "STILL_REFERENCED": 409,
    "STORAGE_DAMAGED": 500,
    "STORAGE_FULL": 507,
    "STORAGE_UNAVAILABLE": 503,
    "TARGET_MISSING": 422,
    "TOO_COSTLY": 400,
    "TOO_MANY_EXPORTS": 429,
    "UNAUTHENTICATED": 401,
    "UNKNOWN_OPERATION": 404,
    "UNPROCESSABLE_RESOURCE": 422,
    "UNSUPPORTED": 501,
    "UNSUPPORTED_TYPE": 404,
    "UPDATE_CREATE_NOT_ALLOWED": 405,
    "VERSION_CONFLICT": 412,
}
"""HTTP status by ErrorInfo.reason."""

_CODES: Final[Mapping[str, int]] = {
    "CANCELLED": 503,
    "DEADLINE_EXCEEDED": 504,
    "RESOURCE_EXHAUSTED": 413,
    "UNAUTHENTICATED": 401,
    "UNAVAILABLE": 503,
    "UNIMPLEMENTED": 501,
}
"""HTTP status by gRPC code, for failures of the connection itself, which carry no reason of Toro's."""

_ISSUE_CODES: Final[Mapping[int, str]] = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "conflict",
    413: "too-long",
    422: "processing",
    501: "not-supported",
    503: "transient",
    504: "timeout",
    507: "no-store",
}

_SEVERITIES: Final[Mapping[IssueSeverity, str]] = {
    IssueSeverity.ISSUE_SEVERITY_FATAL: "fatal",
    IssueSeverity.ISSUE_SEVERITY_WARNING: "warning",
    IssueSeverity.ISSUE_SEVERITY_INFORMATION: "information",
}

_RETRY_AFTER: Final[Header] = (b"retry-after", b"2")


class Refused(Exception):
    """The facade refuses a request by itself: status, issue type, what to say, and headers that go with it."""

    def __init__(
        self, status: int, code: str, diagnostics: str, headers: tuple[Header, ...] = (), more: Sequence[Issue] = ()
    ) -> None:
        """Carry what the answer says, and `more` of it; `code` is of http://hl7.org/fhir/issue-type."""
        super().__init__(diagnostics)
        self.status = status
        self.code = code
        self.diagnostics = diagnostics
        self.headers = headers
        self.more = more


def status_of(error: CallError) -> int:
    """Return the HTTP status of a failed call: by its reason, else by its gRPC code."""
    return STATUSES.get(error.reason) or _CODES.get(error.code, 500)


def call_answer(error: CallError, *, token_sent: bool, request_id: str, media: Media) -> Answer:
    """Answer with a failed call's issues, and a challenge where it is about the token (RFC 6750, section 3)."""
    status = status_of(error)
    issues = error.issues or (
        Issue(code=_ISSUE_CODES.get(status, "exception"), diagnostics=_silent(status, request_id)),
    )
    headers: list[Header] = []
    if status in (401, 403):
        headers.append((b"www-authenticate", _challenge(error, status, token_sent).encode("ascii", "replace")))
    elif status in (429, 503):
        headers.append(_RETRY_AFTER)
    elif status == 405:
        headers.append((b"allow", b"POST" if error.reason == "NOT_EXPOSED" else b"GET, HEAD"))
    return outcome_answer(outcome(issues), status, media, headers)


def refusal_answer(error: Refused, media: Media) -> Answer:
    """Answer with what the facade refused."""
    body = outcome([Issue(code=error.code, diagnostics=error.diagnostics), *error.more])
    return outcome_answer(body, error.status, media, list(error.headers))


def outcome_answer(body: bytes, status: int, media: Media = FHIR_JSON, headers: list[Header] | None = None) -> Answer:
    """Answer with an OperationOutcome in the media type the client takes."""
    return Answer(
        status=status, body=media.render(body), headers=[(b"content-type", media.content_type), *(headers or ())]
    )


def outcome(issues: Iterable[Issue]) -> bytes:
    """Render an OperationOutcome: https://hl7.org/fhir/R4/operationoutcome.html"""
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]})


def _issue(issue: Issue) -> dict[str, object]:
    rendered: dict[str, object] = {
        "severity": _SEVERITIES.get(issue.severity, "error"),
        "code": issue.code or "processing",
    }
    if issue.diagnostics:
        rendered["diagnostics"] = issue.diagnostics
    if issue.expressions:
        rendered["expression"] = list(issue.expressions)
    return rendered


def _challenge(error: CallError, status: int, token_sent: bool) -> str:
    if status == 403:
        scope = error.details.get("scope", "")
        named = f', scope="{_quotable(scope)}"' if scope else ""
        return f'Bearer realm="toro", error="insufficient_scope"{named}'
    if not token_sent:
        return 'Bearer realm="toro"'
    text = _quotable(error.issues[0].diagnostics) if error.issues else "The access token is not valid; get a new one."
    return f'Bearer realm="toro", error="invalid_token", error_description="{text}"'


def _quotable(text: str) -> str:
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)


def _silent(status: int, request_id: str) -> str:
    if status == 503:
        return "The server cannot be reached at the moment; try again."
    return f"The request failed; the operator finds it in the log under request id {request_id}."
