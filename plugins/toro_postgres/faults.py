"""PostgreSQL's errors as the storage contract's."""

from __future__ import annotations

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout

from toro_core.errors import Damaged, StorageBusy, StorageError, StorageFull, TooCostly

__all__ = ["fault", "is_lost", "is_rolled_back"]

_CLASSES: dict[str, tuple[type[StorageError], str]] = {
    "08": (StorageBusy, "the connection to PostgreSQL was lost; try again"),
    "28": (StorageBusy, "PostgreSQL does not let this user in; look at the storage URL and pg_hba.conf"),
    "3D": (StorageBusy, "the database does not exist; create it, or look at the storage URL"),
    "40": (StorageBusy, "PostgreSQL rolled the transaction back again and again; try again"),
    "53": (StorageBusy, "PostgreSQL has not enough resources; look at its connections and memory"),
    "54": (TooCostly, "the search is too large for one statement; ask for fewer alternatives at once"),
    "55": (StorageBusy, "PostgreSQL could not lock what it needed; try again"),
    "57": (StorageBusy, "PostgreSQL was stopped, or is starting; try again"),
    "58": (StorageBusy, "PostgreSQL could not use its files; look at its log"),
    "XX": (Damaged, "PostgreSQL found its own data damaged; look at its log and restore a backup"),
}

_STATES: dict[str, str] = {
    "25006": "PostgreSQL takes no writes here, for it is a standby; look at the storage URL",
    "3F000": "the schema that search_path names does not exist; create it, or look at the storage URL",
    "42501": "the user may not do this in PostgreSQL; it needs CREATE on the schema and to own Toro's tables, and CREATE on the"
    " database for scratch areas and restores",
    "42P01": "a table of Toro's is gone from PostgreSQL, or lies in another schema than search_path names; restore a backup",
}
"""What has a remedy of its own, by SQLSTATE."""


def fault(error: psycopg.Error | OSError) -> StorageError:
    """Name what went wrong without PostgreSQL's own text, which may quote values."""
    if isinstance(error, PoolClosed):
        return StorageBusy("the storage was closed")
    if isinstance(error, PoolTimeout):
        return StorageBusy("PostgreSQL did not answer, or all connections are in use; look at its address and load")
    if isinstance(error, errors.DiskFull):
        return StorageFull()
    if isinstance(error, errors.QueryCanceled):
        return TooCostly("the statement took longer than statement_timeout; narrow the search")
    state = getattr(error, "sqlstate", None) or ""
    if not state and is_lost(error):
        state = "08"
    if state in _STATES:
        return StorageBusy(_STATES[state])
    kind, message = _CLASSES.get(
        state[:2], (StorageError, f"PostgreSQL could not do this (SQLSTATE {state or 'unknown'})")
    )
    return kind(message)


def is_lost(error: BaseException) -> bool:
    """Tell whether the connection is gone, or the server is on its way down or up or has become a standby."""
    if isinstance(error, PoolTimeout | PoolClosed):
        return False
    if isinstance(error, OSError):
        return True
    state = getattr(error, "sqlstate", None)
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state[:2] == "08" or state in ("57P01", "57P02", "57P03", "25006")


def is_rolled_back(error: BaseException) -> bool:
    """Tell whether PostgreSQL rolled the transaction back for reasons that do not come again when it is repeated."""
    return (getattr(error, "sqlstate", None) or "")[:2] == "40"
