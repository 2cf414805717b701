from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from toro_core.auth.errors import InvalidClient, InvalidRequest
from toro_core.auth.signer import new_client_key, read_private_key, sign_assertion

if TYPE_CHECKING:
    from tests.toro_core.auth.conftest import KeyPair, World


def _segment(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _hmac_jwt(claims: dict[str, Any], secret: bytes) -> str:
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
    return f"{signed}.{_segment(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


@pytest.mark.parametrize("key", ["rsa_pair", "ec_pair"])
async def test_a_good_assertion_of_either_algorithm_gets_a_token(
    world: World, request: pytest.FixtureRequest, key: str
) -> None:
    pair: KeyPair = request.getfixturevalue(key)
    await world.register(pair)
    issued = await world.exchange(pair.sign(world.claims()))
    assert (await world.authority.verify(issued.access_token)).client_id == "partner"
    assert issued.scopes == ("system/Patient.rs",)
    assert issued.expires_in == 300


async def test_an_assertion_as_toro_signs_it_is_accepted(world: World) -> None:
    private, public = new_client_key()
    await world.authority.clients.add(
        name="Own", scopes=("system/*.rs",), jwks=json.dumps({"keys": [public]}).encode(), client_id="own"
    )
    key = read_private_key(json.dumps(private).encode())
    assertion = sign_assertion(key, client_id="own", token_url=world.token_url, now=world.clock.now)
    assert (await world.exchange(assertion)).access_token


# After the signature has verified: what is changed in good claims, and what the description has to say.
NAMED: dict[str, tuple[Callable[[float], dict[str, Any]], list[str]]] = {
    "aud of another server": (
        lambda now: {"aud": "https://other.example/token"},
        ["aud", "other.example", "/auth/token"],
    ),
    "aud with a slash more": (lambda now: {"aud": "https://fhir.example.org/auth/token/"}, ["aud"]),
    "aud in a list": (lambda now: {"aud": ["https://fhir.example.org/auth/token"]}, ["aud", "not as a list"]),
    "several aud": (lambda now: {"aud": ["https://fhir.example.org/auth/token", "https://b.example"]}, ["aud", "list"]),
    "aud missing": (lambda now: {"aud": ...}, ["aud", "none"]),
    "aud null": (lambda now: {"aud": None}, ["aud", "null"]),
    "exp missing": (lambda now: {"exp": ...}, ["exp", "number"]),
    "exp a string": (lambda now: {"exp": str(int(now) + 300)}, ["exp", "number", "string"]),
    "exp a boolean": (lambda now: {"exp": True}, ["exp", "number", "true"]),
    "exp too far": (lambda now: {"exp": now + 361}, ["exp", "at most 300 s"]),
    "exp a year ahead": (lambda now: {"exp": now + 31_536_000}, ["exp", "at most 300 s"]),
    "exp a huge number": (lambda now: {"exp": 10**40}, ["exp", "at most"]),
    "exp now": (lambda now: {"exp": now}, ["exp", "passed"]),
    "exp past": (lambda now: {"exp": now - 1}, ["exp", "passed"]),
    "nbf too far": (lambda now: {"nbf": now + 61}, ["nbf", "time that has come"]),
    "nbf a string": (lambda now: {"nbf": "0"}, ["nbf", "number"]),
    "iat too far": (lambda now: {"iat": now + 61}, ["iat", "time that has come"]),
    "iat a boolean": (lambda now: {"iat": False}, ["iat", "number"]),
    "sub of another": (lambda now: {"sub": "somebody"}, ["sub", "partner", "somebody"]),
    "sub missing": (lambda now: {"sub": ...}, ["sub", "none"]),
    "sub a list": (lambda now: {"sub": ["partner"]}, ["sub"]),
    "jti missing": (lambda now: {"jti": ...}, ["jti"]),
    "jti empty": (lambda now: {"jti": ""}, ["jti"]),
    "jti huge": (lambda now: {"jti": "j" * 513}, ["jti", "512"]),
    "jti a number": (lambda now: {"jti": 7}, ["jti"]),
}


@pytest.mark.parametrize("defect", NAMED)
async def test_once_the_signature_verifies_the_failed_check_is_named(
    world: World, ec_pair: KeyPair, defect: str
) -> None:
    change, words = NAMED[defect]
    await world.register(ec_pair)
    with pytest.raises(InvalidClient) as refused:
        await world.exchange(ec_pair.sign(world.claims(**change(world.clock.now))))
    assert all(word in str(refused.value) for word in words), str(refused.value)
    assert refused.value.correlation_id is None
    assert not set('"\\') & set(str(refused.value))
    assert not [key for key in world.states.records if key.startswith("auth/jti/")]


@pytest.mark.parametrize(
    "change",
    [
        lambda now: {"exp": now + 360},
        lambda now: {"exp": now + 0.5},
        lambda now: {"nbf": now + 60, "iat": now + 60},
        lambda now: {"nbf": 0, "iat": 0},
        lambda now: {"jti": "j" * 512},
    ],
)
async def test_what_lies_just_inside_a_bound_is_accepted(
    world: World, ec_pair: KeyPair, change: Callable[[float], dict[str, Any]]
) -> None:
    await world.register(ec_pair)
    assert (await world.exchange(ec_pair.sign(world.claims(**change(world.clock.now))))).access_token


# Before the signature has verified: how the assertion is made, and what the log says.
UNPROVED: dict[str, tuple[Callable[[World, KeyPair, KeyPair], str], str]] = {
    "unknown client": (lambda w, e, r: e.sign(w.claims(iss="nobody", sub="nobody")), "no client is registered"),
    "iss missing": (lambda w, e, r: e.sign(w.claims(iss=...)), "iss"),
    "iss a number": (lambda w, e, r: e.sign(w.claims(iss=7)), "iss"),
    "another's key": (lambda w, e, r: r.sign(w.claims(), kid="ec-1"), "ES384 key|RS384 key"),
    "alg RS256": (lambda w, e, r: r.sign(w.claims(), algorithm="RS256"), "alg"),
    "alg PS384": (lambda w, e, r: r.sign(w.claims(), algorithm="PS384"), "alg"),
    "alg none": (lambda w, e, r: f"{_segment({'alg': 'none'})}.{_segment(w.claims())}.", "three parts"),
    "alg none with a signature": (lambda w, e, r: f"{_segment({'alg': 'none'})}.{_segment(w.claims())}.AAAA", "alg"),
    "alg a list": (lambda w, e, r: f"{_segment({'alg': ['ES384']})}.{_segment(w.claims())}.AAAA", "alg"),
    "alg missing": (lambda w, e, r: f"{_segment({'typ': 'JWT'})}.{_segment(w.claims())}.AAAA", "alg"),
    "typ of access tokens": (lambda w, e, r: e.sign(w.claims(), typ="at+jwt"), "typ"),
    "crit": (lambda w, e, r: e.sign(w.claims(), crit=["exp"], exp=1), "crit"),
    "jku where keys are inline": (lambda w, e, r: e.sign(w.claims(), jku="https://evil.example/jwks"), "jku"),
    "kid a number": (lambda w, e, r: f"{_segment({'alg': 'ES384', 'kid': 7})}.{_segment(w.claims())}.AAAA", "kid"),
    "two parts": (lambda w, e, r: e.sign(w.claims()).rpartition(".")[0], "three parts"),
    "truncated": (lambda w, e, r: e.sign(w.claims())[:-10], "signature"),
    "payload changed": (
        lambda w, e, r: ".".join(
            [e.sign(w.claims()).split(".")[0], _segment(w.claims(jti="x")), e.sign(w.claims()).split(".")[2]]
        ),
        "signature",
    ),
    "payload no JSON": (lambda w, e, r: e.sign(b"not json"), "payload is not JSON"),
    "payload nested deep": (lambda w, e, r: e.sign(b"[" * 5000), "payload is not JSON"),
    "payload a list": (lambda w, e, r: e.sign(b"[]"), "JSON object"),
    "header no JSON": (lambda w, e, r: f"{_segment(b'{')}.{_segment(w.claims())}.AAAA", "header is not JSON"),
    "no base64url": (lambda w, e, r: "a=.b+.c", "base64url"),
    "not a token": (lambda w, e, r: "hello", "three parts"),
    "huge": (lambda w, e, r: e.sign(w.claims(extra="x" * 20_000)), "longer than"),
}


@pytest.mark.parametrize("defect", UNPROVED)
async def test_before_the_signature_verifies_only_the_log_tells_the_reason(
    world: World, ec_pair: KeyPair, rsa_pair: KeyPair, defect: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, reason = UNPROVED[defect]
    await world.register(ec_pair)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InvalidClient) as refused:
        await world.exchange(make(world, ec_pair, rsa_pair))
    (line,) = [json.loads(record.getMessage()) for record in caplog.records if record.name == "toro.auth"]
    assert refused.value.correlation_id
    assert line["correlation_id"] == refused.value.correlation_id
    assert any(part in line["reason"] for part in reason.split("|")), line
    generic = str(refused.value).replace(refused.value.correlation_id, "ID")
    assert generic == "the client could not be authenticated; the operator finds the reason in the log under ID"


async def test_the_public_key_is_no_hmac_secret(world: World, rsa_pair: KeyPair) -> None:
    await world.register(rsa_pair)
    public = rsa_pair.private.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(dict(rsa_pair.jwk)).encode(),
    ):
        with pytest.raises(InvalidClient):
            await world.exchange(_hmac_jwt(world.claims(), secret))


async def test_es256_and_small_rsa_keys_do_not_sign_for_a_client(
    world: World, rsa_pair: KeyPair, ec_pair: KeyPair, p256_pair: KeyPair, small_rsa_pair: KeyPair
) -> None:
    await world.register(rsa_pair, ec_pair)
    with pytest.raises(InvalidClient):
        await world.exchange(p256_pair.sign(world.claims(), algorithm="ES256", kid="ec-1"))
    with pytest.warns(match="1024|below"), pytest.raises(InvalidClient):
        await world.exchange(small_rsa_pair.sign(world.claims(), kid="rsa-1"))


async def test_a_kid_that_is_registered_chooses_the_key_alone(
    world: World, ec_pair: KeyPair, other_ec_pair: KeyPair
) -> None:
    await world.register(ec_pair, other_ec_pair)
    assert (await world.exchange(other_ec_pair.sign(world.claims()))).access_token
    with pytest.raises(InvalidClient):
        await world.exchange(other_ec_pair.sign(world.claims(), kid="ec-1"))


@pytest.mark.parametrize("headers", [{"kid": "unheard-of"}, {"kid": None}])
async def test_where_no_key_is_named_the_only_one_that_fits_is_taken(
    world: World, ec_pair: KeyPair, rsa_pair: KeyPair, headers: dict[str, Any]
) -> None:
    await world.register(ec_pair, rsa_pair)
    assertion = _without_kid(ec_pair, world) if headers["kid"] is None else ec_pair.sign(world.claims(), **headers)
    assert (await world.exchange(assertion)).access_token


@pytest.mark.parametrize("named", [True, False])
async def test_where_two_keys_fit_and_none_is_named_the_client_is_refused(
    world: World, ec_pair: KeyPair, other_ec_pair: KeyPair, named: bool
) -> None:
    await world.register(ec_pair, other_ec_pair)
    assertion = ec_pair.sign(world.claims(), kid="unheard-of") if named else _without_kid(ec_pair, world)
    with pytest.raises(InvalidClient):
        await world.exchange(assertion)


async def test_a_thumbprint_names_a_key_too(world: World, ec_pair: KeyPair, other_ec_pair: KeyPair) -> None:
    client = await world.register(ec_pair, other_ec_pair)
    thumbprint = client.public_keys()[0].thumbprint
    assert (await world.exchange(ec_pair.sign(world.claims(), kid=thumbprint))).access_token


def _without_kid(pair: KeyPair, world: World) -> str:
    return jwt.encode(world.claims(), pair.private, algorithm=pair.algorithm)


async def test_an_assertion_counts_once_in_all_processes(world: World, ec_pair: KeyPair) -> None:
    await world.register(ec_pair)
    assertion = ec_pair.sign(world.claims())
    await world.exchange(assertion)
    for authority in (world.authority, world.another()):
        with pytest.raises(InvalidClient, match="jti: expected one not used before"):
            await authority.exchange(assertion, ["system/Patient.rs"], world.token_url)


async def test_a_jti_is_remembered_until_its_assertion_has_expired(world: World, ec_pair: KeyPair) -> None:
    await world.register(ec_pair)
    assertion = ec_pair.sign(world.claims(exp=world.clock.now + 360))
    await world.exchange(assertion)
    world.clock.now += 359.9
    with pytest.raises(InvalidClient, match="not used before"):
        await world.exchange(assertion)


async def test_clients_do_not_spend_each_others_jti(world: World, ec_pair: KeyPair, other_ec_pair: KeyPair) -> None:
    await world.register(ec_pair)
    await world.register(other_ec_pair, client_id="second")
    await world.exchange(ec_pair.sign(world.claims(jti="same")))
    await world.exchange(other_ec_pair.sign(world.claims(iss="second", sub="second", jti="same")))


async def test_a_failed_assertion_does_not_spend_its_jti(world: World, ec_pair: KeyPair) -> None:
    await world.register(ec_pair)
    with pytest.raises(InvalidClient):
        await world.exchange(ec_pair.sign(world.claims(jti="again", aud="https://wrong.example")))
    assert (await world.exchange(ec_pair.sign(world.claims(jti="again")))).access_token


async def test_aud_may_be_a_list_only_where_configured(world: World, ec_pair: KeyPair) -> None:
    await world.register(ec_pair)
    lenient = world.another(allow_audience_list=True)
    both = [world.token_url, "https://b.example"]
    assert (await lenient.exchange(ec_pair.sign(world.claims(aud=both)), ["system/*.rs"], world.token_url)).access_token
    with pytest.raises(InvalidClient, match="aud"):
        await lenient.exchange(ec_pair.sign(world.claims(aud=both[1:])), ["system/*.rs"], world.token_url)


@pytest.mark.parametrize("status", ["suspended", "revoked"])
async def test_a_client_that_is_not_active_learns_so_only_by_its_signature(
    world: World, ec_pair: KeyPair, other_ec_pair: KeyPair, status: str
) -> None:
    await world.register(ec_pair)
    await (world.authority.clients.suspend if status == "suspended" else world.authority.clients.revoke)("partner")
    with pytest.raises(InvalidClient, match=status):
        await world.exchange(ec_pair.sign(world.claims()))
    with pytest.raises(InvalidClient) as refused:
        await world.exchange(other_ec_pair.sign(world.claims(), kid="ec-1"))
    assert status not in str(refused.value)


async def test_a_registration_that_has_expired_is_refused_and_no_token_outlives_it(
    world: World, ec_pair: KeyPair
) -> None:
    await world.register(ec_pair, expires=world.clock.now + 100)
    assert (await world.exchange(ec_pair.sign(world.claims()))).expires_in == 100
    world.clock.now += 100
    with pytest.raises(InvalidClient, match="registration has expired"):
        await world.exchange(ec_pair.sign(world.claims()))


async def test_a_missing_assertion_or_a_foreign_token_url_is_an_invalid_request(world: World, ec_pair: KeyPair) -> None:
    await world.register(ec_pair)
    with pytest.raises(InvalidRequest, match="client_assertion"):
        await world.exchange("")
    pinned = world.another(token_url=world.token_url)
    stolen = ec_pair.sign(world.claims(aud="https://other.example/token"))
    with pytest.raises(InvalidRequest, match="token endpoint"):
        await pinned.exchange(stolen, ["system/*.rs"], "https://other.example/token")


async def test_no_log_line_carries_an_assertion_a_token_or_a_claim(
    world: World, ec_pair: KeyPair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await world.register(ec_pair)
    good = ec_pair.sign(world.claims(jti="canary-jti", note="canary-note"))
    issued = await world.exchange(good)
    await world.authority.verify(issued.access_token)
    sent = [good, ec_pair.sign(world.claims(aud="https://canary-aud.example")), "canary.canary.canary"]
    sent.append(ec_pair.sign(world.claims(iss="canary-iss", sub="canary-iss")))
    for assertion in sent:
        with pytest.raises(InvalidClient):
            await world.exchange(assertion)
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "client_refused" in logged
    assert "canary" not in logged
    for secret in (*sent, issued.access_token):
        assert not any(part in logged for part in secret.split(".") if len(part) > 10)
