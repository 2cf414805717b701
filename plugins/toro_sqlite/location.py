"""Where the database file is, and who may read it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from toro_core.errors import Unsupported

__all__ = ["database_path", "prepare"]

_SCHEME = "sqlite:///"


def database_path(url: str) -> Path:
    """Return the path in `sqlite:///relative.db` or `sqlite:////absolute.db`; nothing in it is decoded. Raises Unsupported."""
    if not url.startswith(_SCHEME):
        raise Unsupported(
            "a SQLite storage URL has three slashes before its path: sqlite:///toro.db, sqlite:////var/toro.db"
        )
    path = url.removeprefix(_SCHEME)
    if not path or path.startswith(":memory:") or path.endswith("/"):
        raise Unsupported("a SQLite storage URL names a file, as in sqlite:///toro.db")
    return Path(path)


def prepare(path: Path) -> None:
    """Create the file (0600) and its folders (0700) where they are missing.

    SQLite gives its -wal and -shm files the mode of the database file.
    """
    for folder in (folder for folder in reversed(path.parents) if not folder.exists()):
        folder.mkdir(mode=0o700, exist_ok=True)
    # One that is there is not opened: closing it would drop the locks that this process has on it by other connections.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
