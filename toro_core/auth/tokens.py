"""Access tokens: JWTs of RFC 9068, signed by Toro's own key, verified once and then remembered while they hold."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt

from toro_core.auth.clients import Client, Clients
from toro_core.auth.epoch import Epoch
from toro_core.auth.errors import ExpiredToken, InvalidToken
from toro_core.auth.jwt_parts import Malformed, split_jwt
from toro_core.auth.keys import KeyRing
from toro_core.auth.scopes import grants_of
from toro_core.auth.state import StateStore
from toro_core.caller import Caller

__all__ = ["MAX_TOKEN_TTL", "Tokens"]

MAX_TOKEN_TTL: Final = 300

_TYPE: Final = "at+jwt"
_ALGORITHM: Final = "ES384"
_MAX_LENGTH: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    caller: Caller
    expires: float


class Tokens:
    """Issues tokens for one audience and verifies them. A client's revocation counts in every process within a second."""

    def __init__(
        self,
        states: StateStore,
        clients: Clients,
        ring: KeyRing,
        *,
        issuer: str,
        audience: str,
        ttl: int,
        remember: int = 4096,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Issue tokens that live `ttl` seconds; remember so many verified ones."""
        if not 0 < ttl <= MAX_TOKEN_TTL:
            raise ValueError(f"access tokens live 1 to {MAX_TOKEN_TTL} seconds, not {ttl}")
        self._clients = clients
        self._ring = ring
        self._issuer = issuer
        self._audience = audience
        self._ttl = ttl
        self._remember = remember
        self._clock = clock
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._epoch = Epoch(states, self._forget, timer=timer)

    async def issue(self, client: Client, scopes: Sequence[str]) -> tuple[str, int]:
        """Return a token for these scopes and the seconds until it expires."""
        if not self._epoch.is_fresh():
            await self._epoch.refresh()
        now = int(self._clock())
        expires = now + self._ttl if client.expires is None else min(now + self._ttl, int(client.expires))
        claims = {
            "iss": self._issuer,
            "sub": client.id,
            "client_id": client.id,
            "aud": self._audience,
            "iat": now,
            "exp": expires,
            "jti": secrets.token_urlsafe(16),
            "scope": " ".join(scopes),
        }
        key = await self._ring.signing()
        headers = {"typ": _TYPE, "kid": key.kid}
        return jwt.encode(claims, key.material, algorithm=_ALGORITHM, headers=headers), expires - now

    async def verify(self, token: str) -> Caller:
        """Return whom the token was issued to. Raises InvalidToken, ExpiredToken."""
        if not self._epoch.is_fresh():
            await self._epoch.refresh()
        # The hash and not the token: what lies in memory lets nobody in.
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        known = self._verified.get(digest)
        if known is None:
            return await self._verify_anew(token, digest)
        if self._clock() >= known.expires:
            raise ExpiredToken
        self._verified.move_to_end(digest)
        return known.caller

    async def _forget(self) -> None:
        self._verified.clear()
        await self._ring.load()

    async def _verify_anew(self, token: str, digest: bytes) -> Caller:
        epoch = self._epoch.revision
        claims = await self._signed_claims(token)
        expires, client_id, scope = claims.get("exp"), claims.get("client_id"), claims.get("scope")
        if claims.get("iss") != self._issuer or claims.get("aud") != self._audience:
            raise InvalidToken(
                "the access token was issued for another server; get one from this server's token endpoint"
            )
        if not isinstance(expires, int) or not isinstance(client_id, str) or not isinstance(scope, str):
            raise InvalidToken
        if self._clock() >= expires:
            raise ExpiredToken
        client = await self._clients.find(client_id)
        if client is None or client.status != "active":
            raise InvalidToken(
                "the client of this access token is suspended or revoked; ask the operator of this server"
            )
        caller = Caller(client_id=client_id, grants=grants_of(scope.split()))
        # In another epoch the client's status, as read above, may be out of date: then it is not remembered.
        if self._epoch.revision == epoch:
            self._verified[digest] = _Verified(caller=caller, expires=expires)
            if len(self._verified) > self._remember:
                self._verified.popitem(last=False)
        return caller

    async def _signed_claims(self, token: str) -> Mapping[str, Any]:
        if len(token) > _MAX_LENGTH:
            raise InvalidToken
        try:
            parts = split_jwt(token)
        except Malformed:
            raise InvalidToken from None
        header = parts.header
        kid = header.get("kid")
        if (
            header.get("typ") != _TYPE
            or header.get("alg") != _ALGORITHM
            or "crit" in header
            or not isinstance(kid, str)
        ):
            raise InvalidToken
        if (key := self._ring.verifying(kid)) is None:
            raise InvalidToken
        try:
            jwt.PyJWS().decode_complete(token, key.material, algorithms=[_ALGORITHM])
        except jwt.InvalidTokenError:
            raise InvalidToken from None
        return parts.payload
