"""What it costs to know again who is calling."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import jwt

from bench.client import in_process
from bench.corpus import Corpus
from bench.rounds import Row, Target, compare, take
from toro_core.auth.authority import Authority
from toro_core.auth.jwks import PublicKey, read_keys
from toro_core.settings import Settings

__all__ = ["measure_tokens"]


async def measure_tokens(corpus: Corpus, *, repeats: int, rounds: int) -> Row:
    """Compare the check of a token seen before with the verification of its signature alone."""
    async with in_process(corpus.database) as core:
        settings = Settings()
        authority = Authority(core.storage, issuer=settings.base(), audience=settings.fhir_base())
        keys = {key.kid: key for key in read_keys(await authority.jwks())}
        key = keys[jwt.get_unverified_header(core.token)["kid"]]
        samples = {
            "verified": _verified(core.token, key, max(1, repeats // 4)),
            "cached": _cached(core.token, authority, repeats * 50),
        }
        taken = await take(samples, rounds=rounds)
    target = Target(kind="at most", ratio=0.01)
    return compare("cached token check", "µs CPU", taken["cached"], "ES384 verification", taken["verified"], target)


def _verified(token: str, key: PublicKey, repeats: int) -> Callable[[], Awaitable[float]]:
    async def sample() -> float:
        started = time.process_time()
        for _ in range(repeats):
            jwt.PyJWS().decode_complete(token, key.material, algorithms=["ES384"])
        return (time.process_time() - started) / repeats * 1e6

    return sample


def _cached(token: str, authority: Authority, repeats: int) -> Callable[[], Awaitable[float]]:
    async def sample() -> float:
        started = time.process_time()
        for _ in range(repeats):
            await authority.verify(token)
        return (time.process_time() - started) / repeats * 1e6

    return sample
