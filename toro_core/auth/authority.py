"""The authorisation server inside the core: assertions in, access tokens out, and back to callers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Sequence
from typing import Final, NamedTuple

import httpx

from toro_core.access import CompileConstraint, compiled
from toro_core.auth.assertions import AssertionRules, Assertions
from toro_core.auth.audit import record
from toro_core.auth.clients import Client, Clients
from toro_core.auth.errors import InvalidRequest, InvalidScope
from toro_core.auth.jwks_url import JwksUrls
from toro_core.auth.keys import KeyRing
from toro_core.auth.scopes import narrow, parse_scope
from toro_core.auth.state import StateStore
from toro_core.auth.tokens import MAX_TOKEN_TTL, Tokens
from toro_core.caller import Caller

__all__ = ["Authority", "Issued"]

_MAX_SCOPES: Final = 200
# A token travels in a header, and servers commonly take 8 KiB of headers.
_MAX_SCOPE_LENGTH: Final = 4000


class Issued(NamedTuple):
    """An access token, the seconds until it expires, and the scopes it grants as the client asked for them."""

    access_token: str
    expires_in: int
    scopes: tuple[str, ...]


class Authority:
    """Authenticates clients, grants scopes, issues and verifies access tokens; everything it keeps lies in state records."""

    def __init__(
        self,
        states: StateStore,
        *,
        issuer: str,
        audience: str,
        token_url: str | None = None,
        token_ttl: int = MAX_TOKEN_TTL,
        skew: float = 60.0,
        allow_audience_list: bool = False,
        compile_constraint: CompileConstraint | None = None,
        types: Container[str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Be the issuer of tokens for `audience`, the FHIR base.

        `token_url` is the only one that assertions may be for; None leaves it to the facade, which is right only where the base
        URL is the request's own host, on loopback. With `compile_constraint` and `types`, scopes that name an unknown
        search parameter or resource type are not granted.
        """
        self.clients = Clients(states, clock=clock)
        self._ring = KeyRing(states, clock=clock)
        self._keep_for = token_ttl + skew
        self._tokens = Tokens(
            states, self.clients, self._ring, issuer=issuer, audience=audience, ttl=token_ttl, clock=clock, timer=timer
        )
        rules = AssertionRules(skew=skew, allow_audience_list=allow_audience_list)
        urls = JwksUrls(transport=transport, timer=timer)
        self._assertions = Assertions(states, self.clients, urls, rules, clock=clock)
        self._token_url = token_url
        self._compile = compile_constraint
        self._types = types

    async def exchange(self, assertion: str, scopes: Sequence[str], token_url: str) -> Issued:
        """Check and spend an assertion and issue a token. Raises InvalidRequest, InvalidClient, InvalidScope."""
        if self._token_url is not None and token_url != self._token_url:
            raise InvalidRequest(f"this is not the token endpoint; use {self._token_url}")
        if len(scopes) > _MAX_SCOPES:
            raise InvalidRequest(f"{len(scopes)} scopes are requested; ask for at most {_MAX_SCOPES}")
        client = await self._assertions.authenticate(assertion, token_url)
        granted = self._granted(client, scopes)
        token, expires_in = await self._tokens.issue(client, granted)
        record(logging.INFO, "token_issued", client_id=client.id, scopes=len(granted), expires_in=expires_in)
        return Issued(access_token=token, expires_in=expires_in, scopes=granted)

    async def verify(self, token: str) -> Caller:
        """Return whom the token was issued to. Raises InvalidToken."""
        return await self._tokens.verify(token)

    async def jwks(self) -> bytes:
        """Write the public keys that verify access tokens, as a JWK Set."""
        await self._ring.load()
        return self._ring.jwks()

    async def rotate_key(self) -> None:
        """Sign with a new key from now on; tokens out there stay valid until they expire."""
        await self._ring.rotate(keep_for=self._keep_for)

    def _granted(self, client: Client, scopes: Sequence[str]) -> tuple[str, ...]:
        granted = tuple(scope for scope in narrow(scopes, client.grants()) if self._is_known(scope))
        if not granted:
            own = " ".join(client.scopes)
            raise InvalidScope(
                "none of the requested scopes is granted; this server knows system/ scopes only, and this client may have "
                + (own if len(own) <= 1000 else own[:1000] + " ...")
            )
        length = len(" ".join(granted))
        if length > _MAX_SCOPE_LENGTH:
            raise InvalidScope(
                f"the granted scopes take {length} characters, a token holds {_MAX_SCOPE_LENGTH}; ask for fewer"
            )
        return granted

    def _is_known(self, scope: str) -> bool:
        grant = parse_scope(scope)
        if grant is None or grant.type == "*":
            return grant is not None
        if self._types is not None and grant.type not in self._types:
            return False
        return not grant.query or self._compile is None or compiled(self._compile, grant.type, grant.query) is not None
