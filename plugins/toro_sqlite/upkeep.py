"""Looking after a database file: its schema, backups, and scratch files beside it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from toro_core.errors import Damaged, StorageBusy, Unsupported
from toro_core.storage import Schema
from toro_sqlite.connections import connect
from toro_sqlite.faults import fault
from toro_sqlite.location import database_path, prepare
from toro_sqlite.schema import SCHEMA_VERSION, migrate, version_of

__all__ = ["SqliteUpkeep"]

T = TypeVar("T")
_TIMEOUT = 5.0
_STEP = 2000
"""Pages that a backup copies before it looks whether it is to stop,"""
_LOOK = 100_000
"""and SQLite's steps, while the copy is checked."""


class SqliteUpkeep:
    """Upgrades, backs up and restores by file; a backup is itself a database that can be opened."""

    async def exists(self, url: str) -> bool:
        """Look for the file; an empty one is no database yet."""
        path = database_path(url)
        return await asyncio.to_thread(lambda: path.is_file() and path.stat().st_size > 0)

    async def schema(self, url: str) -> Schema:
        """Look at the schema of a closed or an open database."""
        return Schema(found=await _run(partial(_version, database_path(url))), known=SCHEMA_VERSION)

    async def upgrade(self, url: str) -> None:
        """Migrate to this version's schema in one transaction."""
        await _run(partial(_upgrade, database_path(url)))

    async def backup(self, url: str, file: Path) -> None:
        """Copy by SQLite's backup API: one snapshot, and in WAL mode writers go on."""
        await _copying(database_path(url), file)

    async def restore(self, file: Path, url: str) -> None:
        """Copy a backup, having checked it, to where there is no file."""
        await _copying(file, database_path(url))

    @asynccontextmanager
    async def scratch(self, url: str) -> AsyncIterator[str]:
        """Give a file in a new folder beside the database's."""
        path = database_path(url).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f"{path.name}-scratch-", dir=path.parent)
        try:
            yield f"sqlite:///{folder}/toro.db"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


async def _copying(source: Path, target: Path) -> None:
    """Copy on a thread; a caller that is cancelled has it given up."""
    stop = threading.Event()
    running = asyncio.ensure_future(_run(partial(_copy, source, target, stop)))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)
        raise


async def _run(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except sqlite3.Error as error:
        raise fault(error) from error
    except OSError as error:
        raise StorageBusy(f"{error.filename} cannot be read or made ({error.strerror})") from error


def _version(path: Path) -> int:
    with closing(connect(path, "ro", _TIMEOUT)) as connection:
        return version_of(connection)


def _upgrade(path: Path) -> None:
    with closing(connect(path, "rw", _TIMEOUT)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        migrate(connection)


def _copy(source: Path, target: Path, stop: threading.Event) -> None:
    """Copy a database, whole and durable, to where there is no file yet, unless it is to stop."""

    def look(*_: int) -> None:
        if stop.is_set():
            raise StorageBusy("the copy was stopped")

    if target.exists():
        raise Unsupported(f"{target} exists; name a new file, or move that one away")
    with closing(connect(source, "ro", _TIMEOUT)) as original:
        if not version_of(original):
            raise Unsupported(f"{source} is empty; there is nothing to copy")
        with _partial(target) as path, closing(connect(path, "rw", _TIMEOUT)) as copy:
            # One snapshot, whatever is written between two steps.
            original.execute("BEGIN")
            version_of(original)
            original.backup(copy, pages=_STEP, progress=look)
            copy.set_progress_handler(stop.is_set, _LOOK)
            # Without a log beside it, the copy is one file, for those too who only read it.
            copy.execute("PRAGMA journal_mode = DELETE")
            if copy.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
                raise Damaged(f"{source} is damaged; take another backup")


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Give a file beside the target that takes its place at the end, or is removed where that is not reached."""
    path = target.with_name(f"{target.name}.partial")
    prepare(path)
    try:
        yield path
        for each in (path, target.parent):
            _fsync(each)
        path.rename(target)
        _fsync(target.parent)
    except BaseException:
        for leftover in path.parent.glob(f"{path.name}*"):
            leftover.unlink(missing_ok=True)
        raise


def _fsync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
