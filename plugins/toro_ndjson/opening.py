"""Opens a folder: whose it is, who may write it, what it holds; and closes it so that its files tell everything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from toro_core.errors import Damaged, StorageBusy, Unsupported
from toro_ndjson.catalog import Catalog
from toro_ndjson.collector import without_collector
from toro_ndjson.compacting import Compactor
from toro_ndjson.compaction import clean_up, put_in_place
from toro_ndjson.faults import fault
from toro_ndjson.folder import Folder
from toro_ndjson.foreign import foreign_files, read_foreign
from toro_ndjson.journal import JOURNAL, Journal
from toro_ndjson.layout import (
    CURRENT,
    HISTORY,
    OWN,
    Layout,
    Manifest,
    Ownership,
    next_folder,
    read_manifest,
    write_manifest,
)
from toro_ndjson.location import Location
from toro_ndjson.lock import LOCK, Lock
from toro_ndjson.recovery import recover, recover_foreign
from toro_ndjson.reports import Reports
from toro_ndjson.staging import now
from toro_ndjson.versions import Version
from toro_ndjson.writer import Writer

__all__ = ["Opened", "opened"]

_THREADS: Final = 4
_FIRST_SEQ: Final = 1 << 40
"""Sequences of what is written beside others' files come after this, so that those may grow."""


@dataclass(slots=True, kw_only=True)
class Opened:
    """A storage's parts."""

    catalog: Catalog
    writer: Writer
    threads: Executor
    compactor: Compactor | None
    reports: Reports
    read_only: bool
    closed: bool = False

    def grown(self) -> None:
        """Let the journal be compacted where it has become long."""
        if self.compactor is not None:
            self.compactor.consider()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    catalog: Catalog
    layout: Layout | None
    manifest: Manifest | None
    journal: Journal | None
    reports: Reports


@asynccontextmanager
async def opened(location: Location, compact_bytes: int) -> AsyncIterator[Opened]:
    """Open a folder and close it again. Raises StorageBusy, Damaged, Unsupported."""
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(_THREADS, thread_name_prefix="toro-ndjson"))
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(threads, _open, location, stack)
        writer = Writer(found.catalog, found.journal)
        stack.callback(writer.close)
        compactor = None
        if found.layout is not None and found.manifest is not None and found.journal is not None:
            compactor = Compactor(
                found.catalog, writer, found.journal, found.layout, found.manifest, threads, compact_bytes
            )
        parts = Opened(
            catalog=found.catalog,
            writer=writer,
            threads=threads,
            compactor=compactor,
            reports=found.reports,
            read_only=location.read_only or found.journal is None,
        )
        try:
            yield parts
        finally:
            await writer.drained()
            parts.closed = True
            if compactor is not None:
                await compactor.close()


def _open(location: Location, stack: ExitStack) -> _Found:
    try:
        with without_collector():
            if location.beside is not None:
                return _beside(location, location.beside, stack)
            return _read_only(location, stack) if location.read_only else _writable(location, stack)
    except OSError as error:
        raise fault(error, f"opening the folder {location.path}") from error


def _writable(location: Location, stack: ExitStack) -> _Found:
    root = Folder.at(location.path, make=True)
    stack.callback(root.close)
    if not os.access(location.path, os.W_OK | os.X_OK):
        return _read_only(location, stack)
    own = root.within(OWN, make=True)
    stack.callback(own.close)
    stack.callback(Lock(own, shared=False).close)
    manifest = read_manifest(own) or _begin(own, "beside" if foreign_files(root) else "own")
    return _kept(location, root, own, manifest, stack)


def _beside(location: Location, beside: Path, stack: ExitStack) -> _Found:
    root = Folder.at(location.path, make=False)
    stack.callback(root.close)
    own = Folder.at(beside, make=True)
    stack.callback(own.close)
    stack.callback(Lock(own, shared=False).close)
    manifest = read_manifest(own) or _begin(own, "beside")
    if manifest.kind != "beside":
        raise Unsupported("what lies in the folder named by `beside` belongs to another folder; name a new one")
    return _kept(location, root, own, manifest, stack)


def _kept(location: Location, root: Folder, own: Folder, manifest: Manifest, stack: ExitStack) -> _Found:
    layout = Layout(
        root=root,
        own=own,
        history=own.within(HISTORY, make=True),
        current=root if manifest.kind == "own" else own.within(CURRENT, make=True),
    )
    stack.callback(layout.close)
    if len({own.device(), layout.history.device(), layout.current.device()}) > 1:
        raise Unsupported(
            f"{OWN} and the folders in it have to lie on the file system of {location.path}, since files move between them; "
            "to keep it elsewhere, name a folder with ?beside="
        )
    put_in_place(layout, manifest.generation)
    clean_up(layout, manifest)
    reports = Reports(str(location.path))
    catalog, whole = _read(layout, manifest, reports)
    journal = Journal(own, whole)
    return _Found(catalog=catalog, layout=layout, manifest=manifest, journal=journal, reports=reports)


def _read_only(location: Location, stack: ExitStack) -> _Found:
    root = Folder.at(location.path, make=False)
    stack.callback(root.close)
    reports = Reports(str(location.path))
    try:
        own = root.within(OWN)
    except FileNotFoundError:
        catalog = recover_foreign(read_foreign(root, reports, now()))
        reports.end()
        return _Found(catalog=catalog, layout=None, manifest=None, journal=None, reports=reports)
    stack.callback(own.close)
    if own.size(LOCK) is not None:
        stack.callback(Lock(own, shared=True).close)
    manifest = read_manifest(own)
    if manifest is None or next_folder(manifest.generation) in own.names():
        raise StorageBusy("the folder was left in the middle of a change; open it once for writing")
    layout = Layout(
        root=root,
        own=own,
        history=own.within(HISTORY),
        current=root if manifest.kind == "own" else own.within(CURRENT),
    )
    stack.callback(layout.close)
    catalog, _ = _read(layout, manifest, reports)
    return _Found(catalog=catalog, layout=None, manifest=None, journal=None, reports=reports)


def _read(layout: Layout, manifest: Manifest, reports: Reports) -> tuple[Catalog, int]:
    foreign: list[Version] = []
    if manifest.kind == "beside":
        foreign = read_foreign(layout.root, reports, manifest.began)
    elif strangers := set(foreign_files(layout.root)) - manifest.sizes.keys():
        raise Unsupported(
            f"{min(strangers)} was put into the folder by something else; move it elsewhere and load it with toro import"
        )
    catalog, whole = recover(layout, manifest, foreign, reports)
    reports.end()
    return catalog, whole


def _begin(own: Folder, kind: Ownership) -> Manifest:
    """Claim a folder: one without NDJSON is this storage's own, the files of another are left alone."""
    if own.size(JOURNAL) is not None:
        raise Damaged(f"{OWN} has a journal and no manifest; restore the folder from a backup")
    manifest = Manifest(format=1, kind=kind, began=now(), seq=_FIRST_SEQ if kind == "beside" else 0)
    write_manifest(own, manifest)
    return manifest
