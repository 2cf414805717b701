"""Looking after a database: its schema, and scratch schemas beside it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg

from toro_core.errors import Unsupported
from toro_core.storage import Schema
from toro_postgres.address import parameters
from toro_postgres.cluster import spread, undistributed
from toro_postgres.connecting import connect
from toro_postgres.faults import fault
from toro_postgres.schema import SCHEMA_VERSION, Connection, migrate, version_of
from toro_postgres.sessions import Work
from toro_postgres.staging import staged

__all__ = ["PostgresUpkeep"]

T = TypeVar("T")


class PostgresUpkeep:
    """Upgrades, and stages what is restored; backups are pg_dump's, or a migration into a file."""

    async def exists(self, url: str) -> bool:
        """Look for Toro's tables."""
        return await _run(url, version_of) != 0

    async def schema(self, url: str) -> Schema:
        """Look at the schema."""
        found = await _run(url, version_of)
        if found == 0:
            raise Unsupported("the database has no tables of Toro's; they are made when it is opened")
        if found > SCHEMA_VERSION:
            raise Unsupported(
                f"the database has schema {found} and this Toro knows up to {SCHEMA_VERSION}; upgrade toro-fhir"
            )
        return Schema(found=found, known=SCHEMA_VERSION)

    async def upgrade(self, url: str) -> None:
        """Migrate to this version's schema in one transaction."""
        await _run(url, migrate)

    async def pending(self, url: str) -> str:
        """Look whether there is a cluster over which the tables are to be distributed."""
        return "distribute the tables over the cluster" if await _run(url, undistributed) else ""

    async def arrange(self, url: str) -> None:
        """Distribute the tables over the cluster, with what they hold."""
        await _run(url, spread)

    @asynccontextmanager
    async def staged(self, url: str) -> AsyncIterator[str]:
        """Give a new schema of the same database, whose tables go to the storage's schema at the end."""
        async with _connected(url) as connection, staged(connection) as name:
            yield _within(url, name)

    @asynccontextmanager
    async def scratch(self, url: str) -> AsyncIterator[str]:
        """Give a new schema of the same database."""
        name = f"toro_scratch_{secrets.token_hex(6)}"
        await _run(url, lambda connection: connection.execute(f"CREATE SCHEMA {name}".encode()))
        try:
            yield _within(url, name)
        finally:
            await _run(url, lambda connection: connection.execute(f"DROP SCHEMA {name} CASCADE".encode()))


def _within(url: str, schema: str) -> str:
    """Return a URL whose connections look at a schema alone."""
    option = f"-csearch_path%3D{schema}"
    if "options=" in url:
        before, _, after = url.partition("options=")
        value, ampersand, rest = after.partition("&")
        return f"{before}options={value}%20{option}{ampersand}{rest}"
    return f"{url}{'&' if '?' in url else '?'}options={option}"


async def _run(url: str, work: Work[T]) -> T:
    async with _connected(url) as connection:
        return await work(connection)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    try:
        async with await connect(parameters(url), autocommit=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise fault(error) from error
