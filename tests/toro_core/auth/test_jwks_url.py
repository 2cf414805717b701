from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from toro_core.auth.errors import InvalidClient
from toro_core.auth.jwks_url import FetchFailed, JwksUrls

if TYPE_CHECKING:
    from tests.toro_core.auth.conftest import KeyPair, World

URL = "https://partner.example/jwks.json"


class Partner:
    """The partner's server: answers with these keys and headers, counts the fetches."""

    def __init__(self, *keys: KeyPair, **headers: str) -> None:
        self.keys = keys
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.status = 200
        self.content: bytes | None = None
        self.requests: list[httpx.Request] = []

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await asyncio.sleep(0)
        content = self.content
        if content is None:
            content = json.dumps({"keys": [dict(key.jwk) for key in self.keys]}).encode()
        return httpx.Response(self.status, stream=httpx.ByteStream(content), headers=self.headers)


async def _fetch_twice(partner: Partner, world: World, seconds: float) -> int:
    urls = JwksUrls(transport=partner.transport(), timer=world.clock)
    await urls.keys(URL)
    world.clock.now += seconds
    await urls.keys(URL)
    return len(partner.requests)


@pytest.mark.parametrize(
    ("headers", "seconds", "fetches"),
    [
        ({"cache_control": "max-age=60"}, 59, 1),
        ({"cache_control": "max-age=60"}, 60, 2),
        ({"cache_control": "public, MAX-AGE=60"}, 59, 1),
        ({"cache_control": "public, max-age=60", "age": "50"}, 11, 2),
        ({"cache_control": "max-age=0"}, 0.1, 2),
        ({"cache_control": "no-store"}, 0.1, 2),
        ({"cache_control": "no-cache, max-age=60"}, 0.1, 2),
        ({"cache_control": "max-age=99999999"}, 3599, 1),
        ({"cache_control": "max-age=99999999"}, 3600, 2),
        ({"cache_control": "s-maxage=1"}, 299, 1),
        ({}, 299, 1),
        ({}, 300, 2),
    ],
)
async def test_a_jwk_set_is_kept_as_long_as_its_headers_allow(
    world: World, ec_pair: KeyPair, headers: dict[str, str], seconds: float, fetches: int
) -> None:
    assert await _fetch_twice(Partner(ec_pair, **headers), world, seconds) == fetches


async def test_callers_at_the_same_time_share_one_fetch(world: World, ec_pair: KeyPair) -> None:
    partner = Partner(ec_pair, cache_control="no-store")
    urls = JwksUrls(transport=partner.transport(), timer=world.clock)
    await asyncio.gather(*(urls.keys(URL) for _ in range(20)))
    assert len(partner.requests) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": 302, "headers": {"location": "https://elsewhere.example/jwks"}}, "302"),
        ({"status": 404}, "404"),
        ({"status": 500}, "500"),
        ({"content": b"x" * 70_000}, "65536 bytes"),
        ({"content": b"<html>"}, "neither JSON"),
        ({"content": b"{}"}, "keys"),
    ],
)
async def test_what_is_not_a_jwk_set_of_this_url_is_refused(world: World, change: dict[str, Any], words: str) -> None:
    partner = Partner()
    for name, value in change.items():
        setattr(partner, name, value)
    urls = JwksUrls(transport=partner.transport(), timer=world.clock)
    for _ in range(3):
        with pytest.raises(FetchFailed, match=words):
            await urls.keys(URL)
    assert [str(request.url) for request in partner.requests] == [URL]


async def test_a_failure_is_forgotten_after_two_seconds(world: World, ec_pair: KeyPair) -> None:
    partner = Partner(ec_pair)
    partner.status = 503
    urls = JwksUrls(transport=partner.transport(), timer=world.clock)
    with pytest.raises(FetchFailed):
        await urls.keys(URL)
    partner.status = 200
    world.clock.now += 2
    assert [key.kid for key in await urls.keys(URL)] == ["ec-1"]


async def test_a_server_that_cannot_be_reached_is_told_by_the_kind_of_error(world: World) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("secret detail")

    with pytest.raises(FetchFailed, match="ConnectError") as failed:
        await JwksUrls(transport=httpx.MockTransport(fail), timer=world.clock).keys(URL)
    assert "secret" not in str(failed.value)


async def _by_url(world: World, partner: Partner) -> World:
    world.authority = world.another(transport=partner.transport())
    await world.register(jwks_url=URL)
    return world


async def test_a_client_registered_by_url_is_authenticated(world: World, ec_pair: KeyPair, rsa_pair: KeyPair) -> None:
    partner = Partner(ec_pair, rsa_pair)
    await _by_url(world, partner)
    for assertion in (ec_pair.sign(world.claims()), rsa_pair.sign(world.claims(), jku=URL)):
        assert (await world.exchange(assertion)).access_token
    assert len(partner.requests) == 1
    assert partner.requests[0].headers["accept"] == "application/json"


async def test_another_jku_is_refused_and_never_fetched(world: World, ec_pair: KeyPair) -> None:
    partner = Partner(ec_pair)
    await _by_url(world, partner)
    for jku in ("https://evil.example/jwks", f"{URL}?", 7):
        with pytest.raises(InvalidClient):
            await world.exchange(ec_pair.sign(world.claims(), jku=jku))
    assert not partner.requests


@pytest.mark.parametrize("same_kid", [False, True])
async def test_a_rotated_key_is_found_by_fetching_once_more(
    world: World, ec_pair: KeyPair, other_ec_pair: KeyPair, same_kid: bool
) -> None:
    partner = Partner(ec_pair)
    await _by_url(world, partner)
    await world.exchange(ec_pair.sign(world.claims()))
    kid = "ec-1" if same_kid else "ec-2"
    partner.content = json.dumps({"keys": [{**other_ec_pair.jwk, "kid": kid}]}).encode()
    world.clock.now += 1
    assert (await world.exchange(other_ec_pair.sign(world.claims(), kid=kid))).access_token
    assert len(partner.requests) == 2


async def test_senders_of_unknown_keys_cause_one_fetch_in_ten_seconds(
    world: World, ec_pair: KeyPair, rsa_pair: KeyPair
) -> None:
    partner = Partner(ec_pair)
    await _by_url(world, partner)
    await world.exchange(ec_pair.sign(world.claims()))
    for second in range(12):
        world.clock.now += 1
        with pytest.raises(InvalidClient):
            await world.exchange(rsa_pair.sign(world.claims(), kid=f"unheard-{second}"))
    assert len(partner.requests) == 3
