from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm

from toro_core.auth.clients import RegistrationRefused
from toro_core.auth.jwks import KeyRefused, read_keys, thumbprint, usable_keys
from toro_core.auth.signer import new_client_key, read_private_key
from toro_core.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from tests.toro_core.auth.conftest import KeyPair, World


def _set(*jwks: Any) -> bytes:
    return json.dumps({"keys": [dict(jwk) for jwk in jwks]}).encode()


def _pem(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded


async def test_a_client_is_found_as_it_was_registered(world: World, ec_pair: KeyPair) -> None:
    added = await world.register(ec_pair, name="Lab", scopes=("system/Patient.rs", "system/Observation.read"))
    assert await world.authority.clients.get("partner") == added
    assert await world.authority.clients.list() == (added,)
    assert (added.status, added.created) == ("active", world.clock.now)
    assert [key.kid for key in added.public_keys()] == ["ec-1"]


async def test_ids_are_made_where_none_is_given_and_never_taken_over(world: World, ec_pair: KeyPair) -> None:
    first = await world.register(ec_pair, client_id=None)
    second = await world.register(ec_pair, client_id=None)
    assert first.id != second.id
    with pytest.raises(AlreadyExists, match=first.id):
        await world.register(ec_pair, client_id=first.id)
    await world.authority.clients.revoke(first.id)
    with pytest.raises(AlreadyExists):
        await world.register(ec_pair, client_id=first.id)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"client_id": ""}, "client id"),
        ({"client_id": "two words"}, "client id"),
        ({"client_id": 'quo"te'}, "client id"),
        ({"client_id": "x" * 201}, "client id"),
        ({"name": " "}, "name"),
        ({"scopes": ()}, "scope"),
        ({"scopes": ("system/Patient.sr",)}, "Patient.sr"),
        ({"scopes": ("user/Patient.rs",)}, "user/Patient.rs"),
        ({"expires": 1.0}, "expired"),
        ({"jwks": None}, "exactly one"),
        ({"jwks": b"nonsense"}, "neither JSON nor PEM"),
        ({"jwks_url": "http://partner.example/jwks"}, "https"),
        ({"jwks_url": "ftp://partner.example/jwks"}, "https"),
        ({"jwks_url": "https:///jwks"}, "https"),
        ({"jwks_url": "https://user:pw@partner.example/jwks"}, "password"),
        ({"jwks_url": "https://partner.example/jwks#x"}, "fragment"),
        ({"jwks_url": "http://127.0.0.1.example.org/jwks"}, "https"),
    ],
)
async def test_a_bad_registration_is_refused_with_its_reason(
    world: World, ec_pair: KeyPair, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(RegistrationRefused, match=words):
        await world.register(ec_pair, **options)
    assert not world.states.records


@pytest.mark.parametrize(
    "url", ["https://p.example/jwks", "http://localhost:9/j", "http://127.0.0.1:9/j", "http://[::1]:9/j"]
)
async def test_a_jwks_url_is_https_or_on_this_machine(world: World, url: str) -> None:
    assert (await world.register(jwks_url=url)).jwks_url == url


async def test_a_revoked_client_stays_revoked(world: World, ec_pair: KeyPair) -> None:
    clients = world.authority.clients
    await world.register(ec_pair)
    assert (await clients.suspend("partner")).status == "suspended"
    assert (await clients.resume("partner")).status == "active"
    assert (await clients.revoke("partner")).status == "revoked"
    assert (await clients.revoke("partner")).status == "revoked"
    with pytest.raises(RegistrationRefused, match="for good"):
        await clients.resume("partner")
    with pytest.raises(NotFound, match="nobody"):
        await clients.revoke("nobody")


def test_pem_keys_become_jwks_named_by_their_thumbprint(ec_pair: KeyPair, rsa_pair: KeyPair) -> None:
    public = rsa_pair.private.public_key()
    pkcs1 = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    keys = read_keys(_pem(ec_pair.private.public_key()) + b"\n" + _pem(public))
    assert [(key.algorithm, key.kid) for key in keys] == [
        ("ES384", thumbprint(ec_pair.jwk)),
        ("RS384", thumbprint(rsa_pair.jwk)),
    ]
    assert read_keys(pkcs1)[0].kid == thumbprint(rsa_pair.jwk)


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5haj"
        "rn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    (key,) = read_keys(_set({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS384"}))
    assert key.kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_one_jwk_without_a_set_is_read_and_inferno_style_members_are_accepted(ec_pair: KeyPair) -> None:
    (key,) = read_keys(json.dumps({**ec_pair.jwk, "key_ops": ["verify"], "alg": "ES384", "use": "sig"}).encode())
    assert key.as_jwk()["kid"] == "ec-1"


def test_unfit_keys_are_refused_at_registration_and_left_out_of_fetched_sets(
    ec_pair: KeyPair, rsa_pair: KeyPair, p256_pair: KeyPair, small_rsa_pair: KeyPair
) -> None:
    private = {**ECAlgorithm.to_jwk(ec_pair.private, as_dict=True), "kid": "secret"}
    unfit = {
        "private": private,
        "1024 bits": small_rsa_pair.jwk,
        "P-384": p256_pair.jwk,
        "another algorithm": {**rsa_pair.jwk, "alg": "RS256"},
        "not for signatures": {**rsa_pair.jwk, "use": "enc"},
        "key_ops": {**rsa_pair.jwk, "key_ops": ["encrypt"]},
        "neither RSA nor EC": {"kty": "oct", "k": "c2VjcmV0"},
        "neither RSA": {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        "lacks": {"kty": "RSA", "n": "AQAB"},
        "well-formed": {**ec_pair.jwk, "x": "AAAA"},
        "kid": {**ec_pair.jwk, "kid": 7},
    }
    for word, jwk in unfit.items():
        with pytest.raises(KeyRefused, match=word):
            read_keys(_set(ec_pair.jwk, jwk))
    kept = usable_keys(_set(*unfit.values(), ec_pair.jwk, rsa_pair.jwk))
    assert [key.kid for key in kept] == ["ec-1", "rsa-1"]


def test_other_documents_are_refused(ec_pair: KeyPair) -> None:
    pkcs8 = ec_pair.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    documents = {
        "private key": pkcs8,
        "no whole": _pem(ec_pair.private.public_key())[:80],
        "damaged": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "CERTIFICATE": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "ES384 needs": _pem(Ed25519PrivateKey.generate().public_key()),
        "empty": b'{"keys": []}',
        "no JWK Set": b"[]",
        "list of keys": b'{"keys": [1]}',
        "neither JSON": b"[" * 5000,
        "bytes": b" " * 70_000,
        "at most 50": _set(*[ec_pair.jwk] * 51),
        "kid ec-1": _set(ec_pair.jwk, ec_pair.jwk),
    }
    for word, content in documents.items():
        with pytest.raises(KeyRefused, match=word):
            read_keys(content)


def test_a_new_client_key_signs_and_its_public_half_registers() -> None:
    private, public = new_client_key()
    assert "d" in private
    assert "d" not in public
    (key,) = read_keys(_set(public))
    assert key.kid == read_private_key(json.dumps(private).encode()).kid == thumbprint(public)


def test_private_keys_are_read_from_jwk_set_and_pem(rsa_pair: KeyPair, p256_pair: KeyPair) -> None:
    private, public = new_client_key()
    assert read_private_key(_set(private)).algorithm == "ES384"
    pem = rsa_pair.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert read_private_key(pem).algorithm == "RS384"
    refused = {
        "public key": json.dumps(public).encode(),
        "exactly one": _set(private, private),
        "neither": b"hello",
        "well-formed": json.dumps({"kty": "EC", "d": "AA"}).encode(),
        "P-384": json.dumps(ECAlgorithm.to_jwk(p256_pair.private, as_dict=True)).encode(),
        "unencrypted": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    }
    for word, content in refused.items():
        with pytest.raises(KeyRefused, match=word):
            read_private_key(content)
