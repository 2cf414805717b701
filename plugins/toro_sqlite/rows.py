"""Index rows as postings: what is inserted for a version, and deleted again when it is no longer the current one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from toro_core.storage import MISSING, Rows, UriRow
from toro_sqlite.blobs import Amount, Blob, OrderEntry, Span, decode, encode, pid_of, span_of
from toro_sqlite.groups import groups
from toro_sqlite.new_names import NewNames

__all__ = ["COMPARTMENT", "Sheet"]

COMPARTMENT = "_compartment"
"""The parameter under which the patients are posted in whose compartments a resource lies."""

_INSERT = {
    "token": "INSERT INTO token (param, code, system, sort, rid) VALUES (?, ?, ?, ?, ?)",
    "reference": "INSERT INTO reference (param, target, sort, rid) VALUES (?, ?, ?, ?)",
    "uri": "INSERT INTO uri (param, value, sort, rid) VALUES (?, ?, ?, ?)",
    "amount": "INSERT INTO amount (param, unit, low, high, rid) VALUES (?, ?, ?, ?, ?)",
    "ordering": "INSERT INTO ordering (param, low, rid, high) VALUES (?, ?, ?, ?)",
    "date": "INSERT INTO date (rid, param, low, high) VALUES (?, ?, ?, ?)",
    "string": "INSERT INTO string (rid, param, n, folded, exact) VALUES (?, ?, ?, ?, ?)",
}
_DELETE = {
    "token": "DELETE FROM token WHERE param = ? AND code = ? AND system = ? AND sort = ? AND rid = ?",
    "reference": "DELETE FROM reference WHERE param = ? AND target = ? AND sort = ? AND rid = ?",
    "uri": "DELETE FROM uri WHERE param = ? AND value = ? AND sort = ? AND rid = ?",
    "amount": "DELETE FROM amount WHERE param = ? AND unit = ? AND low = ? AND high = ? AND rid = ?",
    "ordering": "DELETE FROM ordering WHERE param = ? AND low = ? AND rid = ? AND high IS ?",
    "date": "DELETE FROM date WHERE rid = ?",
    "string": "DELETE FROM string WHERE rid = ?",
}
_KEPT = ("token", "reference", "uri", "amount", "ordering")
"""Tables in which a row is deleted by all that it is made of."""

_Row: TypeAlias = tuple[int | float | str | None, ...]
_Rows: TypeAlias = dict[str, list[_Row]]


@dataclass(slots=True)
class Sheet:
    """The inserts and deletes of many resources, applied table by table in key order: that keeps bulk writes sequential."""

    names: NewNames
    inserts: _Rows = field(default_factory=lambda: {table: [] for table in _INSERT})
    deletes: _Rows = field(default_factory=lambda: {table: [] for table in _DELETE})

    def add(self, rid: int, tid: int, sort: int, rows: Rows) -> bytes:
        """Index the resource by these rows and return the blob to keep beside it."""
        names, params = self.names, self.names.params(tid)
        value, target = names.make_value, names.make_resource
        # The order rows come in says nothing; sets drop repeated ones.
        tokens = {(params[row[0]], row[2], value(row[1])) for row in rows.tokens}
        references = {(params[row[0]], target(names.make_type(row[1]), row[2]), row[3]) for row in rows.references}
        if rows.compartments:
            pid, patient = params[COMPARTMENT], names.make_type("Patient")
            references |= {(pid, target(patient, id), "") for id in rows.compartments}
        uris = {(params[row[0]], value(row[1])) for row in rows.uris}
        orders = self._orders(rid, params, rows) if rows.orders else []
        blob = Blob(list(tokens), list(references), list(uris), orders, self._amounts(params, rows))
        if rows.groups:
            blob = msgspec.structs.replace(blob, groups=groups(names, tid, blob, rows.groups))
        _post(self.inserts, rid, sort, blob)
        self._add_ranges(rid, tid, sort, rows)
        return encode(blob)

    def remove(self, rid: int, sort: int, blob: bytes) -> None:
        """Take the resource out of the index; `sort` and `blob` are those kept beside it."""
        decoded = decode(blob)
        _post(self.deletes, rid, sort, decoded)
        for entry in decoded.orders:
            span = span_of(decoded, entry)
            if span is not None:
                self.deletes["ordering"].append(_ordering(pid_of(entry), rid, *span))
        for table in ("date", "string"):
            self.deletes[table].append((rid,))

    def apply(self, connection: sqlite3.Connection) -> None:
        """Write it all."""
        for table in _KEPT:
            if kept := self.deletes[table] and set(self.deletes[table]).intersection(self.inserts[table]):
                self.deletes[table] = [row for row in self.deletes[table] if row not in kept]
                self.inserts[table] = [row for row in self.inserts[table] if row not in kept]
        for statements, sheet in ((_DELETE, self.deletes), (_INSERT, self.inserts)):
            for table, rows in sheet.items():
                if rows:
                    _sort(rows, _AS_STORED.get(table))
                    connection.executemany(statements[table], rows)

    def _orders(self, rid: int, params: Mapping[str, int], rows: Rows) -> list[OrderEntry]:
        """Post and say what the resource is sorted by; most of it is in its codes and its references' targets already."""
        codes = _spans([(row[0], row[2]) for row in rows.tokens])
        targets = _spans([(row[0], f"{row[1]}/{row[2]}") for row in rows.references])
        uris = {row[0] for row in rows.uris}
        posted = self.inserts["ordering"]
        entries: dict[int, OrderEntry] = {}
        said: dict[Span, int] = {}
        for param, low, high in rows.orders:
            pid = params[param]
            if pid in entries:
                continue
            span = (low, high)
            in_codes = codes.get(param)
            named = _named(param, low, high, rows.uris) if param in uris and isinstance(low, str) else 0
            if named or (in_codes is None and targets.get(param) == span):
                # What targets or uris say has no index: their names would be the longest part of it.
                self.names.note_by_target(pid)
                entries[pid] = [pid, -named] if named else pid
                continue
            posted.append((pid, low, rid, None if high == low else high))
            if in_codes == span:
                entries[pid] = pid
            elif span in said:
                entries[pid] = [pid, said[span]]
            else:
                entries[pid] = [pid, low, None if high == low else high]
                said[span] = pid
        return list(entries.values())

    def _amounts(self, params: Mapping[str, int], rows: Rows) -> list[Amount]:
        if not rows.numbers and not rows.quantities:
            return []
        unit, value = self.names.make_unit, self.names.make_value
        amounts = {(params[row[0]], 0, row[1], None if row[2] == row[1] else row[2]) for row in rows.numbers}
        for row in rows.quantities:
            nid, low, high = unit(value(row[1]), row[2]), row[3], row[4]
            amounts.add((params[row[0]], nid, low, None if high == low else high))
        return list(amounts)

    def _add_ranges(self, rid: int, tid: int, sort: int, rows: Rows) -> None:
        params = self.names.params(tid)
        dates = {(rid, params[row[0]], row[1], row[2]) for row in rows.dates}
        for _, pid, low, high in dates:
            self.names.widen(pid, low, high, sort)
        if sort != MISSING:
            self.names.note_dated(tid, {row[1] for row in dates})
        self.inserts["date"] += dates
        if rows.strings:
            strings = {(params[row[0]], row[1], row[2]) for row in rows.strings}
            self.inserts["string"] += [(rid, pid, n, folded, exact) for n, (pid, folded, exact) in enumerate(strings)]


def _post(sheet: _Rows, rid: int, sort: int, blob: Blob) -> None:
    sheet["token"] += [(pid, code, system, sort, rid) for pid, code, system in blob.tokens]
    # A resource may refer to several versions of one target; the list holds the target once.
    sheet["reference"] += {(pid, target, sort, rid) for pid, target, _ in blob.references}
    sheet["uri"] += [(pid, value, sort, rid) for pid, value in blob.uris]
    sheet["amount"] += [(pid, unit, low, "" if high is None else high, rid) for pid, unit, low, high in blob.amounts]


def _ordering(pid: int, rid: int, low: float | str, high: float | str) -> _Row:
    return pid, low, rid, None if high == low else high


def _named(param: str, low: str, high: float | str, rows: Iterable[UriRow]) -> int:
    """Return the length to which the parameter's uris are cut where they say the span, 0 where they do not."""
    length = max(len(low), len(str(high)))
    values = [row[1][:length] for row in rows if row[0] == param]
    return length if (low, high) == (min(values), max(values)) else 0


def _spans(values: Sequence[tuple[str, str]]) -> dict[str, Span]:
    """Return the lowest and the highest value of each parameter."""
    spans = {param: (value, value) for param, value in values}
    if len(spans) < len(values):
        for param, value in values:
            low, high = spans[param]
            spans[param] = (min(low, value), max(high, value))
    return spans  # type: ignore[return-value]  # texts are among what a span can have


def _sort(rows: list[_Row], as_stored: Callable[[_Row], tuple[object, ...]] | None) -> None:
    """Sort rows as SQLite does; `as_stored` is needed only where numbers and texts are to be compared."""
    try:
        rows.sort()
    except TypeError:
        rows.sort(key=as_stored)


def _ordering_as_stored(row: _Row) -> tuple[object, ...]:
    """Sort numbers before texts, as SQLite does."""
    return (row[0], isinstance(row[1], str), row[1], row[2])


def _amount_as_stored(row: _Row) -> tuple[object, ...]:
    return (row[0], row[1], row[2], isinstance(row[3], str), row[3], row[4])


_AS_STORED: dict[str, Callable[[_Row], tuple[object, ...]]] = {
    "amount": _amount_as_stored,
    "ordering": _ordering_as_stored,
}
"""For tables in a column of which numbers and texts stand."""
