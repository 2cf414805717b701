"""Fetch clients' JWK Sets from their registered URLs, as RFC 9111 lets them be cached."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from toro_core.auth.jwks import MAX_JWKS_BYTES, KeyRefused, PublicKey, usable_keys

__all__ = ["FetchFailed", "JwksUrls", "check_jwks_url", "is_protected"]

_TIMEOUT: Final = 5.0
_DEFAULT_LIFETIME: Final = 300.0
# A key the client has withdrawn is gone from here within this time, whatever its server says.
_MAX_LIFETIME: Final = 3600.0
# Anybody can name a key that does not exist; this bounds the fetches they cause.
_FORCED_INTERVAL: Final = 10.0
_FAILURE_LIFETIME: Final = 2.0
_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,10})", re.IGNORECASE)


class FetchFailed(Exception):
    """The JWK Set could not be fetched; the message says why, for the operator's log."""


def is_protected(url: httpx.URL) -> bool:
    """Say whether what travels to this URL is safe from others: https, or http to this machine."""
    if url.scheme == "https":
        return True
    if url.host == "localhost":
        return url.scheme == "http"
    try:
        return url.scheme == "http" and ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False


def check_jwks_url(text: str) -> str | None:
    """Say what keeps this from being a JWKS URL, or None."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return "the JWKS URL is malformed"
    if not url.host or not is_protected(url):
        return "a JWKS URL is https; http is accepted for this machine only"
    if url.userinfo or url.fragment:
        return "a JWKS URL has neither user, password nor fragment"
    return None


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    keys: tuple[PublicKey, ...] = ()
    failure: str | None = None
    fetched_at: float = float("-inf")
    fresh_until: float = float("-inf")
    forced_at: float = float("-inf")

    def answer(self) -> tuple[PublicKey, ...]:
        """Return what the last fetch found. Raises FetchFailed."""
        if self.failure is not None:
            raise FetchFailed(self.failure)
        return self.keys


class JwksUrls:
    """The keys behind JWKS URLs, one fetch at a time for each."""

    def __init__(
        self, *, transport: httpx.AsyncBaseTransport | None = None, timer: Callable[[], float] = time.monotonic
    ) -> None:
        """Fetch by this transport, httpx's own by default; `timer` counts seconds."""
        self._transport = transport
        self._timer = timer
        self._entries: dict[str, _Entry] = {}

    async def keys(self, url: str) -> tuple[PublicKey, ...]:
        """Return the keys at the URL, from the cache while it is fresh. Raises FetchFailed."""
        entry = self._entries.setdefault(url, _Entry())
        asked_at = self._timer()
        if asked_at >= entry.fresh_until:
            await self._fetch_since(asked_at, entry, url)
        return entry.answer()

    async def refreshed(self, url: str) -> tuple[PublicKey, ...] | None:
        """Fetch again although the cache is fresh, as no key in it fits; None where that was just done. Raises FetchFailed."""
        entry = self._entries.setdefault(url, _Entry())
        asked_at = self._timer()
        if asked_at - entry.forced_at < _FORCED_INTERVAL:
            return None
        entry.forced_at = asked_at
        await self._fetch_since(asked_at, entry, url)
        return entry.answer()

    async def _fetch_since(self, asked_at: float, entry: _Entry, url: str) -> None:
        async with entry.lock:
            # Fetched while this call waited for the lock: as good as an own fetch.
            if entry.fetched_at >= asked_at:
                return
            entry.fetched_at = self._timer()
            lifetime = _FAILURE_LIFETIME
            try:
                async with asyncio.timeout(_TIMEOUT):
                    content, headers = await self._fetch(url)
                entry.keys, entry.failure, lifetime = usable_keys(content), None, _lifetime(headers)
            except TimeoutError:
                entry.failure = f"the JWKS URL did not answer within {_TIMEOUT:g} s"
            except httpx.HTTPError as error:
                entry.failure = f"the JWKS URL cannot be reached ({type(error).__name__})"
            except KeyRefused as refused:
                entry.failure = f"the JWKS URL answered no JWK Set: {refused}"
            except FetchFailed as failed:
                entry.failure = str(failed)
            entry.fresh_until = entry.fetched_at + lifetime

    async def _fetch(self, url: str) -> tuple[bytes, Mapping[str, str]]:
        # Identity and raw bytes: a compressed answer could unfold to any size. No redirects: only this URL is registered.
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        async with (
            httpx.AsyncClient(transport=self._transport, follow_redirects=False, timeout=_TIMEOUT) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise FetchFailed(f"the JWKS URL answered {response.status_code}; it has to answer 200 itself")
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > MAX_JWKS_BYTES:
                    raise FetchFailed(f"the JWKS URL answered more than {MAX_JWKS_BYTES} bytes")
            return bytes(content), response.headers


def _lifetime(headers: Mapping[str, str]) -> float:
    control = headers.get("cache-control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return 0.0
    if (match := _MAX_AGE.search(control)) is None:
        return _DEFAULT_LIFETIME
    age = headers.get("age", "")
    return max(0.0, min(float(match[1]), _MAX_LIFETIME) - (float(age) if age.isascii() and age.isdigit() else 0.0))
