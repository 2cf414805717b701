"""Public keys of RS384 and ES384: read from JWKS or PEM, checked, written as JWKS. RFC 7517, RFC 7518, RFC 7638."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

__all__ = [
    "MAX_JWKS_BYTES",
    "Algorithm",
    "KeyRefused",
    "PublicKey",
    "is_algorithm",
    "jwks_bytes",
    "read_keys",
    "thumbprint",
    "usable_keys",
]

Algorithm: TypeAlias = Literal["RS384", "ES384"]
MAX_JWKS_BYTES: Final = 65_536

_MEMBERS: Final = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}
_ALGORITHMS: Final[Mapping[str, Algorithm]] = {"RSA": "RS384", "EC": "ES384"}
_PRIVATE: Final = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_MIN_RSA_BITS: Final = 2048
# Verifying is paid by the server, and grows with the square of the length.
_MAX_RSA_BITS: Final = 8192
_MAX_KEYS: Final = 50
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


class KeyRefused(ValueError):
    """A key or a set of keys cannot be registered; the message says why and what to do."""


def is_algorithm(name: object) -> bool:
    """Say whether this is one of the two algorithms accepted."""
    return name in ("RS384", "ES384") if isinstance(name, str) else False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that verifies signatures of one algorithm. `members` are those of the JWK that make the key."""

    kid: str
    algorithm: Algorithm
    thumbprint: str
    members: Mapping[str, str]
    material: RSAPublicKey | EllipticCurvePublicKey

    def as_jwk(self) -> dict[str, str]:
        """Write the key as a public JWK."""
        return {**self.members, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


def read_keys(content: bytes) -> tuple[PublicKey, ...]:
    """Read a JWK Set, one JWK, or PEM public keys for registration. Raises KeyRefused unless every key is fit."""
    if len(content) > MAX_JWKS_BYTES:
        raise KeyRefused(f"the keys take {len(content)} bytes; at most {MAX_JWKS_BYTES} are accepted")
    keys = (
        _read_pem(content.decode(errors="replace"))
        if content.lstrip().startswith(b"-----BEGIN")
        else _read_set(content)
    )
    named: set[tuple[str, str]] = set()
    for key in keys:
        if (key.kid, key.algorithm) in named:
            raise KeyRefused(f"two {key.algorithm} keys have the kid {key.kid}; give each its own")
        named.add((key.kid, key.algorithm))
    return keys


def usable_keys(content: bytes) -> tuple[PublicKey, ...]:
    """Read a fetched JWK Set and leave out the keys that are not fit. Raises KeyRefused where it is no JWK Set."""
    keys = []
    for jwk in _jwks(content):
        try:
            keys.append(_public_key(jwk))
        except KeyRefused:
            continue
    return tuple(keys)


def jwks_bytes(keys: Iterable[PublicKey]) -> bytes:
    """Write a JWK Set."""
    return msgspec.json.encode({"keys": [key.as_jwk() for key in keys]})


def thumbprint(jwk: Mapping[str, object]) -> str:
    """Hash the members that make the key. RFC 7638"""
    members = {name: jwk[name] for name in _MEMBERS[str(jwk["kty"])]}
    digest = hashlib.sha256(msgspec.json.encode(members, order="sorted")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _read_set(content: bytes) -> tuple[PublicKey, ...]:
    keys = tuple(_public_key(jwk) for jwk in _jwks(content))
    if not keys:
        raise KeyRefused("the JWK Set is empty; give at least one RS384 or ES384 key")
    return keys


def _jwks(content: bytes) -> list[Mapping[str, object]]:
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise KeyRefused("this is neither JSON nor PEM; give a JWK Set or a PEM public key") from None
    if isinstance(document, dict) and "keys" not in document and "kty" in document:
        document = {"keys": [document]}
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise KeyRefused('this is no JWK Set; it needs a member "keys" with a list of keys')
    if len(keys) > _MAX_KEYS:
        raise KeyRefused(f"the JWK Set has {len(keys)} keys; at most {_MAX_KEYS} are accepted")
    return keys


def _public_key(jwk: Mapping[str, object]) -> PublicKey:
    kid = jwk.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= 512):
        raise KeyRefused("a key's kid is not a string of 1 to 512 characters")
    name = f"key {kid}" if kid else "a key without kid"
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _MEMBERS:
        raise KeyRefused(f"{name} is neither RSA nor EC; give an RS384 or ES384 key")
    if _PRIVATE & jwk.keys():
        raise KeyRefused(f"{name} is a private key; keep it, and give only the public members")
    algorithm = _ALGORITHMS[kty]
    if jwk.get("alg", algorithm) != algorithm:
        raise KeyRefused(f"{name} is made for another algorithm than {algorithm}")
    if jwk.get("use", "sig") != "sig":
        raise KeyRefused(f"{name} is not for signatures")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyRefused(f"{name} is not for verifying (key_ops)")
    members = {member: value for member in _MEMBERS[kty] if isinstance(value := jwk.get(member), str)}
    if len(members) != len(_MEMBERS[kty]):
        raise KeyRefused(f"{name} lacks one of {', '.join(_MEMBERS[kty])}")
    try:
        material = (RSAAlgorithm if kty == "RSA" else ECAlgorithm).from_jwk(dict(members))
    except (jwt.InvalidKeyError, ValueError):
        raise KeyRefused(f"{name} is not a well-formed {kty} key") from None
    return _checked(material, kid=kid, name=name)


def _checked(material: object, *, kid: str | None, name: str) -> PublicKey:
    if isinstance(material, RSAPublicKey):
        if not _MIN_RSA_BITS <= material.key_size <= _MAX_RSA_BITS:
            raise KeyRefused(f"{name} has {material.key_size} bits; RSA keys need {_MIN_RSA_BITS} to {_MAX_RSA_BITS}")
        jwk = RSAAlgorithm.to_jwk(material, as_dict=True)
    elif isinstance(material, EllipticCurvePublicKey) and isinstance(material.curve, SECP384R1):
        jwk = ECAlgorithm.to_jwk(material, as_dict=True)
    else:
        raise KeyRefused(f"{name} is of a kind not accepted; ES384 needs the curve P-384, RS384 an RSA key")
    members = {member: str(jwk[member]) for member in _MEMBERS[str(jwk["kty"])]}
    own = thumbprint(members)
    return PublicKey(
        kid=kid or own,
        algorithm=_ALGORITHMS[members["kty"]],
        thumbprint=own,
        members=members,
        material=material,
    )


def _read_pem(text: str) -> tuple[PublicKey, ...]:
    keys = []
    for block in _PEM.finditer(text):
        if "PRIVATE" in block[1]:
            raise KeyRefused("this is a private key; keep it, and give what `openssl pkey -pubout` makes of it")
        if block[1] not in ("PUBLIC KEY", "RSA PUBLIC KEY"):
            raise KeyRefused(f"a {block[1]} is not accepted; give the public key alone (BEGIN PUBLIC KEY)")
        try:
            material = load_pem_public_key(block[0].encode())
        except ValueError:
            raise KeyRefused("the PEM public key is damaged; write it again") from None
        keys.append(_checked(material, kid=None, name="the PEM key"))
    if not keys:
        raise KeyRefused("the PEM file is cut short; it holds no whole public key")
    return tuple(keys)
