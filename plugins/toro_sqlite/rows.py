"""Index rows as postings: what is inserted for a version, and what is deleted again when it is no longer the current one.

The postings of a resource are also kept beside it as one small blob, since only their lists, not the resource, can be looked up
in the posting tables.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from toro_core.storage import Rows
from toro_sqlite.names import Gap, NewNames

__all__ = ["COMPARTMENT", "Sheet", "has_reference", "has_token"]

COMPARTMENT = "_compartment"
"""The parameter under which the patients are posted in whose compartments a resource lies."""

_Token: TypeAlias = tuple[int, str, int]
_Reference: TypeAlias = tuple[int, int, str]
_Uri: TypeAlias = tuple[int, int]
_Postings: TypeAlias = tuple[list[_Token], list[_Reference], list[_Uri]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Postings).decode

_INSERT = {
    "token": "INSERT INTO token (param, code, system, sort, rid) VALUES (?, ?, ?, ?, ?)",
    "reference": "INSERT INTO reference (param, target, sort, rid) VALUES (?, ?, ?, ?)",
    "uri": "INSERT INTO uri (param, value, sort, rid) VALUES (?, ?, ?, ?)",
    "date": "INSERT INTO date (rid, param, low, high) VALUES (?, ?, ?, ?)",
    "string": "INSERT INTO string (rid, param, n, folded, exact) VALUES (?, ?, ?, ?, ?)",
    "ordering": "INSERT INTO ordering (rid, param, low, high) VALUES (?, ?, ?, ?)",
}
_DELETE = {
    "token": "DELETE FROM token WHERE param = ? AND code = ? AND system = ? AND sort = ? AND rid = ?",
    "reference": "DELETE FROM reference WHERE param = ? AND target = ? AND sort = ? AND rid = ?",
    "uri": "DELETE FROM uri WHERE param = ? AND value = ? AND sort = ? AND rid = ?",
    "date": "DELETE FROM date WHERE rid = ?",
    "string": "DELETE FROM string WHERE rid = ?",
    "ordering": "DELETE FROM ordering WHERE rid = ?",
}

_Row: TypeAlias = tuple[int | str | None, ...]


def has_token(postings: bytes | None, pid: int, code: str | None, system: int | None) -> bool:
    """Tell whether a resource's blob has such a token; None is any. For what no posting list answers."""
    return postings is not None and any(
        p == pid and (code is None or c == code) and (system is None or s == system) for p, c, s in _decode(postings)[0]
    )


def has_reference(postings: bytes | None, pid: int, target: int, version: str) -> bool:
    """Tell whether a resource's blob refers to this version of the target."""
    return postings is not None and (pid, target, version) in _decode(postings)[1]


@dataclass(slots=True)
class Sheet:
    """The inserts and deletes of many resources, applied table by table in key order: that keeps bulk writes sequential."""

    names: NewNames
    inserts: dict[str, list[_Row]] = field(default_factory=lambda: {table: [] for table in _INSERT})
    deletes: dict[str, list[_Row]] = field(default_factory=lambda: {table: [] for table in _DELETE})

    def add(self, rid: int, tid: int, sort: int, rows: Rows) -> bytes:
        """Index the resource by these rows and return the blob to keep beside it."""
        names = self.names
        # The order rows come in says nothing; sets drop repeated ones.
        tokens = {(names.make_param(tid, row.param), row.code, names.make_value(row.system)) for row in rows.tokens}
        references = {
            (names.make_param(tid, row.param), names.make_resource(names.make_type(row.type), row.id), row.version)
            for row in rows.references
        }
        if rows.compartments:
            pid, patient = names.make_param(tid, COMPARTMENT), names.make_type("Patient")
            references |= {(pid, names.make_resource(patient, id), "") for id in rows.compartments}
        uris = {(names.make_param(tid, row.param), names.make_value(row.value)) for row in rows.uris}
        postings = (list(tokens), list(references), list(uris))
        self._post(self.inserts, rid, sort, postings)
        self._add_ranges(rid, tid, sort, rows)
        return _encode(postings)

    def remove(self, rid: int, sort: int, blob: bytes) -> None:
        """Take the resource out of the index; `sort` and `blob` are those kept beside it."""
        self._post(self.deletes, rid, sort, _decode(blob))
        for table in ("date", "string", "ordering"):
            self.deletes[table].append((rid,))

    def apply(self, connection: sqlite3.Connection) -> None:
        """Write it all."""
        for table in ("token", "reference", "uri"):
            kept = set(self.deletes[table]).intersection(self.inserts[table])
            if kept:
                self.deletes[table] = [row for row in self.deletes[table] if row not in kept]
                self.inserts[table] = [row for row in self.inserts[table] if row not in kept]
        for statements, sheet in ((_DELETE, self.deletes), (_INSERT, self.inserts)):
            for table, rows in sheet.items():
                if rows:
                    # The columns in which rows differ first have one type in every table, so tuples compare.
                    rows.sort()
                    connection.executemany(statements[table], rows)

    @staticmethod
    def _post(sheet: dict[str, list[_Row]], rid: int, sort: int, postings: _Postings) -> None:
        tokens, references, uris = postings
        sheet["token"] += [(pid, code, system, sort, rid) for pid, code, system in tokens]
        # A resource may refer to several versions of one target; the list holds the target once.
        sheet["reference"] += {(pid, target, sort, rid) for pid, target, _ in references}
        sheet["uri"] += [(pid, value, sort, rid) for pid, value in uris]

    def _add_ranges(self, rid: int, tid: int, sort: int, rows: Rows) -> None:
        param = self.names.make_param
        dates = {(rid, param(tid, row.param), row.low, row.high) for row in rows.dates}
        for _, pid, low, high in dates:
            self.names.widen(pid, Gap.of(low, high, sort))
        self.inserts["date"] += dates
        strings = {(param(tid, row.param), row.folded, row.exact) for row in rows.strings}
        self.inserts["string"] += [(rid, pid, n, folded, exact) for n, (pid, folded, exact) in enumerate(strings)]
        orders = {param(tid, row.param): row for row in rows.orders}
        self.inserts["ordering"] += [
            (rid, pid, row.low, None if row.high == row.low else row.high) for pid, row in orders.items()
        ]
