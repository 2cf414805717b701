"""The token endpoint: https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html and RFC 6749, section 5"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from toro_core.v1 import CallError, ExchangeAssertionRequest
from toro_facade.answer import Answer, Header
from toro_facade.body import read_form
from toro_facade.exchange import Exchange
from toro_facade.outcome import Refused, status_of
from toro_facade.query import pairs
from toro_facade.tokens import claims

__all__ = ["token"]

_LIMIT: Final = 1 << 16
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+", re.ASCII)
_NAMED: Final = {"INVALID_CLIENT": "invalid_client", "INVALID_SCOPE": "invalid_scope", "INVALID_GRANT": "invalid_grant"}


class _Refused(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


async def token(exchange: Exchange) -> Answer:
    """Answer `POST /auth/token`: a signed assertion for an access token."""
    try:
        request = _request(exchange, _form(await _body(exchange)))
        services = exchange.services
        granted = await services.core.ExchangeAssertion(request, metadata=exchange.metadata, timeout=exchange.timeout)
    except _Refused as error:
        return _answer({"error": error.error, "error_description": _said(error.description)}, error.status)
    except CallError as error:
        status = status_of(error)
        return _answer({"error": _error(error, status), "error_description": _said(_diagnostics(error))}, status)
    exchange.client_id = claims(request.assertion).sub
    return _answer(
        {
            "access_token": granted.access_token,
            "token_type": "bearer",
            "expires_in": granted.expires_in,
            "scope": " ".join(granted.scopes),
        }
    )


async def _body(exchange: Exchange) -> bytes:
    try:
        return await read_form(exchange, _LIMIT)
    except Refused as error:
        raise _Refused("invalid_request", error.diagnostics, error.status if error.status == 413 else 400) from None


def _form(body: bytes) -> dict[str, str]:
    """Parse the form strictly, except for the raw spaces that curl -d leaves in `scope`."""
    try:
        given = pairs(body)
    except Refused as error:
        raise _Refused("invalid_request", error.diagnostics) from None
    form: dict[str, str] = {}
    for name, value in given:
        if name in form:
            raise _Refused("invalid_request", "A parameter is given more than once; give each once.")
        form[name] = value
    return form


def _request(exchange: Exchange, form: dict[str, str]) -> ExchangeAssertionRequest:
    grant_type = _required(form, "grant_type")
    if grant_type != "client_credentials":
        raise _Refused("unsupported_grant_type", "grant_type is client_credentials here.")
    if _required(form, "client_assertion_type") != _ASSERTION_TYPE:
        raise _Refused("invalid_request", f"client_assertion_type is {_ASSERTION_TYPE} here.")
    assertion = _required(form, "client_assertion")
    scopes = form.get("scope", "").split()
    if not scopes:
        raise _Refused("invalid_scope", "scope is missing; ask for scopes as in system/Patient.rs.")  # RFC 6749, 3.3
    if not all(_SCOPE.fullmatch(scope) for scope in scopes):
        raise _Refused("invalid_scope", "scope holds a character that no scope has; write scopes separated by spaces.")
    if form.get("client_id") and form["client_id"] != claims(assertion).sub:
        raise _Refused("invalid_client", "client_id is not the assertion's sub; leave it out or correct it.", 401)
    return ExchangeAssertionRequest(
        assertion=assertion, scopes=scopes, token_url=exchange.services.settings.token_url(exchange.base())
    )


def _required(form: dict[str, str], name: str) -> str:
    value = form.get(name, "").strip()
    if not value:
        raise _Refused("invalid_request", f"{name} is missing; send it in the form.")
    return value


def _error(error: CallError, status: int) -> str:
    named = _NAMED.get(error.reason)
    if named:
        return named
    if status >= 500:
        return "temporarily_unavailable" if status in (503, 504) else "server_error"
    return "invalid_client" if status == 401 else "invalid_request"


def _diagnostics(error: CallError) -> str:
    return error.issues[0].diagnostics if error.issues else "The request failed; try again or ask the operator."


def _said(text: str) -> str:
    """Keep to the characters an error_description may have."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)


def _answer(content: dict[str, Any], status: int = 200) -> Answer:
    headers: list[Header] = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"pragma", b"no-cache"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="toro"'))
    if status == 503:
        headers.append((b"retry-after", b"2"))
    return Answer(status=status, headers=headers, body=msgspec.json.encode(content))
