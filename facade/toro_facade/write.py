"""What create and update share: how much a client wants back. https://hl7.org/fhir/R4/http.html#ops"""

from __future__ import annotations

from collections.abc import Sequence

from toro_core.v1 import Content, Issue, IssueSeverity, Resource
from toro_facade.answer import Answer, Header
from toro_facade.bundle import version_of
from toro_facade.exchange import Exchange
from toro_facade.headers import preferences
from toro_facade.outcome import outcome
from toro_facade.resource import version_headers

__all__ = ["content_wanted", "stored_issue", "written_answer"]


def content_wanted(exchange: Exchange) -> Content:
    """Ask the core for the resource only where the client wants it back."""
    return Content.CONTENT_FULL if _wanted(exchange) == "representation" else Content.CONTENT_UNSPECIFIED


def written_answer(exchange: Exchange, resource: Resource, *, created: bool, issues: Sequence[Issue] = ()) -> Answer:
    """Answer a write with the version stored, an OperationOutcome or nothing, as `Prefer: return` says.

    `issues`, which validation left, are part of the OperationOutcome.
    """
    version_url = f"{exchange.fhir_base()}/{resource.name}/_history/{version_of(resource)}"
    headers: list[Header] = [*version_headers(resource), (b"location", version_url.encode("ascii"))]
    status = 201 if created else 200
    wanted = _wanted(exchange)
    if wanted == "minimal":
        return Answer(status=status, headers=headers)
    headers.append((b"content-type", exchange.media.content_type))
    body = outcome([stored_issue(resource), *issues]) if wanted == "OperationOutcome" else resource.json
    return Answer(status=status, headers=headers, body=exchange.media.render(body))


def stored_issue(resource: Resource) -> Issue:
    """Say which version is stored."""
    text = f"{resource.name} is stored as version {version_of(resource)}."
    return Issue(severity=IssueSeverity.ISSUE_SEVERITY_INFORMATION, code="informational", diagnostics=text)


def _wanted(exchange: Exchange) -> str:
    wanted = preferences(exchange.header(b"prefer")).get("return", "")
    return wanted if wanted in ("minimal", "OperationOutcome") else "representation"
