"""Reading out JSON: SQLite joins it by type, so that a batch makes a few objects in Python instead of some for each version."""

# ruff: noqa: S608 - SQL is put together from this package's literals and numbers; every value is a bound parameter

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import NamedTuple

from toro_core.storage import LineBatch, Lines, ScanPlan, joined
from toro_sqlite.feeds import CURRENT, first_after, walk_scan
from toro_sqlite.names import Names

__all__ = ["LineWalk", "Range"]

_MOST_AT_FIRST, _MOST_ROWS = 64, 10_000
_GUESS = 1_000
"""Bytes of a resource, until some have been seen."""
_MOST_TYPES = 40
"""Each costs a look at every version; with more, making objects is as quick."""
# SQLite keeps a subquery's order for group_concat.
_JOINED = (
    "SELECT count(*){columns} FROM (SELECT r.tid, v.json"
    " FROM version v CROSS JOIN resource r ON r.rid = v.rid"
    f" WHERE v.vid > ? AND v.vid <= ? AND {CURRENT} AND NOT v.deleted{{types}} ORDER BY v.vid)"
)
# The sequence of a vid, or of the first one in the range.
_SEQ = (
    "SELECT coalesce((SELECT seq FROM version WHERE vid > ?1 AND vid <= ?3 ORDER BY vid DESC LIMIT 1),"
    " (SELECT seq FROM version WHERE vid > ?1 AND vid < ?2 ORDER BY vid LIMIT 1))"
)
_COLUMN = ", CAST(group_concat(json, '\n') FILTER (WHERE tid = {tid}) AS BLOB)"


class Range(NamedTuple):
    """Versions of whole commits: those after one vid, of a commit after `after`, and up to another, of the commit `seq`."""

    after: int
    low: int
    end: int
    seq: int


class LineWalk:
    """Cuts what a scan walks into ranges, which may be read at the same time, or walks it batch by batch."""

    def __init__(self, plan: ScanPlan) -> None:
        """Walk from the plan's beginning."""
        self._plan = plan
        self._walk = walk_scan(plan)
        self._rows = max(1, min(_MOST_AT_FIRST, plan.max_bytes // _GUESS))
        self._seq = plan.after
        self._vid: int | None = None
        self._high = 0

    def next_range(self, names: Names) -> Range | None:
        """Cut the next range off, as large as the plan's batches, going by what was read before; None where nothing follows."""
        connection = names.connection
        low, high = self._rest(connection)
        seq: int | None = connection.execute(_SEQ, (low, high, min(low + self._rows, high - 1))).fetchone()[0]
        if seq is None:
            return None
        after, self._seq = self._seq, seq
        self._vid = first_after(connection, "seq", seq) - 1
        return Range(after, low, self._vid, seq)

    def read(self, cut: Range, names: Names) -> LineBatch | None:
        """Read a range; None where it has to be walked instead: it is too much, or newlines do not part what is in it."""
        lines = self._joined(names.connection, cut.low, cut.end)
        if lines is None:
            return None
        size = sum([len(some.json) for some in lines])
        self._rows = max(1, min(_MOST_ROWS, self._plan.max_bytes * (cut.end - cut.low) // (size + 1)))
        return LineBatch(cut.seq, lines)

    def within(self, cut: Range) -> LineWalk:
        """Return a walk of a range."""
        return LineWalk(replace(self._plan, after=cut.after, up_to=cut.seq))

    def __call__(self, names: Names) -> LineBatch | None:
        """Read the next batch, of fewer versions where they are too much; None where nothing follows."""
        start = self._seq, self._vid
        cut = self.next_range(names)
        if cut is None:
            return None
        if (batch := self.read(cut, names)) is not None:
            return batch
        self._seq, self._vid = start
        if self._rows > 1:
            self._rows = max(1, self._rows // 8)
            return self(names)
        return self._one_by_one(names, cut.seq)

    def _rest(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Return between which vids the rest lies, neither included; where the walk ends is looked for once."""
        if self._vid is None:
            self._vid, self._high = self._walk.vids(connection, None)
        return self._vid, self._high

    def _joined(self, connection: sqlite3.Connection, low: int, end: int) -> list[Lines] | None:
        """Return the lines up to a vid; None where they are too many bytes, or where a newline does not part two of them."""
        types = self._plan.types
        tids = [row for row in connection.execute("SELECT tid, name FROM type") if not types or row[1] in types]
        if len(tids) > _MOST_TYPES:
            return None
        statement = _JOINED.format(
            columns="".join([_COLUMN.format(tid=tid) for tid, _ in tids]),
            types=f" AND r.tid IN ({', '.join([str(tid) for tid, _ in tids])})" if types else "",
        )
        most = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000 + 4 * self._plan.max_bytes)
        try:
            count, *texts = connection.execute(statement, (low, end, self._plan.as_of)).fetchone()
        except sqlite3.DataError:
            return None
        finally:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, most)
        lines = [Lines(name, text.count(b"\n") + 1, text) for (_, name), text in zip(tids, texts, strict=True) if text]
        # No resource has a line break, and none was cut at a NUL, which JSON does not have.
        parted = all(some.json.endswith(b"}") and b"\r" not in some.json for some in lines)
        return lines if parted and sum([some.resources for some in lines]) == count else None

    def _one_by_one(self, names: Names, seq: int) -> LineBatch:
        _, high = self._rest(names.connection)
        batch = self._walk(names, self._vid)
        self._vid = high - 1 if batch.vid is None else batch.vid
        self._seq = batch.versions[-1].seq if batch.versions else seq
        self._rows = 1
        return LineBatch(self._seq, joined(batch.versions))
