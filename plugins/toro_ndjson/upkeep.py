"""Looking after a folder that is not open."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from toro_ndjson.location import parse_location

__all__ = ["NdjsonUpkeep"]


class NdjsonUpkeep:
    """Gives scratch folders; a folder is backed up by a migration, or copied while no process has it open."""

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
