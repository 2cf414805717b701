"""Numbers for what the tables would otherwise repeat: types, parameters, systems and uris, units, references' targets."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple, TypeVar

__all__ = ["Gap", "Names", "NewNames"]

K = TypeVar("K")
V = TypeVar("V")

_LIMIT = 100_000
"""Entries a cache may hold before it starts again; resources' values reach these caches."""
_MIN, _MAX = -(2**63), 2**63 - 1


class Gap(NamedTuple):
    """How far a parameter's dates lie from their resources' sort values, over all ever written; an end at ±2^63 is unbounded."""

    low_min: int
    low_max: int
    high_min: int
    high_max: int

    def covers(self, other: Gap) -> bool:
        """Tell whether nothing of `other` lies outside."""
        return (
            self.low_min <= other.low_min
            and self.low_max >= other.low_max
            and self.high_min <= other.high_min
            and self.high_max >= other.high_max
        )

    def widened(self, other: Gap) -> Gap:
        """Return the smallest gap that covers both."""
        return Gap(
            min(self.low_min, other.low_min),
            max(self.low_max, other.low_max),
            min(self.high_min, other.high_min),
            max(self.high_max, other.high_max),
        )

    @classmethod
    def of(cls, low: int, high: int, sort: int) -> Gap:
        """Measure one date."""
        below, above = max(_MIN, min(_MAX, low - sort)), max(_MIN, min(_MAX, high - sort))
        return cls(below, below, above, above)


class Names:
    """Looks numbers up. Rows are only ever added, so what was found stays true; what was not found is asked again."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Look them up over this connection."""
        self.connection = connection
        self._types: dict[str, int] = {}
        self._params: dict[tuple[int, str], int] = {}
        self._values: dict[str, int] = {}
        self._units: dict[tuple[int, str], int] = {}
        self._resources: dict[tuple[int, str], int] = {}
        self._targets: dict[int, str] = {}
        self._codes: dict[int, str] = {}
        self._texts: dict[int, str] = {0: ""}
        self._unit_names: dict[int, tuple[str, str]] = {}

    def type(self, name: str) -> int | None:
        """Return a resource type's number."""
        return self._types.get(name) or self._found(self._types, name, "SELECT tid FROM type WHERE name = ?", name)

    def param(self, tid: int, code: str) -> int | None:
        """Return a search parameter's number."""
        sql = "SELECT pid FROM param WHERE tid = ? AND code = ?"
        return self._params.get((tid, code)) or self._found(self._params, (tid, code), sql, tid, code)

    def value(self, text: str) -> int | None:
        """Return a system's or uri's number, 0 for the empty one."""
        if not text:
            return 0
        return self._values.get(text) or self._found(self._values, text, "SELECT uid FROM value WHERE text = ?", text)

    def unit(self, system: int, code: str) -> int | None:
        """Return a unit's number; `system` is that of a value."""
        sql = "SELECT nid FROM unit WHERE system = ? AND code = ?"
        return self._units.get((system, code)) or self._found(self._units, (system, code), sql, system, code)

    def resource(self, tid: int, id: str) -> int | None:
        """Return a resource's number, stored or only referred to."""
        sql = "SELECT rid FROM resource WHERE tid = ? AND id = ?"
        return self._resources.get((tid, id)) or self._found(self._resources, (tid, id), sql, tid, id)

    def gap(self, pid: int) -> Gap | None:
        """Return a parameter's gap as of now, None where it has had no dates."""
        sql = "SELECT low_min, low_max, high_min, high_max FROM param WHERE pid = ?"
        row = self.connection.execute(sql, (pid,)).fetchone()
        return None if row is None or row[0] is None else Gap(*row)

    def by_target(self, pid: int) -> bool:
        """Tell whether resources are sorted by their references' targets under a parameter."""
        row = self.connection.execute("SELECT by_target FROM param WHERE pid = ?", (pid,)).fetchone()
        return row is not None and bool(row[0])

    def grouped(self, pid: int) -> bool:
        """Tell whether groups of rows have been under a parameter."""
        row = self.connection.execute("SELECT grouped FROM param WHERE pid = ?", (pid,)).fetchone()
        return row is not None and bool(row[0])

    def code(self, pid: int) -> str:
        """Return a parameter's name."""
        return self._codes.get(pid) or _remember(
            self._codes, pid, str(self._row("SELECT code FROM param WHERE pid = ?", pid)[0])
        )

    def text(self, uid: int) -> str:
        """Return a system or uri."""
        found = self._texts.get(uid)
        if found is None:
            found = _remember(self._texts, uid, str(self._row("SELECT text FROM value WHERE uid = ?", uid)[0]))
        return found

    def unit_name(self, nid: int) -> tuple[str, str]:
        """Return a unit's system and code."""
        found = self._unit_names.get(nid)
        if found is None:
            system, code = self._row("SELECT system, code FROM unit WHERE nid = ?", nid)
            found = _remember(self._unit_names, nid, (self.text(system), code))
        return found

    def target(self, rid: int) -> str:
        """Return a resource's name, `Patient/1`, stored or only referred to."""
        name = self._targets.get(rid)
        if name is None:
            sql = "SELECT t.name || '/' || r.id FROM resource r JOIN type t ON t.tid = r.tid WHERE r.rid = ?"
            name = _remember(self._targets, rid, str(self._row(sql, rid)[0]))
        return name

    def _row(self, sql: str, number: int) -> Any:
        return self.connection.execute(sql, (number,)).fetchone()

    def _found(self, cache: dict[K, int], key: K, sql: str, *args: int | str) -> int | None:
        row = self.connection.execute(sql, args).fetchone()
        return None if row is None else _remember(cache, key, row[0])


def _remember(cache: dict[K, V], key: K, number: V) -> V:
    if len(cache) >= _LIMIT:
        cache.clear()
    cache[key] = number
    return number


class NewNames(Names):
    """Numbers that are made where they are missing, in the writer's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Make them over the writer's connection."""
        super().__init__(connection)
        self._gaps: dict[int, Gap] = {}
        self._noted: set[tuple[str, int]] = set()
        self._last_rid = 0
        self._reserved: dict[tuple[int, str], int] = {}

    def begin(self) -> None:
        """Start a transaction: another process may have added resources since the last one."""
        self._last_rid = self.connection.execute("SELECT coalesce(max(rid), 0) FROM resource").fetchone()[0]

    def forget(self) -> None:
        """Forget all, after a rollback took numbers back."""
        for cache in (self._types, self._params, self._values, self._units, self._resources):
            cache.clear()
        self._gaps.clear()
        self._noted.clear()
        self._reserved.clear()

    def make_type(self, name: str) -> int:
        """Return a resource type's number."""
        return self.type(name) or self._made(self._types, name, "INSERT INTO type (name) VALUES (?)", name)

    def make_param(self, tid: int, code: str) -> int:
        """Return a search parameter's number."""
        sql = "INSERT INTO param (tid, code) VALUES (?, ?)"
        return self.param(tid, code) or self._made(self._params, (tid, code), sql, tid, code)

    def make_value(self, text: str) -> int:
        """Return a system's or uri's number, 0 for the empty one."""
        number = self.value(text)
        return self._made(self._values, text, "INSERT INTO value (text) VALUES (?)", text) if number is None else number

    def make_unit(self, system: int, code: str) -> int:
        """Return a unit's number."""
        sql = "INSERT INTO unit (system, code) VALUES (?, ?)"
        return self.unit(system, code) or self._made(self._units, (system, code), sql, system, code)

    def make_resource(self, tid: int, id: str) -> int:
        """Return a resource's number, adding a row that says it is referred to where there is none."""
        found = self._reserved.get((tid, id)) or self.resource(tid, id)
        if found is None:
            self._last_rid += 1
            found = _remember(self._resources, (tid, id), self._last_rid)
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

    def widen(self, pid: int, gap: Gap) -> None:
        """Make the parameter's gap cover this one."""
        known = self._gaps.get(pid) or self.gap(pid)
        if known is None or not known.covers(gap):
            known = known.widened(gap) if known else gap
            sql = "UPDATE param SET low_min = ?, low_max = ?, high_min = ?, high_max = ? WHERE pid = ?"
            self.connection.execute(sql, (*known, pid))
        self._gaps[pid] = known

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
        return _remember(cache, key, number)
