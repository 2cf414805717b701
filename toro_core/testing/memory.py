"""A whole storage in a few dictionaries: what the contract asks for and no more. For tests, and to read before writing another.

It keeps everything in memory and looks at every resource of a type, with `toro_core.search.evaluate` as its only index.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from toro_core.errors import NotFound, Unsupported
from toro_core.judging import judge_after, judge_before, judge_revision, judge_write
from toro_core.search.evaluate import matches, places, sort_value
from toro_core.search.plan import Criterion, SearchPlan
from toro_core.storage import (
    Capability,
    HistoryPlan,
    Indexed,
    Key,
    Loading,
    Page,
    Rows,
    ScanPlan,
    StateRecord,
    Stored,
    Watermark,
    Write,
    stamp,
)

__all__ = ["MemoryStorage"]


@dataclass(slots=True)
class _Resource:
    rows: Rows
    versions: list[Stored] = field(default_factory=list)


class MemoryStorage:
    """A storage with every capability but those it is told to do without."""

    def __init__(self, *, without: Iterable[Capability] = ()) -> None:
        """Begin empty."""
        every: set[Capability] = set(get_args(Capability))
        self.capabilities: Final[frozenset[Capability]] = frozenset(every - set(without))
        self._resources: dict[Key, _Resource] = {}
        self._state: dict[str, StateRecord] = {}
        self._seq = 0
        self._at = 0
        self._sealed = -1
        self._order: dict[tuple[Key, int], int] = {}
        """When each version came among all."""

    # Resources among which chains look

    def get(self, key: Key) -> tuple[int, Rows] | None:
        """Return a current resource's time and rows."""
        found = self._resources.get(key)
        return None if found is None or found.versions[-1].deleted else (found.versions[-1].at, found.rows)

    def of_type(self, type_: str) -> Iterator[tuple[Key, int, Rows]]:
        """Return the current resources of a type."""
        for key, found in self._resources.items():
            if key.type == type_ and not found.versions[-1].deleted:
                yield key, found.versions[-1].at, found.rows

    async def read(self, key: Key, version: int | None = None) -> Stored:
        """Return a version, the current one by default."""
        versions = self._resources[key].versions if key in self._resources else []
        number = len(versions) if version is None else version
        if not 1 <= number <= len(versions):
            raise NotFound
        return versions[number - 1]

    async def read_many(self, keys: Sequence[Key]) -> Sequence[Stored | None]:
        """Return current versions."""
        return [self._resources[key].versions[-1] if key in self._resources else None for key in keys]

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        """Write all, or where one fails put everything back."""
        before = {
            write.key: (found.rows, list(found.versions)) if (found := self._resources.get(write.key)) else None
            for write in writes
        }
        self._seq += 1
        self._at = max(self._at, self._sealed + 1, time.time_ns() // 1_000_000)
        try:
            judge_before(writes, self)
            stored = [self._write(write) for write in writes]
            judge_after(writes, self)
            return stored
        except Exception:
            for key, known in before.items():
                if known is None:
                    self._resources.pop(key, None)
                else:
                    self._resources[key] = _Resource(*known)
            raise

    # What a commit is judged by

    def exists(self, key: Key) -> bool:
        """Say whether there is such a resource."""
        return self.get(key) is not None

    def holding(self, type_: str, criterion: Criterion) -> list[Key]:
        """Name the resources for which a criterion holds."""
        return [key for key, at, rows in self.of_type(type_) if matches(criterion, key, at, rows, self)]

    def referring(self, key: Key) -> Iterator[Key]:
        """Name the resources that refer to one."""
        for other, found in self._resources.items():
            if not found.versions[-1].deleted and any((row.type, row.id) == key for row in found.rows.references):
                yield other

    def _write(self, write: Write) -> Stored:
        found = self._resources.get(write.key)
        versions = found.versions if found else []
        judge_write(write, len(versions), bool(versions) and not versions[-1].deleted)
        number = len(versions) + 1
        stored = Stored(
            key=write.key,
            version=number,
            seq=self._seq,
            at=self._at,
            deleted=write.body is None,
            json=b"" if write.body is None else stamp(write.body, number, self._at),
        )
        self._keep(stored, write.rows)
        return stored

    def _keep(self, stored: Stored, rows: Rows) -> None:
        before = self._resources.get(stored.key)
        self._resources[stored.key] = _Resource(rows, [*(before.versions if before else ()), stored])
        self._order[stored.key, stored.version] = len(self._order)

    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        """Replace the rows of resources that are still at their version."""
        for key, version, rows in indexed:
            found = self._resources.get(key)
            if found and found.versions[-1].version == version and not found.versions[-1].deleted:
                self._resources[key] = _Resource(rows, found.versions)

    async def search(self, plan: SearchPlan) -> Page:
        """Sort everything that matches and cut out a page; the cursor has the last resource's sort values and its id."""
        found = sorted(
            ((*(sort_value(one, *each) for one in plan.sort), each[0].id) for each in self._matching(plan)),
            key=lambda values: _place(plan, values),
        )
        page: list[Stored] = []
        size, last = 0, plan.cursor
        for values in found:
            if plan.cursor is not None and not _place(plan, plan.cursor) < _place(plan, values):
                continue
            stored = self._resources[Key(plan.type, str(values[-1]))].versions[-1]
            size += len(stored.json)
            if page and (len(page) >= plan.limit or size > plan.max_bytes):
                return Page(resources=page, cursor=last)
            page.append(stored)
            last = values
        return Page(resources=page, cursor=None)

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        """Count what matches."""
        count = sum(1 for _ in self._matching(plan))
        return count if at_most is None else min(count, at_most)

    def _matching(self, plan: SearchPlan) -> Iterator[tuple[Key, int, Rows]]:
        for key, at, rows in self.of_type(plan.type):
            if matches(plan.criterion, key, at, rows, self):
                yield key, at, rows

    async def history(self, plan: HistoryPlan) -> Page:
        """Return versions, newest first; the cursor says how many of all versions are older than the page."""
        if plan.key is not None and plan.key not in self._resources:
            raise NotFound
        log = self._log()
        page: list[Stored] = []
        size = 0
        start = int(plan.cursor[0] or 0) if plan.cursor else len(log)
        for place in range(start - 1, -1, -1):
            stored, ended = log[place]
            if not _in_history(plan, stored, ended):
                continue
            size += len(stored.json)
            if page and (len(page) >= plan.limit or size > plan.max_bytes):
                return Page(resources=page, cursor=(place + 1,))
            page.append(stored)
        return Page(resources=page, cursor=None)

    def _log(self) -> list[tuple[Stored, Stored | None]]:
        """Return every version in commit order, each with the one that replaced it."""
        pairs = [
            pair
            for found in self._resources.values()
            for pair in itertools.zip_longest(found.versions, found.versions[1:])
        ]
        return sorted(pairs, key=lambda pair: (pair[0].seq, self._order[pair[0].key, pair[0].version]))

    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        """Yield what was current at a sequence."""
        for commit in self._commits():
            versions = [
                stored
                for stored, ended in commit
                if plan.after < stored.seq <= min(plan.as_of, stored.seq if plan.up_to is None else plan.up_to)
                and (ended is None or ended.seq > plan.as_of)
                and (not plan.types or stored.key.type in plan.types)
                and (plan.since is None or stored.at > plan.since)
            ]
            if versions:
                yield versions

    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        """Yield later commits, each by itself."""
        for commit in self._commits():
            if commit[0][0].seq > after:
                yield [stored for stored, _ in commit]

    def _commits(self) -> list[list[tuple[Stored, Stored | None]]]:
        return [list(commit) for _, commit in itertools.groupby(self._log(), key=lambda pair: pair[0].seq)]

    async def watermark(self) -> Watermark:
        """Return where the commits have come to; the next gets a later time."""
        self._sealed = max(self._at, time.time_ns() // 1_000_000)
        return Watermark(seq=self._seq, at=self._sealed)

    async def load(self, versions: Sequence[Loading]) -> None:
        """Take over what is not there yet, having looked at all of it."""
        reached, known = self._seq, {key: len(found.versions) for key, found in self._resources.items()}
        new = []
        for stored, rows in versions:
            if stored.version <= known.get(stored.key, 0):
                if self._resources[stored.key].versions[stored.version - 1] != stored:
                    raise Unsupported
            elif stored.seq <= reached:
                raise Unsupported
            else:
                new.append((stored, rows))
        for stored, rows in new:
            self._keep(stored, rows or Rows())
            self._seq, self._at = stored.seq, stored.at

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        """Write a record."""
        judge_revision(await self.get_state(key), if_revision)
        self._seq += 1
        expires = None if ttl is None else time.time_ns() // 1_000_000 + round(ttl * 1000)
        self._state[key] = StateRecord(key=key, value=value, revision=self._seq, expires_at=expires)
        return self._seq

    async def get_state(self, key: str) -> StateRecord | None:
        """Return a live record."""
        record = self._state.get(key)
        alive = record is not None and (record.expires_at is None or record.expires_at > time.time_ns() // 1_000_000)
        return record if alive else None

    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        """Return live records in key order."""
        keys = sorted(key for key in self._state if key.startswith(prefix))
        return [record for key in keys if (record := await self.get_state(key))]

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        """Delete a record."""
        found = await self.get_state(key)
        judge_revision(found, if_revision)
        self._state.pop(key, None)
        return found is not None


def _in_history(plan: HistoryPlan, stored: Stored, ended: Stored | None) -> bool:
    return (
        (stored.key == plan.key if plan.key else not plan.types or stored.key.type in plan.types)
        and (plan.since is None or stored.at >= plan.since)
        and (plan.until is None or stored.at < plan.until)
        and (plan.current_after is None or ended is None or ended.at > plan.current_after)
    )


def _place(plan: SearchPlan, values: Sequence[Any]) -> tuple[Any, str]:
    return places(plan.sort, values[:-1]), values[-1]
