"""Looking after a folder that is not open."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from toro_core.errors import Unsupported
from toro_ndjson.faults import fault
from toro_ndjson.folder import Folder
from toro_ndjson.foreign import foreign_files
from toro_ndjson.layout import MANIFEST, OWN
from toro_ndjson.location import Location, parse_location

__all__ = ["NdjsonUpkeep"]


class NdjsonUpkeep:
    """Gives scratch folders; a folder is backed up by a migration, or copied while no process has it open."""

    async def looking(self, url: str) -> str:
        """Return the URL that opens what is there and claims nothing: others' files read-only. Raises Unsupported for nothing."""
        return await asyncio.to_thread(_looking, url, parse_location(url))

    async def exists(self, url: str) -> bool:
        """Look for NDJSON, Toro's or others'."""
        try:
            await self.looking(url)
        except Unsupported:
            return False
        return True

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
