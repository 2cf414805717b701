"""Everything that is known in memory: versions, current resources, where searches look, state records."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from toro_core.storage import Key, StateRecord
from toro_ndjson.postings import Postings
from toro_ndjson.rows import NO_ROWS, RowsReader, plain
from toro_ndjson.shelf import Shelf
from toro_ndjson.versions import Head, Version

__all__ = ["Catalog"]

_SWEEP: Final = 1_000
"""Changes of state records after which expired ones are looked for."""
_NO_LISTS: Final[Mapping[str, Any]] = {}
_NO_HEADS: Final[dict[str, Head]] = {}


class Catalog:
    """Changed by one at a time; who reads it beside copies what it will walk through first."""

    def __init__(self) -> None:
        """Begin empty."""
        self.versions: Final[dict[Key, list[Version]]] = {}
        self.log: Final[list[Version]] = []
        """Every version in commit order."""
        self.postings: Final = Postings()
        self.rows: Final = RowsReader()
        self.state: Final[dict[str, StateRecord]] = {}
        self.seq = 0
        self.at = 0
        self.revision = 0
        self.moment = 0
        """How often what searches see has changed."""
        self.dated: Final[set[str]] = set()
        """Types of which a resource has had a sort value of its own; others are ordered by when they were stored."""
        self._shelves: Final[dict[str, Shelf]] = {}
        self._watching: Final[list[list[Head]]] = []
        self._puts = 0
        self._live: Final[dict[str, dict[str, Head]]] = {}

    def head(self, key: Key) -> Head | None:
        """Return a current resource, None where there is none or it is deleted."""
        return self._live.get(key.type, _NO_HEADS).get(key.id)

    def heads(self, type_: str) -> dict[str, Head]:
        """Return the current resources of a type by id."""
        return self._live.get(type_, _NO_HEADS)

    def shelf(self, type_: str) -> Shelf:
        """Return the columns and orders of a type."""
        return self._shelves.setdefault(type_, Shelf())

    @contextmanager
    def replaced(self) -> Iterator[list[Head]]:
        """Note meanwhile which resources searches see no longer as they were."""
        heads: list[Head] = []
        self._watching.append(heads)
        try:
            yield heads
        finally:
            self._watching[:] = [each for each in self._watching if each is not heads]

    def types(self) -> Iterable[str]:
        """Name the types of which there are current resources."""
        return [type_ for type_, heads in self._live.items() if heads]

    def last(self, key: Key) -> Version | None:
        """Return a resource's last version, which may be a tombstone."""
        versions = self.versions.get(key)
        return versions[-1] if versions else None

    def add(self, version: Version, rows: bytes | None = None) -> None:
        """Let a version follow those there are; `rows` are those of one that is no tombstone."""
        self.enter(version)
        self.show(version.key, None if version.place is None else version, rows)

    def enter(self, version: Version) -> None:
        """Let a version follow that is not the current one."""
        versions = self.versions.get(version.key)
        if versions is None:
            self.versions[version.key] = [version]
        else:
            versions[-1].next = version
            versions.append(version)
        self.log.append(version)
        self.seq = max(self.seq, version.seq)
        self.at = max(self.at, version.at)

    def reindex(self, key: Key, number: int, rows: bytes) -> None:
        """Give a current resource that is still at this version new rows."""
        head = self.head(key)
        if head is not None and head.version.number == number:
            self.show(key, head.version, rows)

    def discard(self, keys: Collection[Key]) -> None:
        """Forget resources, as if they had never been there."""
        for key in keys:
            self.show(key, None, None)
            self.versions.pop(key, None)
        self.log[:] = [version for version in self.log if version.key not in keys]

    def put(self, key: str, record: StateRecord | None, revision: int) -> None:
        """Write or delete a state record."""
        self.revision = max(self.revision, revision)
        self._puts += 1
        if self._puts % _SWEEP == 0:
            self.expire(time.time_ns() // 1_000_000)
        if record is None:
            self.state.pop(key, None)
        else:
            self.state[key] = record

    def expire(self, now: int) -> None:
        """Forget state records that have expired."""
        for key in [key for key, each in self.state.items() if each.expires_at is not None and each.expires_at <= now]:
            del self.state[key]

    def show(self, key: Key, version: Version | None, rows: bytes | None) -> None:
        """Let searches see this version of a resource, or none."""
        heads = self._live.setdefault(key.type, {})
        before = heads.get(key.id)
        after, lists = None, _NO_LISTS
        self.moment += 1
        if before is not None:
            for watching in self._watching:
                watching.append(before)
            if before.rows is not None:
                self.postings.remove(before, plain(before.rows))
        if version is None:
            heads.pop(key.id, None)
        else:
            lists = plain(rows or NO_ROWS)
            sort = lists.get("sort")
            if sort is not None:
                self.dated.add(key.type)
            after = heads[key.id] = Head(version, rows, sort)
            self.postings.add(after, lists)
        shelf = self._shelves.get(key.type)
        if shelf is not None:
            shelf.change(before, after, lists)
