"""sqlite3's errors as the storage contract's."""

from __future__ import annotations

import sqlite3

from toro_core.errors import Damaged, StorageBusy, StorageError, StorageFull

__all__ = ["fault", "is_interrupt"]

_MESSAGES: dict[int, tuple[type[StorageError], str | None]] = {
    sqlite3.SQLITE_FULL: (StorageFull, None),
    sqlite3.SQLITE_BUSY: (StorageBusy, "another process holds the database's write lock; try again"),
    sqlite3.SQLITE_LOCKED: (StorageBusy, None),
    sqlite3.SQLITE_PROTOCOL: (StorageBusy, None),
    sqlite3.SQLITE_IOERR: (StorageBusy, "the database file cannot be read or written; look at its disk"),
    sqlite3.SQLITE_CANTOPEN: (StorageBusy, "the database file cannot be opened; look at its path and permissions"),
    sqlite3.SQLITE_PERM: (StorageBusy, "the database file may not be opened; look at its permissions"),
    sqlite3.SQLITE_READONLY: (StorageBusy, "the database file may not be written; look at its permissions"),
    sqlite3.SQLITE_CORRUPT: (Damaged, None),
    sqlite3.SQLITE_NOTADB: (Damaged, "the file is not a SQLite database"),
    sqlite3.SQLITE_CONSTRAINT: (Damaged, "the database's index contradicts its resources; restore it from a backup"),
}


def fault(error: sqlite3.Error) -> StorageError:
    """Name what went wrong without SQLite's own text, which may quote values."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind, message = _MESSAGES.get(primary, (StorageError, f"SQLite could not do this (result code {primary})"))
    return kind(message)


def is_interrupt(error: sqlite3.Error) -> bool:
    """Tell whether a progress handler stopped the statement."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_INTERRUPT
