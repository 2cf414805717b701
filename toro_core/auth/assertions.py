"""Check client assertions. RFC 7523, section 3; https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html

Until the signature verifies, nobody has proved to be the client: the error is generic, and its correlation id leads the
operator to the reason in the log. Afterwards the error names the failed check with what was expected and what came.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeGuard

import jwt
import msgspec

from toro_core.auth.audit import record
from toro_core.auth.clients import Client, Clients
from toro_core.auth.errors import InvalidClient, InvalidRequest
from toro_core.auth.jwks import PublicKey, is_algorithm
from toro_core.auth.jwks_url import FetchFailed, JwksUrls
from toro_core.auth.jwt_parts import JwtParts, Malformed, split_jwt
from toro_core.auth.state import StateStore
from toro_core.errors import StateConflict

__all__ = ["AssertionRules", "Assertions"]

_MAX_LENGTH: Final = 16_384
_MAX_JTI: Final = 512
_TYPES: Final = ("jwt", "client-authentication+jwt")
# RFC 6749, section 5.2: what error_description may not contain.
_UNPRINTABLE: Final = re.compile(r"[^\x20\x21\x23-\x5B\x5D-\x7E]")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionRules:
    """What is configurable: seconds an assertion may live, seconds clocks may differ, and whether `aud` may be a list."""

    lifetime: float = 300.0
    skew: float = 60.0
    allow_audience_list: bool = False


class _Unproved(Exception):
    """The signature is not verified; the message is for the log alone."""


class _Failed(Exception):
    """A check failed after the signature verified: its name for the log, the message for the client."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


class Assertions:
    """Authenticates clients by their assertions, each of which counts once."""

    def __init__(
        self,
        states: StateStore,
        clients: Clients,
        urls: JwksUrls,
        rules: AssertionRules,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Find clients in this registry and spend each jti in these states."""
        self._states = states
        self._clients = clients
        self._urls = urls
        self._rules = rules
        self._clock = clock

    async def authenticate(self, assertion: str, token_url: str) -> Client:
        """Return the client that signed this assertion for the token URL, and spend it. Raises InvalidClient, InvalidRequest."""
        if not assertion:
            raise InvalidRequest("client_assertion is missing; send a JWT signed with the client's key")
        client: Client | None = None
        try:
            parts = _readable(assertion)
            client = await self._claimed_client(parts)
            claims = await self._verified(assertion, parts, client)
        except _Unproved as failed:
            self._refuse_generically(str(failed), client)
        try:
            await self._check(claims, client, token_url)
        except _Failed as failed:
            record(logging.WARNING, "client_refused", client_id=client.id, check=failed.check)
            raise InvalidClient(str(failed)) from None
        return client

    def _refuse_generically(self, reason: str, client: Client | None) -> NoReturn:
        correlation_id = secrets.token_hex(8)
        # The id is logged only where it is a registered one: until then it is whatever the sender wrote.
        known = client.id if client else None
        record(
            logging.WARNING, "client_not_authenticated", correlation_id=correlation_id, client_id=known, reason=reason
        )
        raise InvalidClient(
            f"the client could not be authenticated; the operator finds the reason in the log under {correlation_id}",
            correlation_id=correlation_id,
        ) from None

    async def _claimed_client(self, parts: JwtParts) -> Client:
        issuer = parts.payload.get("iss")
        if not isinstance(issuer, str) or not 0 < len(issuer) <= 200:
            raise _Unproved("iss is missing or not a client id")
        if (client := await self._clients.find(issuer)) is None:
            raise _Unproved("no client is registered with the id in iss")
        return client

    async def _verified(self, assertion: str, parts: JwtParts, client: Client) -> Mapping[str, Any]:
        """Return the claims once a key of the client verifies them, with its JWK Set fetched again where none does."""
        jku = parts.header.get("jku")
        if "jku" in parts.header and (client.jwks_url is None or jku != client.jwks_url):
            raise _Unproved("the header jku is not the client's registered JWKS URL")
        try:
            if client.jwks_url is None:
                return _verify(assertion, parts, client.public_keys())
            try:
                return _verify(assertion, parts, await self._urls.keys(client.jwks_url))
            except _Unproved:
                if (keys := await self._urls.refreshed(client.jwks_url)) is None:
                    raise
                return _verify(assertion, parts, keys)
        except FetchFailed as failed:
            raise _Unproved(str(failed)) from None

    async def _check(self, claims: Mapping[str, Any], client: Client, token_url: str) -> None:
        now = self._clock()
        if client.status != "active":
            raise _Failed("status", f"this client is {client.status}; ask the operator of this server")
        if client.expires is not None and client.expires <= now:
            raise _Failed("registration", "this client's registration has expired; ask the operator to renew it")
        if claims.get("sub") != client.id:
            raise _Failed(
                "sub", f"sub: expected the client id as in iss, {client.id}; received {_shown(claims, 'sub')}"
            )
        self._check_audience(claims, token_url)
        expires = self._check_times(claims, now)
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
            raise _Failed("jti", f"jti: expected a string of 1 to {_MAX_JTI} characters, new for every assertion")
        await self._spend(client, jti, ttl=expires - now + self._rules.skew)

    def _check_audience(self, claims: Mapping[str, Any], token_url: str) -> None:
        audience = claims.get("aud")
        if audience == token_url:
            return
        if isinstance(audience, list) and self._rules.allow_audience_list and token_url in audience:
            return
        hint = " alone, as a string and not as a list" if isinstance(audience, list) else ""
        raise _Failed("aud", f"aud: expected the token URL {token_url}{hint}; received {_shown(claims, 'aud')}")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> float:
        expires = claims.get("exp")
        seen = f"at {int(now)}, received {_shown(claims, 'exp')}"
        latest = now + self._rules.lifetime + self._rules.skew
        if not _is_number(expires):
            raise _Failed("exp", f"exp: expected a number of seconds since 1970 UTC; received {_shown(claims, 'exp')}")
        if not expires > now:
            raise _Failed("exp", f"exp: expected a time in the future; it has passed: {seen}")
        if not expires <= latest:
            raise _Failed("exp", f"exp: expected at most {self._rules.lifetime:g} s ahead; {seen}")
        for name in ("nbf", "iat"):
            if name not in claims:
                continue
            value = claims[name]
            if not _is_number(value):
                raise _Failed(
                    name, f"{name}: expected a number of seconds since 1970 UTC; received {_shown(claims, name)}"
                )
            if not value <= now + self._rules.skew:
                raise _Failed(
                    name, f"{name}: expected a time that has come; at {int(now)}, received {_shown(claims, name)}"
                )
        return float(expires)

    async def _spend(self, client: Client, jti: str, *, ttl: float) -> None:
        digest = hashlib.sha256(msgspec.json.encode([client.id, jti])).hexdigest()
        try:
            await self._states.put_state(f"auth/jti/{digest}", b"{}", if_revision=0, ttl=ttl)
        except StateConflict:
            raise _Failed("jti", "jti: expected one not used before; this assertion was used, sign a new one") from None


def _readable(assertion: str) -> JwtParts:
    if len(assertion) > _MAX_LENGTH:
        raise _Unproved(f"the assertion is longer than {_MAX_LENGTH} characters")
    try:
        parts = split_jwt(assertion)
    except Malformed as malformed:
        raise _Unproved(f"the assertion is no JWT: {malformed}") from None
    header = parts.header
    if not is_algorithm(header.get("alg")):
        raise _Unproved("the header alg is neither RS384 nor ES384")
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise _Unproved("the header typ is not JWT")
    if "crit" in header or "b64" in header:
        raise _Unproved("the header asks for extensions (crit, b64) that are not supported")
    if not isinstance(header.get("kid", ""), str):
        raise _Unproved("the header kid is not a string")
    return parts


def _verify(assertion: str, parts: JwtParts, keys: tuple[PublicKey, ...]) -> Mapping[str, Any]:
    key = _fitting(parts, keys)
    try:
        jwt.PyJWS().decode_complete(assertion, key.material, algorithms=[key.algorithm])
    except jwt.InvalidTokenError:
        raise _Unproved(f"the signature does not verify with the registered key {key.kid}") from None
    return parts.payload


def _fitting(parts: JwtParts, keys: tuple[PublicKey, ...]) -> PublicKey:
    """Choose the key the header names by kid or thumbprint; where none is named so, the only one of this algorithm."""
    algorithm, kid = parts.header["alg"], parts.header.get("kid")
    named = [key for key in keys if kid is not None and kid in (key.kid, key.thumbprint)]
    candidates = [key for key in (named or keys) if key.algorithm == algorithm]
    if not candidates:
        where = "the key that kid names is" if named else "none of the client's keys is"
        raise _Unproved(f"{where} an {algorithm} key")
    if len(candidates) > 1:
        raise _Unproved(
            f"{len(candidates)} of the client's {algorithm} keys fit; the header kid has to name one of them"
        )
    return candidates[0]


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(claims: Mapping[str, Any], name: str) -> str:
    """Render a received claim for error_description: printable, short."""
    if name not in claims:
        return "none"
    value = claims[name]
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    quoted = f"the string '{text}'" if isinstance(value, str) and name != "aud" else text
    return _UNPRINTABLE.sub("'" if isinstance(value, list) else "?", quoted[:200])
