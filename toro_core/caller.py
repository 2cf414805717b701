"""Who is calling: the bearer token in a call's metadata, verified. What else the metadata claims counts for nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from toro_core.auth.errors import InvalidToken, Unauthenticated
from toro_core.auth.scopes import Grant

__all__ = ["Caller", "Verifier", "caller_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated client and what its token grants; no grants mean that it may do nothing."""

    client_id: str
    grants: tuple[Grant, ...]


class Verifier(Protocol):
    """Turns an access token into a caller."""

    async def verify(self, token: str) -> Caller:
        """Return whom the token was issued to. Raises InvalidToken."""


async def caller_of(metadata: Iterable[tuple[str, str | bytes]], verifier: Verifier) -> Caller:
    """Return the caller whose `authorization: Bearer` the metadata carries. Raises Unauthenticated, InvalidToken."""
    values = [value for name, value in metadata if name == "authorization"]
    if not values:
        raise Unauthenticated
    if len(values) > 1:
        raise InvalidToken("there are several authorization values; send one access token")
    scheme, _, token = values[0].partition(" ") if isinstance(values[0], str) else ("", "", "")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidToken("the authorization is no bearer token; send `Bearer` and an access token")
    return await verifier.verify(token)
