"""A storage in three dictionaries that declares no capability: it keeps the current version of each resource and no more."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from toro_core.errors import (
    AlreadyExists,
    ConditionChanged,
    Gone,
    NotFound,
    PreconditionFailed,
    StateConflict,
    StillReferenced,
    TargetMissing,
    Unsupported,
)
from toro_core.search.evaluate import matches, order_key, places, sort_value
from toro_core.search.plan import Criterion, SearchPlan
from toro_core.storage import (
    Absent,
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
    Version,
    Watermark,
    Write,
    stamp,
)

__all__ = ["ExampleStorage"]


class ExampleStorage:
    """Nothing is awaited inside, so that no call sees another half done."""

    capabilities: frozenset[Capability] = frozenset()

    def __init__(self) -> None:
        """Begin empty."""
        self._stored: dict[Key, Stored] = {}
        self._rows: dict[Key, Rows] = {}
        self._state: dict[str, StateRecord] = {}
        self._seq = 0

    async def read(self, key: Key, version: int | None = None) -> Stored:
        """Return the current version; there is no other."""
        stored = self._stored.get(key)
        if stored is None or version not in (None, stored.version):
            raise Unsupported if stored and version is not None and 0 < version < stored.version else NotFound
        return stored

    async def read_many(self, keys: Sequence[Key]) -> Sequence[Stored | None]:
        """Return current versions."""
        return [self._stored.get(key) for key in keys]

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        """Write one resource, having looked at all that has to hold."""
        if len(writes) > 1:
            raise Unsupported
        return [self._write(write) for write in writes]

    def _write(self, write: Write) -> Stored:
        before = self._stored.get(write.key)
        live = before is not None and not before.deleted
        if isinstance(write.expect, Absent) and live:
            raise AlreadyExists
        if isinstance(write.expect, Version) and (not live or before is None or before.version != write.expect.number):
            raise PreconditionFailed
        for condition in write.conditions:
            if self._find(condition.type, condition.criterion) != ([condition.finds] if condition.finds else []):
                raise ConditionChanged
        if write.body is None and not live:
            raise Gone if before else NotFound
        for target in write.targets:
            if target not in self._rows and (target != write.key or write.body is None):
                raise TargetMissing(str(target))
        if write.unreferenced and (referrers := self._referrers(write.key)):
            raise StillReferenced(str(write.key), referrers[:10])
        self._seq += 1
        at = max(time.time_ns() // 1_000_000, max((each.at for each in self._stored.values()), default=0))
        version = before.version + 1 if before else 1
        json = stamp(write.body, version, at) if write.body else b""
        stored = self._stored[write.key] = Stored(write.key, version, self._seq, at, write.body is None, json)
        self._rows.pop(write.key, None)
        if write.body:
            self._rows[write.key] = write.rows
        return stored

    def _referrers(self, target: Key) -> list[str]:
        return [
            str(key)
            for key, rows in self._rows.items()
            if key != target and any((row.type, row.id) == target for row in rows.references)
        ]

    def _find(self, type_: str, criterion: Criterion) -> list[Key]:
        return [key for key in self._rows if key.type == type_ and matches(criterion, *self._facts(key))]

    def _facts(self, key: Key) -> tuple[Key, int, Rows]:
        return key, self._stored[key].at, self._rows[key]

    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        """Replace the rows of resources that are still at their version."""
        for key, version, rows in indexed:
            if key in self._rows and self._stored[key].version == version:
                self._rows[key] = rows

    async def search(self, plan: SearchPlan) -> Page:
        """Sort all that matches and cut a page out; the cursor is the last one's sort values and id."""
        found = sorted(
            self._find(plan.type, plan.criterion), key=lambda key: (order_key(plan.sort, *self._facts(key)), key.id)
        )
        page: list[Stored] = []
        for key in found:
            if plan.cursor is not None and not self._after(plan, plan.cursor, key):
                continue
            size = sum(len(each.json) for each in page) + len(self._stored[key].json)
            if page and (len(page) == plan.limit or size > plan.max_bytes):
                last = page[-1].key
                values = (sort_value(one, *self._facts(last)) for one in plan.sort)
                return Page(resources=page, cursor=(*values, last.id))
            page.append(self._stored[key])
        return Page(resources=page, cursor=None)

    def _after(self, plan: SearchPlan, cursor: Sequence[Any], key: Key) -> bool:
        end = (places(plan.sort, cursor[:-1]), cursor[-1])
        return end < (order_key(plan.sort, *self._facts(key)), key.id)

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        """Count what matches."""
        count = len(self._find(plan.type, plan.criterion))
        return count if at_most is None else min(count, at_most)

    async def history(self, plan: HistoryPlan) -> Page:
        """There is none."""
        raise Unsupported

    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        """There are no snapshots."""
        for _ in self._refuse():
            yield ()

    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        """There is no feed."""
        for _ in self._refuse():
            yield ()

    def _refuse(self) -> Iterator[None]:
        raise Unsupported

    async def watermark(self) -> Watermark:
        """There is no feed to say an end of."""
        raise Unsupported

    async def load(self, versions: Sequence[Loading]) -> None:
        """Nothing is taken over."""
        raise Unsupported

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        """Write a record, for ever."""
        if ttl is not None:
            raise Unsupported
        self._expect(key, if_revision)
        self._seq += 1
        self._state[key] = StateRecord(key=key, value=value, revision=self._seq, expires_at=None)
        return self._seq

    async def get_state(self, key: str) -> StateRecord | None:
        """Return a record."""
        return self._state.get(key)

    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        """Return records in key order."""
        return [record for key, record in sorted(self._state.items()) if key.startswith(prefix)]

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        """Delete a record."""
        self._expect(key, if_revision)
        return self._state.pop(key, None) is not None

    def _expect(self, key: str, if_revision: int | None) -> None:
        record = self._state.get(key)
        if if_revision is not None and if_revision != (record.revision if record else 0):
            raise StateConflict
