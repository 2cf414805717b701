"""A storage URL as libpq's parameters, with what Toro needs where the URL does not say."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from toro_core.errors import Unsupported

__all__ = ["parameters"]

_DEFAULTS: Final = {
    "application_name": "toro",
    "connect_timeout": "5",
    # A machine that is gone says nothing: by these it is known after some fifteen seconds, else after hours.
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "15000",
    # Of several hosts the one that takes writes; a standby is refused when it is connected to, not at the first write.
    "target_session_attrs": "read-write",
}
_WRITING: Final = ("read-write", "primary")


def parameters(url: str) -> dict[str, Any]:
    """Return what to connect with. Raises Unsupported for a URL that cannot be read, or that asks for a server to read from."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        # Its text quotes the URL, of which any part may be of a password that was not escaped.
        raise Unsupported(
            "a PostgreSQL storage URL is like postgresql://user@host:5432/database; write @ : / in a part of it as %40 %3A %2F"
        ) from None
    if given.get("target_session_attrs", _WRITING[0]) not in _WRITING:
        raise Unsupported("Toro writes: leave target_session_attrs out of the storage URL, or make it read-write")
    return {**_DEFAULTS, **given}
