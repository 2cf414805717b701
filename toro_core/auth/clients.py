"""The registry of clients, kept in state records."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import msgspec

from toro_core.auth.epoch import bump
from toro_core.auth.jwks import KeyRefused, PublicKey, read_keys
from toro_core.auth.jwks_url import check_jwks_url
from toro_core.auth.scopes import Grant, grants_of, parse_scope
from toro_core.auth.state import StateStore
from toro_core.errors import AlreadyExists, NotFound, StateConflict, ToroError

__all__ = ["Client", "Clients", "RegistrationRefused", "Status", "new_client_id"]

Status: TypeAlias = Literal["active", "suspended", "revoked"]

_PREFIX: Final = "auth/client/"
# What error_description may quote: RFC 6749, section 5.2.
_ID: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,200}")
_ATTEMPTS: Final = 5


class RegistrationRefused(ToroError):
    """The client cannot be registered so."""

    reason = "INVALID_REGISTRATION"
    issue = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered backend service. It has either `jwks`, a JWK Set in JSON, or `jwks_url`; times are seconds since 1970 UTC."""

    id: str
    name: str
    scopes: tuple[str, ...]
    jwks: str | None = None
    jwks_url: str | None = None
    created: float
    expires: float | None = None
    status: Status = "active"

    def public_keys(self) -> tuple[PublicKey, ...]:
        """Return the keys registered inline."""
        return read_keys(self.jwks.encode()) if self.jwks else ()

    def grants(self) -> tuple[Grant, ...]:
        """Return what the client may have."""
        return grants_of(self.scopes)


def new_client_id() -> str:
    """Make an id nobody guesses."""
    return secrets.token_hex(16)


class Clients:
    """Registers, finds, suspends and revokes clients; changes reach every process through the epoch."""

    def __init__(self, states: StateStore, *, clock: Callable[[], float] = time.time) -> None:
        """Keep the clients in these records."""
        self._states = states
        self._clock = clock

    async def add(
        self,
        *,
        name: str,
        scopes: tuple[str, ...],
        jwks: bytes | None = None,
        jwks_url: str | None = None,
        client_id: str | None = None,
        expires: float | None = None,
    ) -> Client:
        """Register a client by its keys (JWK Set or PEM) or its JWKS URL. Raises RegistrationRefused, AlreadyExists."""
        client = Client(
            id=new_client_id() if client_id is None else client_id,
            name=name,
            scopes=scopes,
            jwks=_canonical(jwks) if jwks is not None else None,
            jwks_url=jwks_url,
            created=self._clock(),
            expires=expires,
        )
        _check(client)
        try:
            await self._states.put_state(_PREFIX + client.id, msgspec.json.encode(client), if_revision=0)
        except StateConflict:
            raise AlreadyExists(f"a client with the id {client.id} is registered; choose another id") from None
        return client

    async def find(self, client_id: str) -> Client | None:
        """Return the client, or None."""
        record = await self._states.get_state(_PREFIX + client_id)
        return msgspec.json.decode(record.value, type=Client) if record else None

    async def get(self, client_id: str) -> Client:
        """Return the client. Raises NotFound."""
        if client := await self.find(client_id):
            return client
        raise _unknown(client_id)

    async def list(self) -> tuple[Client, ...]:
        """Return all clients, in the order of their ids."""
        return tuple(
            msgspec.json.decode(record.value, type=Client) for record in await self._states.list_state(_PREFIX)
        )

    async def suspend(self, client_id: str) -> Client:
        """Refuse the client's assertions and tokens until it is resumed. Raises NotFound."""
        return await self._set_status(client_id, "suspended")

    async def resume(self, client_id: str) -> Client:
        """Let a suspended client in again. Raises NotFound; RegistrationRefused where it was revoked."""
        return await self._set_status(client_id, "active")

    async def revoke(self, client_id: str) -> Client:
        """Refuse the client's assertions and tokens for good. Raises NotFound."""
        return await self._set_status(client_id, "revoked")

    async def _set_status(self, client_id: str, status: Status) -> Client:
        for _ in range(_ATTEMPTS):
            record = await self._states.get_state(_PREFIX + client_id)
            if record is None:
                raise _unknown(client_id)
            client = msgspec.json.decode(record.value, type=Client)
            if client.status == "revoked" and status != "revoked":
                raise RegistrationRefused(f"the client {client_id} was revoked for good; register a new one")
            changed = replace(client, status=status)
            try:
                await self._states.put_state(record.key, msgspec.json.encode(changed), if_revision=record.revision)
            except StateConflict:
                continue
            # After the record: who sees the new epoch finds the new status.
            await bump(self._states)
            return changed
        raise StateConflict(f"the client {client_id} is being changed by others; try again")


def _unknown(client_id: str) -> NotFound:
    return NotFound(f"no client has the id {client_id}; list the clients to see their ids")


def _canonical(content: bytes) -> str:
    try:
        return msgspec.json.encode({"keys": [key.as_jwk() for key in read_keys(content)]}).decode()
    except KeyRefused as refused:
        raise RegistrationRefused(str(refused)) from None


def _check(client: Client) -> None:
    if not _ID.fullmatch(client.id):
        raise RegistrationRefused(
            "a client id is 1 to 200 printable ASCII characters without spaces, quotes and backslashes"
        )
    if not client.name.strip():
        raise RegistrationRefused("a client needs a name, by which people know whom they let in")
    if (client.jwks is None) == (client.jwks_url is None):
        raise RegistrationRefused("a client is registered by its keys or by its JWKS URL, by exactly one of them")
    if client.jwks_url is not None and (problem := check_jwks_url(client.jwks_url)):
        raise RegistrationRefused(problem)
    if not client.scopes:
        raise RegistrationRefused("a client needs at least one scope, such as system/Patient.rs")
    for scope in client.scopes:
        if parse_scope(scope) is None:
            raise RegistrationRefused(
                f"the scope {scope} cannot be granted; write system/TYPE.LETTERS with letters of cruds in this order,"
                " or system/TYPE.read, .write or .*"
            )
    if client.expires is not None and client.expires <= client.created:
        raise RegistrationRefused("the registration would have expired already; give a later day")
