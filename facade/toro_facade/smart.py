"""SMART discovery: https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html"""

from __future__ import annotations

from typing import Any

import msgspec

from toro_facade.answer import Answer
from toro_facade.exchange import Exchange
from toro_facade.policy import Policy

__all__ = ["smart_configuration", "supported_scopes"]

_LETTERS = (("create", "c"), ("read", "r"), ("update", "u"), ("delete", "d"), ("search-type", "s"))


async def smart_configuration(exchange: Exchange) -> Answer:
    """Answer `GET /fhir/.well-known/smart-configuration` in JSON, whatever the client accepts."""
    return Answer(
        headers=[
            (b"content-type", b"application/json"),
            (b"access-control-allow-origin", b"*"),
            (b"cache-control", b"no-cache"),
        ],
        body=msgspec.json.encode(_configuration(exchange.base(), exchange.services.policy)),
    )


def supported_scopes(policy: Policy) -> list[str]:
    """List the scopes that open something: for each type v2 with all its letters, then what v1 calls them."""
    scopes = ["system/*.read", "system/*.rs"]
    for name, codes in policy.types.items():
        letters = "".join(letter for code, letter in _LETTERS if code in codes)
        scopes.append(f"system/{name}.{letters}")
        if "r" in letters or "s" in letters:
            scopes.append(f"system/{name}.read")
        if "c" in letters or "u" in letters or "d" in letters:
            scopes.append(f"system/{name}.write")
    return scopes


def _configuration(base: str, policy: Policy) -> dict[str, Any]:
    return {
        "token_endpoint": f"{base}/auth/token",
        "jwks_uri": f"{base}/auth/jwks",
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": supported_scopes(policy),
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
