"""Numbers for what the tables would otherwise repeat: types, parameters, systems and uris, units, references' targets."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple, TypeVar

__all__ = ["Gap", "Names", "remember"]

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

    def sparse(self, pid: int) -> bool:
        """Tell whether a resource that has a sort value may have no date under a parameter."""
        row = self.connection.execute("SELECT sparse FROM param WHERE pid = ?", (pid,)).fetchone()
        return row is None or bool(row[0])

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
        return self._codes.get(pid) or remember(
            self._codes, pid, str(self._row("SELECT code FROM param WHERE pid = ?", pid)[0])
        )

    def text(self, uid: int) -> str:
        """Return a system or uri."""
        found = self._texts.get(uid)
        if found is None:
            found = remember(self._texts, uid, str(self._row("SELECT text FROM value WHERE uid = ?", uid)[0]))
        return found

    def unit_name(self, nid: int) -> tuple[str, str]:
        """Return a unit's system and code."""
        found = self._unit_names.get(nid)
        if found is None:
            system, code = self._row("SELECT system, code FROM unit WHERE nid = ?", nid)
            found = remember(self._unit_names, nid, (self.text(system), code))
        return found

    def target(self, rid: int) -> str:
        """Return a resource's name, `Patient/1`, stored or only referred to."""
        name = self._targets.get(rid)
        if name is None:
            sql = "SELECT t.name || '/' || r.id FROM resource r JOIN type t ON t.tid = r.tid WHERE r.rid = ?"
            name = remember(self._targets, rid, str(self._row(sql, rid)[0]))
        return name

    def _row(self, sql: str, number: int) -> Any:
        return self.connection.execute(sql, (number,)).fetchone()

    def _found(self, cache: dict[K, int], key: K, sql: str, *args: int | str) -> int | None:
        row = self.connection.execute(sql, args).fetchone()
        return None if row is None else remember(cache, key, row[0])


def remember(cache: dict[K, V], key: K, number: V) -> V:
    """Put into a cache, which starts again where it has grown too large."""
    if len(cache) >= _LIMIT:
        cache.clear()
    cache[key] = number
    return number
