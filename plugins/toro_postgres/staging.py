"""A schema that is filled beside an empty one and takes its place in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from psycopg import sql

from toro_core.errors import Unsupported
from toro_postgres.schema import Connection, alone, version_of

__all__ = ["staged"]

_PREFIX: Final = "toro_restoring_"
_LOCKS: Final = 0x544F5253
"""The class of the advisory locks that tell a schema in use from one that a killed process left."""
_LOCK: Final = b"SELECT pg_try_advisory_lock(%s, hashtext(%s))"
_LEFT: Final = b"SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)"
# Sequences that belong to a table's column go with it; those of Toro belong to none.
_CONTENT: Final = (
    b"SELECT relname, relkind = 'S' FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p', 'S')"
    b" AND NOT relispartition"
)


@asynccontextmanager
async def staged(connection: Connection) -> AsyncIterator[str]:
    """Give the name of a new schema whose tables are moved at the end to where the connection looks first.

    Raises Unsupported where tables of Toro's are there already.
    """
    await _expect_free(connection)
    await _sweep(connection)
    name = f"{_PREFIX}{secrets.token_hex(6)}"
    await connection.execute(_LOCK, (_LOCKS, name))
    await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    try:
        yield name
        async with alone(connection):
            await _expect_free(connection)
            await _move(connection, name)
    except BaseException:
        await connection.execute(_drop(name))
        raise


async def _expect_free(connection: Connection) -> None:
    if await version_of(connection):
        raise Unsupported(
            "tables of Toro's are there already; name another database, or with options=-csearch_path%3DNAME another schema"
        )


async def _sweep(connection: Connection) -> None:
    """Remove what killed processes left: nobody holds the lock of that."""
    for (name,) in await (await connection.execute(_LEFT, (_PREFIX,))).fetchall():
        row = await (await connection.execute(_LOCK, (_LOCKS, name))).fetchone()
        if row and row[0]:
            await connection.execute(_drop(name))


async def _move(connection: Connection, name: str) -> None:
    row = await (await connection.execute(b"SELECT current_schema()")).fetchone()
    if row is None or row[0] is None:
        raise Unsupported("the schema that search_path names does not exist; create it, or look at the storage URL")
    source, target = sql.Identifier(name), sql.Identifier(row[0])
    for relation, is_sequence in await (await connection.execute(_CONTENT, (name,))).fetchall():
        move = sql.SQL("ALTER {} {}.{} SET SCHEMA {}")
        kind = sql.SQL("SEQUENCE" if is_sequence else "TABLE")
        await connection.execute(move.format(kind, source, sql.Identifier(relation), target))
    # It refuses where anything was left behind.
    await connection.execute(sql.SQL("DROP SCHEMA {}").format(source))


def _drop(name: str) -> sql.Composed:
    return sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name))
