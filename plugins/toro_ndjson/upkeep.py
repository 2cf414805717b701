"""Looking after a folder that is not open."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from toro_core.errors import Unsupported
from toro_ndjson.faults import fault
from toro_ndjson.folder import Folder
from toro_ndjson.foreign import foreign_files
from toro_ndjson.layout import MANIFEST, OWN
from toro_ndjson.location import Location, parse_location

__all__ = ["NdjsonUpkeep"]


class NdjsonUpkeep:
    """Gives scratch folders and stages; a folder is backed up by a migration, or copied while no process has it open."""

    @asynccontextmanager
    async def staged(self, url: str) -> AsyncIterator[str]:
        """Give a new folder that takes the storage's name at the end. A killed process leaves it, as `.NAME-….partial`."""
        location = parse_location(url)
        if location.read_only or location.beside is not None:
            raise Unsupported("only a folder of Toro's own is filled: leave mode and beside out of the storage URL")
        path = location.path.absolute()
        _expect_free(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".partial", dir=path.parent))
        try:
            yield f"ndjson:///{partial}"
            _take_place(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    async def looking(self, url: str) -> str:
        """Return the URL that opens what is there and claims nothing: others' files read-only. Raises Unsupported for nothing."""
        return await asyncio.to_thread(_looking, url, parse_location(url))

    async def exists(self, url: str) -> bool:
        """Look for the folder."""
        return await asyncio.to_thread(parse_location(url).path.is_dir)

    @asynccontextmanager
    async def scratch(self, url: str) -> AsyncIterator[str]:
        """Give a new folder beside the storage's."""
        path = parse_location(url).path.absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f"{path.name}-scratch-", dir=path.parent)
        try:
            yield f"ndjson:///{folder}/data"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _looking(url: str, location: Location) -> str:
    path = location.path
    try:
        root = Folder.at(path, make=False)
    except (FileNotFoundError, NotADirectoryError):
        raise Unsupported(f"there is no folder {path}; a server or toro import makes it") from None
    except OSError as error:
        raise fault(error, f"opening the folder {path}") from error
    with closing(root):
        if (location.beside / MANIFEST).is_file() if location.beside else OWN in root.names():
            return url
        if not foreign_files(root):
            raise Unsupported(
                f"the folder {path} holds no NDJSON and nothing of Toro's; a server or toro import begins there"
            )
    return f"ndjson:///{path}?mode=ro"


def _expect_free(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise Unsupported(f"{path} exists and is not empty; name a new folder, or move that one away")


def _take_place(partial: Path, path: Path) -> None:
    _expect_free(path)
    partial.rename(path)
    _fsync(path.parent)


def _fsync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
