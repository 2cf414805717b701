"""The client's side: make a key, read a key file, sign an assertion for the token endpoint."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from toro_core.auth.jwks import Algorithm, KeyRefused, thumbprint

__all__ = ["ASSERTION_TYPE", "PrivateKey", "new_client_key", "read_private_key", "sign_assertion"]

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# A minute below what servers accept, for clocks that differ.
_LIFETIME: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A client's own key."""

    kid: str
    algorithm: Algorithm
    material: RSAPrivateKey | EllipticCurvePrivateKey


def new_client_key() -> tuple[dict[str, str], dict[str, str]]:
    """Make an ES384 key and return it as private and as public JWK; its kid is its thumbprint."""
    private = _jwk(generate_private_key(SECP384R1()))
    public = {name: value for name, value in private.items() if name != "d"}
    return private, public


def read_private_key(content: bytes) -> PrivateKey:
    """Read a private key from a JWK, a JWK Set with one key, or PEM. Raises KeyRefused."""
    if content.lstrip().startswith(b"-----BEGIN"):
        try:
            return _private_key(load_pem_private_key(content, password=None), kid=None)
        except (ValueError, TypeError):
            raise KeyRefused("this PEM holds no unencrypted private key") from None
    try:
        jwk = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise KeyRefused("this is neither a JWK nor PEM") from None
    if isinstance(keys := jwk.get("keys"), list):
        if len(keys) != 1 or not isinstance(keys[0], dict):
            raise KeyRefused("the JWK Set needs to hold exactly one key")
        jwk = keys[0]
    if "d" not in jwk:
        raise KeyRefused("this is a public key; the private key is needed for signing")
    try:
        material = (RSAAlgorithm if jwk.get("kty") == "RSA" else ECAlgorithm).from_jwk(jwk)
    except (jwt.InvalidKeyError, ValueError, TypeError, KeyError):
        raise KeyRefused("this JWK is not a well-formed RSA or EC key") from None
    kid = jwk.get("kid")
    return _private_key(material, kid=kid if isinstance(kid, str) else None)


def sign_assertion(
    key: PrivateKey, *, client_id: str, token_url: str, lifetime: float = _LIFETIME, now: float | None = None
) -> str:
    """Sign a client assertion that the token URL accepts once. RFC 7523, section 3"""
    issued_at = time.time() if now is None else now
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_url,
        "exp": int(issued_at + lifetime),
        "jti": secrets.token_urlsafe(24),
    }
    return jwt.encode(claims, key.material, algorithm=key.algorithm, headers={"kid": key.kid})


def _private_key(material: object, *, kid: str | None) -> PrivateKey:
    if isinstance(material, RSAPrivateKey):
        return PrivateKey(kid=kid or thumbprint(_jwk(material)), algorithm="RS384", material=material)
    if isinstance(material, EllipticCurvePrivateKey) and isinstance(material.curve, SECP384R1):
        return PrivateKey(kid=kid or thumbprint(_jwk(material)), algorithm="ES384", material=material)
    raise KeyRefused("only RSA keys (RS384) and EC keys on P-384 (ES384) can sign assertions")


def _jwk(material: RSAPrivateKey | EllipticCurvePrivateKey) -> dict[str, str]:
    if isinstance(material, RSAPrivateKey):
        jwk, algorithm = RSAAlgorithm.to_jwk(material, as_dict=True), "RS384"
    else:
        jwk, algorithm = ECAlgorithm.to_jwk(material, as_dict=True), "ES384"
    members = {name: value for name, value in jwk.items() if isinstance(value, str)}
    return {**members, "kid": thumbprint(members), "alg": algorithm, "use": "sig"}
