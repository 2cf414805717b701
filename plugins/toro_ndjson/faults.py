"""The operating system's errors as the storage contract's."""

from __future__ import annotations

import errno
from typing import Final

from toro_core.errors import StorageBusy, StorageError, StorageFull

__all__ = ["fault"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def fault(error: OSError, what: str) -> StorageError:
    """Say that `what` failed and why."""
    if error.errno in _FULL:
        return StorageFull(f"{what} failed, there is no space left; nothing was written")
    return StorageBusy(f"{what} failed ({error.strerror}); look at the folder's disk and permissions")
