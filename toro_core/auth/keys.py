"""Toro's own ES384 keys, which sign access tokens: a ring in one state record that all processes share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from toro_core.auth.epoch import bump
from toro_core.auth.jwks import PublicKey, jwks_bytes, read_keys
from toro_core.auth.signer import PrivateKey, new_client_key, read_private_key
from toro_core.auth.state import StateStore
from toro_core.errors import StateConflict

__all__ = ["KeyRing"]

_KEY: Final = "auth/keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class _RingKey:
    """A key as stored: the private JWK while it signs; `until` is when a retired key stops verifying."""

    public: dict[str, str]
    private: dict[str, str] | None
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ring:
    """The stored record: the signing key first, then retired ones."""

    keys: tuple[_RingKey, ...]


class KeyRing:
    """The signing key and the public keys that still verify tokens."""

    def __init__(self, states: StateStore, *, clock: Callable[[], float] = time.time) -> None:
        """Keep the ring in these states; nothing is read before `load`."""
        self._states = states
        self._clock = clock
        self._signing: PrivateKey | None = None
        self._public: dict[str, tuple[PublicKey, float | None]] = {}

    async def load(self) -> None:
        """Read the ring; the first process of a deployment makes it."""
        record = await self._states.get_state(_KEY)
        while record is None:
            first = _Ring(keys=(_new_key(),))
            try:
                await self._states.put_state(_KEY, msgspec.json.encode(first), if_revision=0)
            except StateConflict:
                record = await self._states.get_state(_KEY)
            else:
                return self._take(first)
        return self._take(msgspec.json.decode(record.value, type=_Ring))

    async def rotate(self, *, keep_for: float) -> None:
        """Sign with a new key from now on; the old public key verifies for another `keep_for` seconds. Raises StateConflict."""
        await self.load()
        record = await self._states.get_state(_KEY)
        now = self._clock()
        old = msgspec.json.decode(record.value, type=_Ring).keys if record else ()
        retired = tuple(replace(key, private=None, until=key.until or now + keep_for) for key in old)
        ring = _Ring(keys=(_new_key(), *(key for key in retired if key.until and key.until > now)))
        revision = record.revision if record else 0
        await self._states.put_state(_KEY, msgspec.json.encode(ring), if_revision=revision)
        self._take(ring)
        await bump(self._states)

    async def signing(self) -> PrivateKey:
        """Return the key that signs."""
        if self._signing is None:
            await self.load()
        if self._signing is None:
            raise RuntimeError("the key ring has no signing key")
        return self._signing

    def verifying(self, kid: str) -> PublicKey | None:
        """Return the key of this id, unless it is unknown or retired for long enough."""
        key, until = self._public.get(kid, (None, None))
        return key if until is None or self._clock() < until else None

    def jwks(self) -> bytes:
        """Write the keys that verify tokens as a JWK Set."""
        return jwks_bytes(key for kid in self._public if (key := self.verifying(kid)))

    def _take(self, ring: _Ring) -> None:
        public: dict[str, tuple[PublicKey, float | None]] = {}
        for stored in ring.keys:
            (key,) = read_keys(msgspec.json.encode(stored.public))
            public[key.kid] = (key, stored.until)
            if stored.private is not None:
                self._signing = read_private_key(msgspec.json.encode(stored.private))
        self._public = public


def _new_key() -> _RingKey:
    private, public = new_client_key()
    return _RingKey(public=public, private=private)
