"""Seal the position in a paged result, so that a client can keep it and can neither read, change nor lend it.

A token is `version | key id | nonce | ciphertext` in URL-safe base64, AES-256-GCM with the client's id as associated data.
The keys lie in one state record, made and rotated by compare-and-set, so that all processes of a storage agree on them.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from toro_core.errors import StateConflict, ToroError
from toro_core.search.plan import Cursor
from toro_core.search.query import Parameter
from toro_core.storage import Storage

__all__ = ["LIFETIME", "InvalidPageToken", "PageKind", "PageState", "PageTokens"]

LIFETIME: Final = 24 * 3600
"""Seconds a token is valid."""

_VERSION: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = 1 + _KEY_ID_BYTES + _NONCE_BYTES
_ROTATION: Final = 7 * 24 * 3600
_MAX_TOKEN: Final = 4096
_MAX_ACCEPTED: Final = 2 * _MAX_TOKEN
_RING: Final = "paging/keys"
_QUERIES: Final = "paging/query/"

PageKind = Literal["search", "history", "everything", "docref"]

_Parameters: TypeAlias = tuple[tuple[str, str, tuple[str, ...]], ...]


class InvalidPageToken(ToroError):
    """The page token is damaged, expired or another client's; start the search again."""

    reason = "INVALID_PAGE_TOKEN"
    issue = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageState:
    """Where a client stands in a search of `type`, the history of `type`/`id` or the record of a patient: the storage's cursor.

    `trail` has, for a search, where the pages before began.
    """

    kind: PageKind
    type: str
    id: str = ""
    parameters: tuple[Parameter, ...] = ()
    lenient: bool = False
    cursor: Cursor
    client: str
    trail: bytes = b""


class _Key(NamedTuple):
    id: bytes
    secret: bytes
    made: int


class _Sealed(NamedTuple):
    """What a token holds; `query` is the hash that names the state record of parameters too long for a token."""

    expires: int
    kind: PageKind
    type: str
    id: str
    lenient: bool
    cursor: Cursor
    parameters: _Parameters
    query: str
    trail: bytes = b""


class PageTokens:
    """Seals and opens page tokens with the keys that the storage keeps."""

    def __init__(self, storage: Storage, *, clock: Callable[[], float] = time.time) -> None:
        """Take the clock, in seconds since 1970, that tokens and keys age by."""
        self._storage = storage
        self._clock = clock
        self._ring: tuple[_Key, ...] = ()

    async def seal(self, state: PageState) -> str:
        """Return the token of a position; it is valid for a day."""
        parameters = tuple((given.code, given.modifier, given.values) for given in state.parameters)
        sealed = _Sealed(
            expires=int(self._clock()) + LIFETIME,
            kind=state.kind,
            type=state.type,
            id=state.id,
            lenient=state.lenient,
            cursor=state.cursor,
            parameters=parameters,
            query="",
            trail=state.trail,
        )
        key = await self._current_key()
        token = _encrypt(key, sealed, state.client)
        if len(token) <= _MAX_TOKEN:
            return token
        query = await self._keep(parameters)
        return _encrypt(key, sealed._replace(parameters=(), query=query), state.client)

    async def open(self, token: str, client: str) -> PageState:
        """Return the position a token stands for. Raises InvalidPageToken unless it is whole, young and this client's."""
        raw = _decoded(token)
        key = await self._key(raw[1 : 1 + _KEY_ID_BYTES])
        sealed = _decrypt(key, raw, client)
        if sealed.expires <= self._clock():
            raise InvalidPageToken
        parameters = await self._kept(sealed.query) if sealed.query else sealed.parameters
        return PageState(
            kind=sealed.kind,
            type=sealed.type,
            id=sealed.id,
            parameters=tuple(Parameter(code=code, modifier=mod, values=values) for code, mod, values in parameters),
            lenient=sealed.lenient,
            cursor=sealed.cursor,
            client=client,
            trail=sealed.trail,
        )

    async def _keep(self, parameters: _Parameters) -> str:
        value = _encode(parameters)
        query = hashlib.sha256(value).hexdigest()
        await self._storage.put_state(_QUERIES + query, value, ttl=LIFETIME)
        return query

    async def _kept(self, query: str) -> _Parameters:
        record = await self._storage.get_state(_QUERIES + query)
        if record is None:
            raise InvalidPageToken
        return msgspec.msgpack.decode(record.value, type=_Parameters)

    async def _key(self, key_id: bytes) -> _Key:
        for _ in range(2):
            for key in self._ring:
                if key.id == key_id:
                    return key
            await self._read_ring()  # another process may have made the key
        raise InvalidPageToken

    async def _current_key(self) -> _Key:
        while not self._ring or self._ring[0].made <= self._clock() - _ROTATION:
            revision = await self._read_ring()
            if self._ring and self._ring[0].made > self._clock() - _ROTATION:
                break
            await self._add_key(revision)
        return self._ring[0]

    async def _read_ring(self) -> int:
        record = await self._storage.get_state(_RING)
        if record is None:
            return 0
        self._ring = msgspec.msgpack.decode(record.value, type=tuple[_Key, ...])
        return record.revision

    async def _add_key(self, revision: int) -> None:
        now = int(self._clock())
        added = _Key(secrets.token_bytes(_KEY_ID_BYTES), secrets.token_bytes(32), now)
        alive = [key for key in self._ring if key.made > now - _ROTATION - 2 * LIFETIME]
        ring = (added, *alive)
        try:
            await self._storage.put_state(_RING, _encode(ring), if_revision=revision)
        except StateConflict:
            return  # another process was faster: read its key
        self._ring = ring


def _encode(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def _encrypt(key: _Key, sealed: _Sealed, client: str) -> str:
    header = _VERSION + key.id
    nonce = secrets.token_bytes(_NONCE_BYTES)
    text = AESGCM(key.secret).encrypt(nonce, _encode(sealed), header + client.encode())
    return urlsafe_b64encode(header + nonce + text).rstrip(b"=").decode()


def _decoded(token: str) -> bytes:
    try:
        raw = urlsafe_b64decode(token[:_MAX_ACCEPTED].encode("ascii") + b"==")
    except ValueError:
        raise InvalidPageToken from None
    if len(raw) <= _HEADER_BYTES or not raw.startswith(_VERSION):
        raise InvalidPageToken
    return raw


def _decrypt(key: _Key, raw: bytes, client: str) -> _Sealed:
    header, nonce = raw[: 1 + _KEY_ID_BYTES], raw[1 + _KEY_ID_BYTES : _HEADER_BYTES]
    try:
        text = AESGCM(key.secret).decrypt(nonce, raw[_HEADER_BYTES:], header + client.encode())
    except InvalidTag:
        raise InvalidPageToken from None
    try:
        return msgspec.msgpack.decode(text, type=_Sealed)
    except msgspec.DecodeError:
        raise InvalidPageToken from None
