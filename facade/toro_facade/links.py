"""The server's own URLs, as clients see them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from toro_core.settings import Settings, SettingsError
from toro_facade.outcome import Refused

__all__ = ["Links"]

_HERE: Final = re.compile(
    r"(?:localhost|[a-z0-9-]+\.localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE
)
_ANY: Final = re.compile(r"(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?", re.IGNORECASE)


class Links:
    """Knows the URL clients reach the server under.

    That is `base_url`. Without one, a server on loopback (or told to be `insecure`) believes the Host header, so that the same
    sandbox works as localhost, 127.0.0.1 or behind a forwarded port; no other server does, because the token URL is what
    an assertion's `aud` is compared with.
    """

    def __init__(self, settings: Settings) -> None:
        """Raise SettingsError where neither base_url nor host says a URL that clients could use."""
        loopback = _loopback(settings.host)
        self._settings = settings
        self._hosts = None if settings.base_url else _HERE if loopback else _ANY if settings.insecure else None
        if not settings.base_url and self._hosts is None and _wildcard(settings.host):
            raise SettingsError(f"{settings.host} is no address clients can use: set base_url (--base-url)")
        self._scheme = "https" if settings.tls_certificate else "http"

    def base(self, host: str) -> str:
        """Return the server's URL without a slash at its end, given the request's Host. Raises Refused (400)."""
        if self._hosts is None or not host:
            return self._settings.base()
        if not self._hosts.fullmatch(host):
            raise Refused(
                400, "invalid", "The Host header is not a name of this server; set base_url to serve another one."
            )
        return self._settings.base(f"{self._scheme}://{host}")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host
