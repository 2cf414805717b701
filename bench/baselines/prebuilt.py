"""Baseline: rows that lie ready, inserted into an empty database of the same schema in batches like an import's."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Prebuilt"]

_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prebuilt:
    """A database's schema, and per batch and table the statement and its rows."""

    schema: tuple[str, ...]
    batches: tuple[tuple[tuple[str, list[Any]], ...], ...]

    @classmethod
    def of(cls, database: Path) -> Prebuilt:
        """Read a database's rows; those of a resource (by `rid`) go into its batch, in key order, all others into the first."""
        connection = sqlite3.connect(database)
        own = "FROM sqlite_schema WHERE sql NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        schema = connection.execute(f"SELECT sql {own} ORDER BY type DESC").fetchall()  # tables before their indexes
        tables = connection.execute(f"SELECT name {own} AND type = 'table'").fetchall()
        last: int = connection.execute("SELECT max(rid) FROM resource").fetchone()[0]
        batches = [
            tuple(_rows(connection, table, first, first + _BATCH) for (table,) in tables)
            for first in range(0, last + 1, _BATCH)
        ]
        connection.close()
        return cls(schema=tuple(sql for (sql,) in schema), batches=tuple(batches))

    def insert(self, database: Path) -> float:
        """Insert all rows into a new database and return the CPU seconds that took."""
        connection = sqlite3.connect(database, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -256000")
        for sql in self.schema:
            connection.execute(sql)
        started = time.process_time()
        for batch in self.batches:
            connection.execute("BEGIN")
            for statement, rows in batch:
                connection.executemany(statement, rows)
            connection.execute("COMMIT")
        taken = time.process_time() - started
        connection.close()
        return taken


def _rows(connection: sqlite3.Connection, table: str, first: int, end: int) -> tuple[str, list[Any]]:
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    insert = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 the table's own name
    if "rid" in {column[1] for column in columns}:
        key = ", ".join(column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]) or "rid"
        select = f"SELECT * FROM {table} WHERE rid >= ? AND rid < ? ORDER BY {key}"  # noqa: S608 likewise
        return insert, connection.execute(select, (first, end)).fetchall()
    return insert, connection.execute(f"SELECT * FROM {table}").fetchall() if first == 0 else []  # noqa: S608 likewise
