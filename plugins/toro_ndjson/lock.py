"""One process writes a folder; those that only read keep it from being written meanwhile."""

from __future__ import annotations

import fcntl
import os
from typing import Final

from toro_core.errors import StorageBusy
from toro_ndjson.folder import Folder

__all__ = ["LOCK", "Lock"]

LOCK: Final = "lock"


class Lock:
    """Held until it is closed, or the process ends in whatever way."""

    def __init__(self, folder: Folder, *, shared: bool) -> None:
        """Lock Toro's own folder. Raises StorageBusy where another process has it."""
        self._descriptor = folder.read(LOCK) if shared else folder.append(LOCK)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip()
            self.close()
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise StorageBusy(
                f"{who} has this NDJSON folder open; only one may write it: stop that one, or go through its server"
            ) from error
        if not shared:
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, b"%d\n" % os.getpid())

    def close(self) -> None:
        """Let others."""
        os.close(self._descriptor)
