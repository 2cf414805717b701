from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from toro_core.auth.authority import Authority, Issued
from toro_core.auth.clients import Client
from toro_core.errors import StateConflict
from toro_core.storage import StateRecord

BASE = "https://fhir.example.org"
TOKEN_URL = f"{BASE}/auth/token"


@dataclass
class Time:
    """A clock and a timer that tests move by hand."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class MemoryStates:
    """State records in a dict, with the contract's compare-and-set and expiry; others get their turn in every call."""

    time: Time
    records: dict[str, StateRecord] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    _revision: int = 0

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        await asyncio.sleep(0)
        current = self._live(key)
        if if_revision is not None and (current.revision if current else 0) != if_revision:
            raise StateConflict
        self._revision += 1
        expires_at = None if ttl is None else int((self.time.now + ttl) * 1000)
        self.records[key] = StateRecord(key=key, value=value, revision=self._revision, expires_at=expires_at)
        return self._revision

    async def get_state(self, key: str) -> StateRecord | None:
        self.reads.append(key)
        await asyncio.sleep(0)
        return self._live(key)

    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        live = (self._live(key) for key in sorted(self.records) if key.startswith(prefix))
        return [record for record in live if record]

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        current = self._live(key)
        if if_revision is not None and (current.revision if current else 0) != if_revision:
            raise StateConflict
        return self.records.pop(key, None) is not None and current is not None

    def _live(self, key: str) -> StateRecord | None:
        record = self.records.get(key)
        if record and record.expires_at is not None and record.expires_at <= self.time.now * 1000:
            return None
        return record


@dataclass(frozen=True)
class KeyPair:
    """A client's key with its public JWK."""

    private: Any
    jwk: Mapping[str, Any]
    algorithm: str

    def sign(self, claims: Mapping[str, Any] | bytes, *, algorithm: str | None = None, **headers: Any) -> str:
        """Sign whatever is given; a header set to None is left out."""
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        return jwt.PyJWS().encode(
            payload, self.private, algorithm=algorithm or self.algorithm, headers={"kid": self.jwk["kid"], **headers}
        )


def rsa_key(kid: str, bits: int = 2048) -> KeyPair:
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return KeyPair(private, {**RSAAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": kid}, "RS384")


def ec_key(kid: str, curve: ec.EllipticCurve | None = None) -> KeyPair:
    private = ec.generate_private_key(curve or ec.SECP384R1())
    return KeyPair(private, {**ECAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": kid}, "ES384")


def jwk_set(*keys: KeyPair) -> bytes:
    return json.dumps({"keys": [dict(key.jwk) for key in keys]}).encode()


class World:
    """An authority on states and a time that the test holds, with one registered client."""

    token_url = TOKEN_URL
    base = BASE

    def __init__(self) -> None:
        self.clock = Time()
        self.states = MemoryStates(self.clock)
        self.authority = self.another()
        self._numbers = itertools.count()

    def another(self, **options: Any) -> Authority:
        """Make one more authority on the same states, as another process has it."""
        settings = {"issuer": BASE, "audience": f"{BASE}/fhir", "clock": self.clock, "timer": self.clock, **options}
        return Authority(self.states, **settings)

    async def register(self, *keys: KeyPair, client_id: str | None = "partner", **options: Any) -> Client:
        inline = {} if "jwks_url" in options else {"jwks": jwk_set(*keys)}
        settings = {"name": "Partner", "scopes": ("system/*.rs",), **inline, **options}
        return await self.authority.clients.add(client_id=client_id, **settings)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims that pass every check, changed; a change to `...` leaves the claim out."""
        claims = {
            "iss": "partner",
            "sub": "partner",
            "aud": TOKEN_URL,
            "exp": int(self.clock.now) + 300,
            "jti": f"jti-{next(self._numbers)}",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ...}

    async def exchange(self, assertion: str, scope: str = "system/Patient.rs") -> Issued:
        return await self.authority.exchange(assertion, scope.split(), TOKEN_URL)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def rsa_pair() -> KeyPair:
    return rsa_key("rsa-1")


@pytest.fixture(scope="session")
def other_rsa_pair() -> KeyPair:
    return rsa_key("rsa-2")


@pytest.fixture(scope="session")
def small_rsa_pair() -> KeyPair:
    return rsa_key("rsa-small", bits=1024)


@pytest.fixture(scope="session")
def ec_pair() -> KeyPair:
    return ec_key("ec-1")


@pytest.fixture(scope="session")
def other_ec_pair() -> KeyPair:
    return ec_key("ec-2")


@pytest.fixture(scope="session")
def p256_pair() -> KeyPair:
    return ec_key("p256", ec.SECP256R1())
