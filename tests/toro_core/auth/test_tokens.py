from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from toro_core.auth.clients import Clients
from toro_core.auth.epoch import bump
from toro_core.auth.errors import ExpiredToken, InvalidToken
from toro_core.auth.jwks import read_keys
from toro_core.auth.keys import KeyRing
from toro_core.auth.scopes import Grant
from toro_core.auth.tokens import Tokens

if TYPE_CHECKING:
    from tests.toro_core.auth.conftest import KeyPair, World


async def _token(world: World, pair: KeyPair, scope: str = "system/Patient.rs") -> str:
    if await world.authority.clients.find("partner") is None:
        await world.register(pair)
    return (await world.exchange(pair.sign(world.claims()), scope)).access_token


async def test_a_token_is_an_rfc_9068_jwt_that_the_published_keys_verify(world: World, ec_pair: KeyPair) -> None:
    token = await _token(world, ec_pair, "system/Patient.rs system/Observation.read")
    keys = {key.kid: key for key in read_keys(await world.authority.jwks())}
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES384")
    assert b'"d"' not in await world.authority.jwks()
    claims = jwt.decode(
        token,
        keys[header["kid"]].material,
        algorithms=["ES384"],
        audience="https://fhir.example.org/fhir",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims.pop("jti")
    assert claims == {
        "iss": "https://fhir.example.org",
        "sub": "partner",
        "client_id": "partner",
        "aud": "https://fhir.example.org/fhir",
        "iat": int(world.clock.now),
        "exp": int(world.clock.now) + 300,
        "scope": "system/Patient.rs system/Observation.read",
    }


async def test_every_process_verifies_what_one_has_issued(world: World, ec_pair: KeyPair) -> None:
    token = await _token(world, ec_pair)
    caller = await world.another().verify(token)
    assert caller.client_id == "partner"
    assert caller.grants == (Grant(type="Patient", permissions="rs"),)


async def test_processes_that_start_together_agree_on_one_key(world: World) -> None:
    sets = await asyncio.gather(*(world.another().jwks() for _ in range(8)))
    assert len(set(sets)) == 1


@pytest.mark.parametrize("remembered", [False, True])
async def test_a_token_ends_when_it_expires(world: World, ec_pair: KeyPair, remembered: bool) -> None:
    token = await _token(world, ec_pair)
    world.clock.now += 299
    if remembered:
        await world.authority.verify(token)
    world.clock.now += 1
    with pytest.raises(ExpiredToken) as refused:
        await world.authority.verify(token)
    assert (refused.value.reason, refused.value.issues[0].code) == ("INVALID_TOKEN", "expired")


async def test_a_remembered_token_needs_no_storage(world: World, ec_pair: KeyPair) -> None:
    token = await _token(world, ec_pair)
    first = await world.authority.verify(token)
    world.states.reads.clear()
    assert await world.authority.verify(token) is first
    assert world.states.reads == []


@pytest.mark.parametrize("change", ["suspend", "revoke"])
async def test_a_client_taken_out_is_refused_everywhere_within_a_second(
    world: World, ec_pair: KeyPair, change: str
) -> None:
    token = await _token(world, ec_pair)
    others = [world.another() for _ in range(3)]
    for authority in others:
        await authority.verify(token)
    await getattr(world.another().clients, change)("partner")
    world.clock.now += 0.5
    for authority in others:
        with pytest.raises(InvalidToken, match="suspended or revoked"):
            await authority.verify(token)
    if change == "suspend":
        await world.authority.clients.resume("partner")
        world.clock.now += 0.5
        assert (await others[0].verify(token)).client_id == "partner"


async def test_a_revocation_during_a_verification_is_not_forgotten(world: World, ec_pair: KeyPair) -> None:
    token = await _token(world, ec_pair)
    authority = world.another()
    reached, go = asyncio.Event(), asyncio.Event()
    find = authority.clients.find

    async def slow_find(client_id: str) -> Any:
        found = await find(client_id)
        reached.set()
        await go.wait()
        return found

    authority.clients.find = slow_find  # type: ignore[method-assign]
    verifying = asyncio.create_task(authority.verify(token))
    await reached.wait()
    await world.another().clients.revoke("partner")
    world.clock.now += 0.5
    with pytest.raises(InvalidToken):
        await authority.verify("x.y.z")
    go.set()
    await verifying
    with pytest.raises(InvalidToken, match="revoked"):
        await authority.verify(token)


async def test_callers_at_the_same_time_share_one_reading_of_the_epoch(world: World, ec_pair: KeyPair) -> None:
    token = await _token(world, ec_pair)
    await world.authority.verify(token)
    world.clock.now += 1
    world.states.reads.clear()
    await asyncio.gather(*(world.authority.verify(token) for _ in range(50)))
    assert world.states.reads == ["auth/epoch"]


async def test_rotation_signs_anew_and_keeps_old_tokens_until_they_expire(world: World, ec_pair: KeyPair) -> None:
    other = world.another()
    old = await _token(world, ec_pair)
    await other.verify(old)
    await world.authority.rotate_key()
    new = await _token(world, ec_pair)
    assert jwt.get_unverified_header(new)["kid"] != jwt.get_unverified_header(old)["kid"]
    world.clock.now += 0.5
    for token in (old, new):
        assert (await other.verify(token)).client_id == "partner"
    assert len(json.loads(await other.jwks())["keys"]) == 2
    stored = json.loads(world.states.records["auth/keys"].value)["keys"]
    assert [key["private"] is None for key in stored] == [False, True]
    world.clock.now += 360
    assert [key["kid"] for key in json.loads(await other.jwks())["keys"]] == [jwt.get_unverified_header(new)["kid"]]
    await world.authority.rotate_key()
    assert len(json.loads(world.states.records["auth/keys"].value)["keys"]) == 2


async def test_a_process_that_has_not_heard_of_a_rotation_still_issues_good_tokens(
    world: World, ec_pair: KeyPair
) -> None:
    await _token(world, ec_pair)
    await world.another().rotate_key()
    late = await _token(world, ec_pair)
    assert (await world.another().verify(late)).client_id == "partner"


def _resigned(world: World, token: str, pair: KeyPair, **headers: Any) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return pair.sign(claims, **{**jwt.get_unverified_header(token), **headers})


async def test_forged_and_foreign_tokens_are_refused(
    world: World, ec_pair: KeyPair, other_ec_pair: KeyPair, rsa_pair: KeyPair
) -> None:
    token = await _token(world, ec_pair)
    header, payload, signature = token.split(".")
    kid = jwt.get_unverified_header(token)["kid"]
    forged = [
        "",
        "x",
        "a.b.c",
        "ä.ö.ü",
        "\udc80.b.c",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{header}.{payload[:-4]}AAAA.{signature}",
        token + "x" * 20_000,
        _resigned(world, token, other_ec_pair),
        _resigned(world, token, other_ec_pair, kid="ec-2"),
        _resigned(world, token, rsa_pair, alg="RS384"),
        ec_pair.sign(world.claims()),
        jwt.encode({"client_id": "partner"}, "s" * 64, algorithm="HS256", headers={"kid": kid, "typ": "at+jwt"}),
    ]
    for bad in forged:
        with pytest.raises(InvalidToken) as refused:
            await world.authority.verify(bad)
        assert refused.value.issues[0].code == "security"


async def test_what_toro_signed_for_another_purpose_is_no_access_token(world: World, ec_pair: KeyPair) -> None:
    token = await _token(world, ec_pair)
    private = json.loads(world.states.records["auth/keys"].value)["keys"][0]["private"]
    key = jwt.PyJWK(private, algorithm="ES384").key
    good = jwt.decode(token, options={"verify_signature": False})
    head = {"kid": private["kid"], "typ": "at+jwt"}
    assert await world.authority.verify(jwt.encode(good, key, algorithm="ES384", headers=head))
    for claims, headers in (
        (good, {**head, "typ": "JWT"}),
        (good, {**head, "crit": ["x"]}),
        ({**good, "iss": "https://other.example"}, head),
        ({**good, "aud": "https://other.example/fhir"}, head),
        ({**good, "aud": ["https://fhir.example.org/fhir"]}, head),
        ({**good, "exp": str(good["exp"])}, head),
        ({**good, "exp": True}, head),
        ({**good, "scope": ["system/*.rs"]}, head),
        ({**good, "client_id": "nobody"}, head),
    ):
        with pytest.raises(InvalidToken):
            await world.authority.verify(jwt.encode(claims, key, algorithm="ES384", headers=headers))


async def test_scopes_of_a_token_that_mean_nothing_here_grant_nothing(world: World, ec_pair: KeyPair) -> None:
    token = await _token(world, ec_pair)
    private = json.loads(world.states.records["auth/keys"].value)["keys"][0]["private"]
    claims = {**jwt.decode(token, options={"verify_signature": False}), "scope": "openid user/Patient.rs"}
    key = jwt.PyJWK(private, algorithm="ES384").key
    odd = jwt.encode(claims, key, algorithm="ES384", headers={"kid": private["kid"], "typ": "at+jwt"})
    assert (await world.authority.verify(odd)).grants == ()


@pytest.mark.parametrize("ttl", [0, 301])
def test_tokens_live_300_seconds_at_most(world: World, ttl: int) -> None:
    with pytest.raises(ValueError, match="300"):
        world.another(token_ttl=ttl)


async def test_the_memory_of_tokens_is_bounded_and_keeps_the_used_ones(world: World, ec_pair: KeyPair) -> None:
    client = await world.register(ec_pair)
    clients, ring = Clients(world.states, clock=world.clock), KeyRing(world.states, clock=world.clock)
    tokens = Tokens(
        world.states, clients, ring, issuer="i", audience="a", ttl=300, remember=3, clock=world.clock, timer=world.clock
    )
    used, idle, *others = [(await tokens.issue(client, ["system/Patient.rs"]))[0] for _ in range(5)]
    first_used, first_idle = await tokens.verify(used), await tokens.verify(idle)
    for other in others:
        await tokens.verify(other)
        assert await tokens.verify(used) is first_used
    assert await tokens.verify(idle) is not first_idle


async def test_a_remembered_token_costs_little_beside_its_signature(world: World, ec_pair: KeyPair) -> None:
    token = await _token(world, ec_pair)
    await bump(world.states)
    await world.authority.verify(token)

    async def cost(work: Any, times: int) -> float:
        best = float("inf")
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(times):
                await work()
            best = min(best, (time.perf_counter() - started) / times)
        return best

    async def forget_and_verify() -> None:
        fresh = world.another()
        await fresh.verify(token)

    remembered = await cost(lambda: world.authority.verify(token), 2000)
    hashing = await cost(lambda: asyncio.sleep(0, hashlib.sha256(token.encode()).digest()), 2000)
    assert remembered < 0.1 * await cost(forget_and_verify, 20) + hashing
