"""A batch of changes being judged, each on those before it, none of them visible yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from toro_core.search.plan import Criterion
from toro_core.storage import Key, StateRecord, Watermark
from toro_ndjson.catalog import Catalog
from toro_ndjson.lines import sealed
from toro_ndjson.matching import filtered, narrowed
from toro_ndjson.places import File, Place
from toro_ndjson.records import Entry, Reindexed, StateChange, lay_out, reindexed, state_change
from toro_ndjson.rows import NO_ROWS, plain, sort_of
from toro_ndjson.versions import Head, Version

__all__ = ["Staging"]

T = TypeVar("T")
_Effect = Callable[[], None]


class Staging:
    """Lines for the journal and what they will do to the catalog, which only `apply` changes."""

    def __init__(self, catalog: Catalog, file: File | None, size: int) -> None:
        """Begin a batch at the end of a journal, or of none where nothing is kept."""
        self.catalog: Final = catalog
        self.lines: Final[list[bytes]] = []
        self.seq = catalog.seq
        self.at = catalog.at
        self.written_at = catalog.log[-1].at if catalog.log else 0
        self._revision = catalog.revision
        self._file = file
        self._start = self._end = size
        self._heads: dict[Key, Head | None] = {}
        self._lasts: dict[Key, Version] = {}
        self._state: dict[str, StateRecord | None] = {}
        self._effects: list[_Effect] = []
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    def attempt(self, work: Callable[[Staging], T]) -> T:
        """Do one job's work; where it raises, nothing of it remains."""
        kept = self.seq, self.at, self.written_at, self._revision, self._end
        lines, effects = len(self.lines), len(self._effects)
        self._undo.clear()
        try:
            return work(self)
        except BaseException:
            self.seq, self.at, self.written_at, self._revision, self._end = kept
            del self.lines[lines:], self._effects[effects:]
            for known, key, before in reversed(self._undo):
                if before is _NOTHING:
                    del known[key]
                else:
                    known[key] = before
            raise

    def apply(self) -> None:
        """Make everything visible."""
        for effect in self._effects:
            effect()

    # What the batch's earlier changes and the catalog know

    def head(self, key: Key) -> Head | None:
        """Return a current resource."""
        return self._heads[key] if key in self._heads else self.catalog.head(key)

    def last(self, key: Key) -> Version | None:
        """Return a resource's last version."""
        return self._lasts.get(key) or self.catalog.last(key)

    def holding(self, type_: str, criterion: Criterion) -> list[Key]:
        """Name the current resources for which a criterion without joins holds."""
        among, rest = narrowed(self.catalog, type_, criterion)
        heads = self.catalog.heads(type_).values() if among is None else among
        staged = [head for key, head in self._heads.items() if head is not None and key.type == type_]
        found = filtered(self.catalog.rows, rest, [head for head in heads if head.version.key not in self._heads])
        return [head.version.key for head in (*found, *filtered(self.catalog.rows, criterion, staged))]

    def exists(self, key: Key) -> bool:
        """Say whether there is such a resource."""
        return self.head(key) is not None

    def referring(self, key: Key) -> Iterator[Key]:
        """Name the current resources that refer to this one."""
        for head in self.catalog.postings.referrers(key):
            if head.version.key not in self._heads:
                yield head.version.key
        for other, staged in self._heads.items():
            if staged is not None:
                references = plain(staged.rows or NO_ROWS).get("references", ())
                if any((type_, id_) == key for _, type_, id_, _ in references):
                    yield other

    def state(self, key: str) -> StateRecord | None:
        """Return a live state record."""
        record = self._state[key] if key in self._state else self.catalog.state.get(key)
        expired = record is not None and record.expires_at is not None and record.expires_at <= now()
        return None if expired else record

    # Changes

    def tick(self) -> tuple[int, int]:
        """Begin a commit and return its sequence and time."""
        self.seq += 1
        self.at = max(self.at, now())
        return self.seq, self.at

    def seal(self) -> Watermark:
        """Return where the commits have come to; the next one gets a later time."""
        sealed = max(self.at, now())
        self.at = sealed + 1
        self._effects.append(_sealed(self.catalog, self.at))
        return Watermark(seq=self.seq, at=sealed)

    def write(self, seq: int, at: int, entries: Sequence[Entry]) -> list[Version]:
        """Write a commit."""
        laid = lay_out(self._start, seq, at, entries)
        versions = []
        self.written_at = at
        for order, (entry, place) in enumerate(zip(entries, laid.places, strict=True)):
            found = None if place is None or self._file is None else Place(self._file, self._end + place[0], *place[1:])
            version = Version(entry.key, entry.number, seq, order, at, found)
            versions.append(version)
            head = None if entry.json is None else Head(version, entry.rows, sort_of(entry.rows or NO_ROWS))
            self._set(self._lasts, entry.key, version)
            self._set(self._heads, entry.key, head)
            self._effects.append(_added(self.catalog, version, entry.rows))
        self._say(laid.payload)
        return versions

    def reindex(self, rows: Sequence[Reindexed]) -> None:
        """Give resources new rows."""
        for each in rows:
            key, data = Key(each.type, each.id), bytes(each.rows)
            head = self.head(key)
            if head is not None and head.version.number == each.version:
                self._set(self._heads, key, Head(head.version, data, sort_of(data)))
                self._effects.append(_reindexed(self.catalog, key, each.version, data))
        self._say(reindexed(self._start, rows))

    def put(self, key: str, value: bytes | None, expires_at: int | None) -> int:
        """Write a state record, or delete it, and return the revision."""
        self._revision += 1
        change = StateChange(key=key, revision=self._revision, value=value, expires_at=expires_at)
        self._set(self._state, key, change.record())
        self._effects.append(_put(self.catalog, change))
        self._say(state_change(self._start, change))
        return self._revision

    def _say(self, payload: bytes) -> None:
        line = sealed(payload)
        self.lines.append(line)
        self._end += len(line)

    def _set(self, known: dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((known, key, known.get(key, _NOTHING)))
        known[key] = value


_NOTHING: Final = object()


def now() -> int:
    """Return the time in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def _added(catalog: Catalog, version: Version, rows: bytes | None) -> _Effect:
    return lambda: catalog.add(version, rows)


def _sealed(catalog: Catalog, at: int) -> _Effect:
    def apply() -> None:
        catalog.at = max(catalog.at, at)

    return apply


def _reindexed(catalog: Catalog, key: Key, number: int, rows: bytes) -> _Effect:
    return lambda: catalog.reindex(key, number, rows)


def _put(catalog: Catalog, change: StateChange) -> _Effect:
    return lambda: catalog.put(change.key, change.record(), change.revision)
