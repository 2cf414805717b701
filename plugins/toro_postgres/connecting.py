"""A connection, or a clear word on why there is none.

libpq's own words name hosts and users and, where a URL was mistyped, parts of passwords. They go into neither errors nor logs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

from toro_core.errors import StorageBusy, Unsupported

__all__ = ["OLDEST", "Session", "connect", "refusal"]

OLDEST: Final = 14
"""The oldest version of PostgreSQL that is supported."""

_SIGNS: Final = tuple(
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        (
            "password authentication failed",
            "refuses the user or the password; look at the storage URL, PGPASSWORD and PGPASSFILE",
        ),
        ("no password supplied", "asks for a password; give it by PGPASSWORD or PGPASSFILE"),
        ('role "[^"]*" does not exist', "does not know the user; create it, or look at the storage URL"),
        ('database "[^"]*" does not exist', "does not have the database; create it, or look at the storage URL"),
        ("permission denied for database", "does not let the user connect to the database; GRANT CONNECT ON DATABASE"),
        ("pg_hba.conf|authentication failed", "does not let the user in from here; look at its pg_hba.conf"),
        ("SSL|TLS|certificate", "and this side do not agree on TLS; look at sslmode and the certificates"),
        ("too many (clients|connections)|connection slots", "has no connection left; look at max_connections"),
        ("starting up|shutting down|not yet accepting", "is starting or stopping; try again"),
        (
            "read-only|hot standby|in recovery",
            "takes no writes: it is a standby, or read-only by its default_transaction_read_only; name the primary",
        ),
        (
            "resolve host|translate host name",
            "is not to be found: the host's name is unknown; look at the storage URL, in which @ : / of a password are %40 %3A %2F",
        ),
        (
            "refused|No such file|[Tt]imed? ?out|[Tt]imeout|[Uu]nreachable|No route",
            "does not answer; look at the storage URL, and whether the server runs and listens there",
        ),
    )
)
"""What libpq and the server say in English, the most telling first, and what that means."""
_OTHERWISE: Final = "does not answer, or refuses; look at the storage URL and the server's log"


class Session(AsyncConnection[tuple[Any, ...]]):
    """A connection of the pool. It `is_in_doubt` where PostgreSQL has warned at a commit that standbys may not have it."""

    is_in_doubt: bool = False

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Session:
        """Connect. Raises OperationalError, in whose words the pool logs it."""
        try:
            connection = await super().connect(conninfo, **options)
        except psycopg.Error as error:
            raise psycopg.OperationalError(str(refusal(error))) from None
        connection.add_notice_handler(connection._hear)
        return connection

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING" and notice.sqlstate == "01000":
            self.is_in_doubt = True


async def connect(parameters: Mapping[str, Any], **options: Any) -> AsyncConnection[tuple[Any, ...]]:
    """Connect for the first time. Raises StorageBusy with the reason, Unsupported for a server that is too old."""
    try:
        connection = await AsyncConnection.connect("", **parameters, **options)
    except psycopg.Error as error:
        raise refusal(error) from None
    found = connection.info.server_version // 10_000
    if found < OLDEST:
        await connection.close()
        raise Unsupported(f"PostgreSQL {found} is too old; Toro needs {OLDEST} or later")
    return connection


def refusal(error: psycopg.Error) -> StorageBusy:
    """Say why there is no connection; of several hosts' reasons the most telling."""
    said = str(error)
    meanings = [meaning for pattern, meaning in _SIGNS if pattern.search(said)]
    return StorageBusy(f"PostgreSQL {meanings[0] if meanings else _OTHERWISE}")
