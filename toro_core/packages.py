"""FHIR packages of a deployment: their compiled facts are state records, so that every core finds the same ones.

Cores that run at the same time have the same definitions: each leaves a record with their digest while it runs, and one whose
digest differs from a record's refuses to start.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from toro_core.definitions import Definitions, PackageFacts, load
from toro_core.errors import ToroError
from toro_core.json import dumps
from toro_core.resources import new_id
from toro_core.storage import Storage

__all__ = ["DefinitionsDiffer", "announced", "definitions_of", "remove_package", "store_package", "stored_packages"]

_PACKAGES: Final = "definitions/package/"
_CORES: Final = "definitions/core/"
_ALIVE: Final = 60.0
"""Seconds for which a core that died counts as running."""
_BEAT: Final = _ALIVE / 3


class DefinitionsDiffer(ToroError):
    """A core of this deployment runs with other definitions; stop it, or wait a minute if it died, and start again."""

    reason = "DEFINITIONS_DIFFER"
    issue = "conflict"


async def stored_packages(storage: Storage) -> list[PackageFacts]:
    """Return the packages of a deployment beside the built-in ones."""
    return [PackageFacts(zlib.decompress(record.value)) for record in await storage.list_state(_PACKAGES)]


async def store_package(storage: Storage, facts: dict[str, Any]) -> PackageFacts:
    """Store a package's compiled facts in place of those of the same name and version."""
    package = PackageFacts(dumps(facts))
    await storage.put_state(f"{_PACKAGES}{package.label}", zlib.compress(dumps(facts), 9))
    return package


async def remove_package(storage: Storage, label: str) -> bool:
    """Remove a package by `name#version`; False where there is none."""
    return await storage.delete_state(f"{_PACKAGES}{label}")


async def definitions_of(storage: Storage) -> Definitions:
    """Return the definitions of a deployment: the built-in ones and its packages."""
    own = load()
    packages = await stored_packages(storage)
    return own.with_packages([package.data for package in packages]) if packages else own


@asynccontextmanager
async def announced(storage: Storage, definitions: Definitions) -> AsyncIterator[None]:
    """Let other cores know while this runs which definitions it has. Raises DefinitionsDiffer.

    A storage whose records do not expire is one process's own and needs none of this.
    """
    if "state_ttl" not in storage.capabilities:
        yield
        return
    key, digest = f"{_CORES}{new_id()}", definitions.digest.encode()
    await storage.put_state(key, digest, ttl=_ALIVE)
    beating = asyncio.create_task(_beat(storage, key, digest))
    try:
        if any(record.value != digest for record in await storage.list_state(_CORES)):
            raise DefinitionsDiffer
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        with suppress(ToroError):
            await storage.delete_state(key)


async def _beat(storage: Storage, key: str, digest: bytes) -> None:
    while True:
        await asyncio.sleep(_BEAT)
        with suppress(ToroError):  # the storage may be busy for once
            await storage.put_state(key, digest, ttl=_ALIVE)
