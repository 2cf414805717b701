"""Finds plugins: the storage that a URL asks for, and no other; all that add operations."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pluggy

from toro_core import hookspecs
from toro_core.errors import ToroError
from toro_core.operations.contract import Operation
from toro_core.storage import Finds, OpenStorage, Storage

__all__ = [
    "PLUGIN_GROUP",
    "STORAGE_GROUP",
    "BrokenPlugin",
    "NoStorage",
    "UnknownStorage",
    "check_storage",
    "open_existing",
    "open_storage",
    "plugin_operations",
    "storage_schemes",
    "upkeep",
]

STORAGE_GROUP = "toro.storage"
"""The entry-point group; a plugin's entry point carries the name of its URL's scheme and refers to a module with hooks."""

PLUGIN_GROUP = "toro.plugins"
"""The entry-point group of plugins that are loaded whatever the storage."""


class BrokenPlugin(ToroError):
    """A plugin cannot be loaded."""

    reason = "BROKEN_PLUGIN"
    issue = "exception"


class UnknownStorage(ToroError):
    """No installed plugin opens this storage URL."""

    reason = "UNKNOWN_STORAGE"
    issue = "not-supported"


class NoStorage(ToroError):
    """There is no storage at this URL; correct it. Servers, imports and `toro client add` make a new one."""

    reason = "NO_STORAGE"
    issue = "not-found"


@asynccontextmanager
async def open_existing(url: str) -> AsyncIterator[Storage]:
    """Open a storage that is there. Raises UnknownStorage, NoStorage."""
    await check_storage(url)
    async with open_storage(url) as storage:
        yield storage


async def check_storage(url: str) -> None:
    """Raise NoStorage where nothing is at a URL, as far as its plugin can tell."""
    care = upkeep(url)
    if isinstance(care, Finds) and not await care.exists(url):
        raise NoStorage


def open_storage(url: str) -> AbstractAsyncContextManager[Storage]:
    """Open the storage that a URL such as `sqlite:///toro.db` names, to be used with `async with`. Raises UnknownStorage."""
    scheme = _scheme(url)
    manager, value = _load(scheme)
    opener: OpenStorage | None = manager.hook.toro_storage(scheme=scheme)
    if opener is None:
        raise UnknownStorage(f"the plugin {value} is registered for {scheme} storage but does not open it")
    return opener(url)


def upkeep(url: str) -> object | None:
    """Return what looks after the storage that a URL names, None where the plugin has nothing. Raises UnknownStorage."""
    scheme = _scheme(url)
    manager, _ = _load(scheme)
    found: object | None = manager.hook.toro_upkeep(scheme=scheme)
    return found


def storage_schemes() -> tuple[str, ...]:
    """Name the schemes for which a plugin is installed."""
    return tuple(sorted({entry.name for entry in importlib.metadata.entry_points(group=STORAGE_GROUP)}))


def plugin_operations() -> tuple[Operation, ...]:
    """Load every installed plugin and return the operations they add, in the order of the plugins' names. Raises BrokenPlugin."""
    found: list[Operation] = []
    for entry in sorted(importlib.metadata.entry_points(group=PLUGIN_GROUP), key=lambda entry: entry.name):
        manager = pluggy.PluginManager("toro")
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(entry.load(), name=entry.name)
            manager.check_pending()
            found += [operation for added in manager.hook.toro_operations() for operation in added]
        except Exception as error:
            raise BrokenPlugin(
                f"the plugin {entry.name} ({entry.value}) cannot be loaded: {error}; repair or remove it"
            ) from error
    return tuple(found)


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator or not scheme:
        raise UnknownStorage("a storage URL looks like sqlite:///toro.db: a scheme, ://, and where the storage is")
    return scheme.lower()


def _load(scheme: str) -> tuple[pluggy.PluginManager, str]:
    """Load a scheme's plugin, and return its hooks and where it is from."""
    entries = tuple(importlib.metadata.entry_points(group=STORAGE_GROUP, name=scheme))
    if not entries:
        installed = ", ".join(storage_schemes()) or "none"
        raise UnknownStorage(f"no installed plugin opens {scheme} storage; installed: {installed}")
    manager = pluggy.PluginManager("toro")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(entries[0].load(), name=scheme)
        manager.check_pending()
    except Exception as error:
        # Whatever a plugin does while it is imported, the operator needs its name and the cause.
        raise UnknownStorage(
            f"the plugin for {scheme} storage ({entries[0].value}) cannot be loaded: {error}; repair or reinstall it"
        ) from error
    return manager, entries[0].value
