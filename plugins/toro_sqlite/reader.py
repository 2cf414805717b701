"""A read-only connection, and the questions about a resource that are answered in Python."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeAlias

from toro_sqlite.blobs import Blob, decode, targets, uris
from toro_sqlite.names import Names
from toro_sqlite.sql import Sql

__all__ = ["Predicate", "Reader"]

Predicate: TypeAlias = Callable[[Blob], bool]
"""Says whether what is kept beside a resource satisfies a criterion."""


class Reader(Names):
    """Names looked up over a connection, and predicates that a statement on it can call."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection and add functions to its SQL."""
        super().__init__(connection)
        self._predicates: list[Predicate] = []
        self._asked: tuple[bytes, Blob] | None = None
        self.failure: sqlite3.Error | None = None
        """Why a predicate failed: SQLite says only that one did."""
        connection.create_function("holds", 2, self._holds)
        connection.create_function("targets", 2, targets, deterministic=True)
        connection.create_function("uris", 2, uris, deterministic=True)

    def ask(self, predicate: Predicate) -> Sql:
        """Make a condition of a predicate; it lasts until the next snapshot."""
        self._predicates.append(predicate)
        return Sql("holds(?, @postings)", (len(self._predicates) - 1,))

    def begin(self) -> None:
        """Begin a snapshot, forgetting the last one's predicates."""
        self._predicates.clear()
        self._asked = None
        self.failure = None
        self.connection.execute("BEGIN")

    def _holds(self, number: int, blob: bytes | None) -> bool:
        try:
            if blob is None:
                return False
            # What may hold is asked of one resource one after the other.
            if self._asked is None or self._asked[0] != blob:
                self._asked = blob, decode(blob)
            return self._predicates[number](self._asked[1])
        except sqlite3.Error as error:
            self.failure = error
            raise
