"""The keys that verify access tokens: RFC 7517"""

from __future__ import annotations

from toro_core.v1 import GetKeysRequest
from toro_facade.answer import Answer
from toro_facade.exchange import Exchange

__all__ = ["keys"]


async def keys(exchange: Exchange) -> Answer:
    """Answer `GET /auth/jwks`."""
    core = exchange.services.core
    answer = await core.GetKeys(GetKeysRequest(), metadata=exchange.metadata, timeout=exchange.timeout)
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"public, max-age=300")]
    return Answer(headers=headers, body=answer.jwks)
