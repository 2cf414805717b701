"""Numbers that are made where they are missing, and what is noted of parameters, in the writer's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Set
from typing import TypeVar

from toro_core.search.plan import MISSING
from toro_sqlite.names import Gap, Names, remember

__all__ = ["NewNames"]

K = TypeVar("K")


class NewNames(Names):
    """Numbers that are made where they are missing, in the writer's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Make them over the writer's connection."""
        super().__init__(connection)
        self._gaps: dict[int, Gap] = {}
        self._noted: set[tuple[str, int]] = set()
        self._full: dict[int, set[int]] = {}
        self._data_version = 0
        self._last_rid = 0
        self._reserved: dict[tuple[int, str], int] = {}
        self._of_types: dict[int, _Params] = {}

    def begin(self) -> None:
        """Start a transaction: another process may have added resources since the last one, with dates of their own."""
        version = self.connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            self._data_version = version
            self._gaps.clear()
            self._full.clear()
        self._last_rid = self.connection.execute("SELECT coalesce(max(rid), 0) FROM resource").fetchone()[0]

    def forget(self) -> None:
        """Forget all, after a rollback took numbers back."""
        for cache in (self._types, self._params, self._values, self._units, self._resources):
            cache.clear()
        self._gaps.clear()
        self._noted.clear()
        self._full.clear()
        self._reserved.clear()
        self._of_types.clear()

    def make_type(self, name: str) -> int:
        """Return a resource type's number."""
        return self.type(name) or self._made(self._types, name, "INSERT INTO type (name) VALUES (?)", name)

    def make_param(self, tid: int, code: str) -> int:
        """Return a search parameter's number."""
        found = self._params.get((tid, code)) or self.param(tid, code)
        sql = "INSERT INTO param (tid, code) VALUES (?, ?)"
        return found or self._made(self._params, (tid, code), sql, tid, code)

    def params(self, tid: int) -> Mapping[str, int]:
        """Return the numbers of a type's search parameters by code: looking one up makes it."""
        found = self._of_types.get(tid)
        if found is None:
            found = self._of_types[tid] = _Params(self, tid)
        return found

    def make_value(self, text: str) -> int:
        """Return a system's or uri's number, 0 for the empty one."""
        number = self._values.get(text) or self.value(text)
        return self._made(self._values, text, "INSERT INTO value (text) VALUES (?)", text) if number is None else number

    def make_unit(self, system: int, code: str) -> int:
        """Return a unit's number."""
        sql = "INSERT INTO unit (system, code) VALUES (?, ?)"
        return self.unit(system, code) or self._made(self._units, (system, code), sql, system, code)

    def make_resource(self, tid: int, id: str) -> int:
        """Return a resource's number, adding a row that says it is referred to where there is none."""
        found = self._resources.get((tid, id)) or self._reserved.get((tid, id)) or self.resource(tid, id)
        if found is None:
            self._last_rid += 1
            found = remember(self._resources, (tid, id), self._last_rid)
            self.connection.execute("INSERT INTO resource (rid, tid, id) VALUES (?, ?, ?)", (found, tid, id))
        return found

    def reserve_resource(self, tid: int, id: str) -> int:
        """Return the number for a resource whose row the caller inserts, and then calls `inserted_reserved`."""
        self._last_rid += 1
        self._reserved[tid, id] = self._last_rid
        return self._last_rid

    def inserted_reserved(self) -> None:
        """Note that the rows of all reserved numbers are there."""
        self._reserved.clear()

    def widen(self, pid: int, low: int, high: int, sort: int) -> None:
        """Make the parameter's gap cover that of a date from its resource's sort value."""
        known = self._gaps.get(pid)
        if known and known[0] <= low - sort <= known[1] and known[2] <= high - sort <= known[3]:
            return
        gap = Gap.of(low, high, sort)
        known = known or self.gap(pid)
        if known is None or not known.covers(gap):
            known = known.widened(gap) if known else gap
            sql = "UPDATE param SET low_min = ?, low_max = ?, high_min = ?, high_max = ? WHERE pid = ?"
            self.connection.execute(sql, (*known, pid))
        self._gaps[pid] = known

    def note_dated(self, tid: int, pids: Set[int]) -> None:
        """Note that a resource of the type has a sort value, and dates under these parameters alone."""
        full = self._full.get(tid)
        if full is None:
            full = self._full[tid] = self._known_full(tid, pids)
        for pid in full - pids:
            self.connection.execute("UPDATE param SET sparse = 1 WHERE pid = ?", (pid,))
            full.remove(pid)

    def _known_full(self, tid: int, pids: Set[int]) -> set[int]:
        sql = "SELECT 1 FROM resource INDEXED BY resource_sort WHERE tid = ? AND sort IS NOT NULL AND sort < ? LIMIT 1"
        if self.connection.execute(sql, (tid, MISSING)).fetchone():
            return {
                row[0] for row in self.connection.execute("SELECT pid FROM param WHERE tid = ? AND sparse = 0", (tid,))
            }
        self.connection.execute("UPDATE param SET sparse = 1 WHERE tid = ?", (tid,))
        self.connection.executemany("UPDATE param SET sparse = 0 WHERE pid = ?", [(pid,) for pid in pids])
        return set(pids)

    def note_by_target(self, pid: int) -> None:
        """Note that resources are sorted by their references' targets under the parameter."""
        self._note("UPDATE param SET by_target = 1 WHERE pid = ?", pid)

    def note_grouped(self, pid: int) -> None:
        """Note that there are groups of rows under the parameter."""
        self._note("UPDATE param SET grouped = 1 WHERE pid = ?", pid)

    def _note(self, sql: str, pid: int) -> None:
        if (sql, pid) not in self._noted:
            self.connection.execute(sql, (pid,))
            self._noted.add((sql, pid))

    def _made(self, cache: dict[K, int], key: K, sql: str, *args: int | str) -> int:
        number = self.connection.execute(sql, args).lastrowid
        assert number  # noqa: S101 - an INSERT into a rowid table has one
        return remember(cache, key, number)


class _Params(dict[str, int]):
    """The numbers of one type's parameters."""

    def __init__(self, names: NewNames, tid: int) -> None:
        self._names = names
        self._tid = tid

    def __missing__(self, code: str) -> int:
        number = self[code] = self._names.make_param(self._tid, code)
        return number
