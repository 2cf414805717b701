"""FHIR $validate: https://hl7.org/fhir/R4/resource-operation-validate.html"""

from __future__ import annotations

from typing import Final

import msgspec

from toro_core.v1 import Issue, IssueSeverity, ValidateResourceRequest, ValidationMode
from toro_facade.answer import Answer
from toro_facade.body import read_optional, read_resource
from toro_facade.exchange import Exchange
from toro_facade.headers import preferences
from toro_facade.outcome import Refused, outcome, outcome_answer

__all__ = ["validate"]

_MODES: Final = {
    "": ValidationMode.VALIDATION_MODE_UNSPECIFIED,
    "create": ValidationMode.VALIDATION_MODE_CREATE,
    "update": ValidationMode.VALIDATION_MODE_UPDATE,
    "delete": ValidationMode.VALIDATION_MODE_DELETE,
}


async def validate(exchange: Exchange) -> Answer:
    """Answer `$validate` on a type or a resource with an OperationOutcome; 200 says that the check was made, whatever it found."""
    asked = _Asked(mode="", profiles=[], resource=b"")
    for name, value in exchange.parameters:
        _take(exchange, asked, name, value)
    if exchange.scope["method"] == "POST" and (body := await _body(exchange)):
        _read(exchange, asked, body)
    if asked.mode not in _MODES:
        raise Refused(400, "value", "mode is create, update or delete.")
    request = ValidateResourceRequest(
        resource_type=exchange.resource_type,
        name=exchange.name if exchange.resource_id else "",
        json=asked.resource,
        mode=_MODES[asked.mode],
        profiles=asked.profiles,
    )
    core = exchange.services.core
    answer = await core.ValidateResource(request, metadata=exchange.metadata, timeout=exchange.timeout)
    return outcome_answer(outcome(answer.issues or [_sound()]), 200, exchange.media)


class _Asked(msgspec.Struct):
    """What the client asks for."""

    mode: str
    profiles: list[str]
    resource: bytes


class _Part(msgspec.Struct):
    """A parameter of the body; the resource stays as it was sent, digit for digit."""

    name: str = ""
    resource: msgspec.Raw = msgspec.Raw(b"")
    valueCode: str = ""  # noqa: N815 FHIR's name
    valueUri: str = ""  # noqa: N815
    valueCanonical: str = ""  # noqa: N815
    valueString: str = ""  # noqa: N815


class _Body(msgspec.Struct):
    """What tells a Parameters resource from any other."""

    resourceType: str = ""  # noqa: N815
    parameter: list[_Part] = []


async def _body(exchange: Exchange) -> bytes:
    """Read the body; a resource that is stored already can be asked about without one."""
    return await (read_optional(exchange) if exchange.resource_id else read_resource(exchange))


def _read(exchange: Exchange, asked: _Asked, body: bytes) -> None:
    asked.resource = body
    if exchange.resource_type == "Parameters":
        return
    try:
        found = msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return  # no Parameters; the core says what it is
    if found.resourceType != "Parameters":
        return
    asked.resource = b""
    for part in found.parameter:
        if part.name == "resource":
            asked.resource = bytes(part.resource)
        else:
            value = part.valueCode or part.valueCanonical or part.valueUri or part.valueString
            _take(exchange, asked, part.name, value)


def _take(exchange: Exchange, asked: _Asked, name: str, value: str) -> None:
    if name == "mode":
        asked.mode = value
    elif name == "profile":
        asked.profiles.append(value)
    elif preferences(exchange.header(b"prefer")).get("handling") != "lenient":
        raise Refused(400, "not-supported", f"{name} is not a parameter of $validate; leave it out.")


def _sound() -> Issue:
    text = "The resource is valid."
    return Issue(severity=IssueSeverity.ISSUE_SEVERITY_INFORMATION, code="informational", diagnostics=text)
