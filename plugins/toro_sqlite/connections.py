"""How connections are opened."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from toro_sqlite.schema import create

__all__ = ["connect", "open_reader", "open_writer"]

_PAGE_SIZE = 8192
_CHECKPOINT_PAGES = 4000
_JOURNAL_BYTES = 64 * 1024 * 1024
_READER_CACHE = -32_000
"""KiB of pages: the upper levels of every index, and what is read again and again."""


def open_writer(path: Path, *, timeout: float, max_bytes: int | None) -> sqlite3.Connection:
    """Open the writer and make the schema where there is none; a COMMIT on it returns after the log is fsynced."""
    connection = connect(path, "rw", timeout)
    try:
        connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
        _use_wal(connection, timeout)
        connection.execute("PRAGMA synchronous = FULL")
        # Without it, macOS leaves what is "fsynced" in the drive's cache.
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
        create(connection)
        if max_bytes is not None:
            page_size: int = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_size)}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, *, timeout: float) -> sqlite3.Connection:
    """Open a connection that cannot write."""
    connection = connect(path, "ro", timeout)
    connection.execute(f"PRAGMA cache_size = {_READER_CACHE}")
    return connection


def connect(path: Path, mode: str, timeout: float) -> sqlite3.Connection:
    """Open a file that is there, to read (`ro`) or to write (`rw`)."""
    # Transactions are begun and ended by hand (isolation_level None); one thread at a time uses a connection, not always the same.
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _use_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Switch to WAL; SQLite does not wait by itself where another process is just doing the same."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
