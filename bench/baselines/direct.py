"""Baseline: the same pages, by one SQL statement on a database made for nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Direct", "Entry"]

Entry = tuple[str, str, str, bytes]
"""A resource's patient, its date, its id and its JSON."""


class Direct:
    """Pages of one patient's resources, the latest first."""

    def __init__(self, database: Path, entries: Iterable[Entry]) -> None:
        """Fill a new database."""
        self._connection = sqlite3.connect(database)
        self._connection.execute(
            "CREATE TABLE resource (rid INTEGER PRIMARY KEY, id TEXT, version INTEGER, at INTEGER, json BLOB)"
        )
        self._connection.execute(
            "CREATE TABLE posting (patient TEXT, date TEXT, rid INTEGER, PRIMARY KEY (patient, date, rid)) WITHOUT ROWID"
        )
        for rid, (patient, date, id, json) in enumerate(entries):
            self._connection.execute("INSERT INTO resource VALUES (?, ?, 1, 1700000000000, ?)", (rid, id, json))
            self._connection.execute("INSERT INTO posting VALUES (?, ?, ?)", (patient, date, rid))
        self._connection.commit()

    def page(self, patient: str, limit: int) -> list[tuple[str, int, int, bytes]]:
        """Return one page: ids, versions, times and JSON."""
        return self._connection.execute(
            "SELECT id, version, at, json FROM posting JOIN resource USING (rid)"
            " WHERE patient = ? ORDER BY date DESC LIMIT ?",
            (patient, limit),
        ).fetchall()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()
