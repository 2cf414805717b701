"""Whether a resource has any row of a parameter."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from toro_sqlite.blobs import Blob
from toro_sqlite.nodes import NOTHING, Node
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, any_of, join

__all__ = ["present"]

_TABLES = {
    "date": "date INDEXED BY date_low",
    "string": "string INDEXED BY string_folded",
    "token": "token",
    "reference": "reference",
    "uri": "uri",
    "amount": "amount NOT INDEXED",
}
_CLUSTERED = ("date", "string")
"""Tables in which a resource can be looked up; it keeps beside itself what it has in the others."""
_USED = f"SELECT {', '.join(f'EXISTS (SELECT 1 FROM {table} WHERE param = ?)' for table in _TABLES.values())}"


def present(reader: Reader, pid: int, type: str | None) -> Node:
    """Make the criterion that there is a row, where `type` is given a reference to one."""
    if type is not None:
        return _refers(reader, pid, type)
    found = reader.connection.execute(_USED, (pid,) * len(_TABLES)).fetchone()
    used = [table for table, is_used in zip(_TABLES, found, strict=True) if is_used]
    grouped = reader.grouped(pid)
    tests = [
        Sql(f"EXISTS (SELECT 1 FROM {table} NOT INDEXED WHERE rid = @rid AND param = ?)", (pid,))
        for table in _CLUSTERED
        if table in used
    ]
    if grouped or len(used) > len(tests):
        tests.append(reader.ask(lambda blob: _has(blob, pid)))
    if not tests:
        return NOTHING
    lists = join(" UNION ALL ", (Sql(f"SELECT rid FROM {_TABLES[table]} WHERE param = ?", (pid,)) for table in used))
    # Groups are in no list.
    return Node(where=any_of(tests), listing=None if grouped else lists)


def _has(blob: Blob, pid: int) -> bool:
    kinds = (blob.tokens, blob.references, blob.uris, blob.amounts, blob.groups)
    return any(row[0] == pid for rows in kinds for row in rows)


def _refers(reader: Reader, pid: int, type: str) -> Node:
    tid = reader.type(type)
    if tid is None:
        return NOTHING
    return Node(
        where=Sql(
            "EXISTS (SELECT 1 FROM json_each(targets(@postings, ?)) x CROSS JOIN resource y ON y.rid = x.value"
            " WHERE y.tid = ?)",
            (pid, tid),
        ),
        listing=Sql(
            "SELECT p.rid FROM reference p CROSS JOIN resource y ON y.rid = p.target WHERE p.param = ? AND y.tid = ?",
            (pid, tid),
        ),
    )
