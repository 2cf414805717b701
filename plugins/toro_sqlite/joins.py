"""Chains: what refers to resources that satisfy a criterion, and what such resources refer to."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import json

from toro_sqlite.blobs import decode
from toro_sqlite.filters import filtered
from toro_sqlite.matching import matching
from toro_sqlite.nodes import NOTHING, Node, listed, these
from toro_sqlite.postings import Referring
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, all_of, execute

__all__ = ["chained", "referred"]

_FEW = 1_000
"""Resources up to which they are found first; more are looked at as what refers to them is."""


def chained(reader: Reader, pid: int, tid: int, inner: Node, depth: int) -> Node:
    """Make the criterion that a reference of the parameter leads to a resource of type `tid` for which `inner` holds."""
    if inner is NOTHING:
        return NOTHING
    matches = matching(reader, tid, inner)
    found = _first(reader, matches)
    if len(found) <= _FEW:
        return listed(reader, Referring(pid, found))
    row = f"j{depth}"
    joins, conditions = filtered(inner.conjuncts, row, row, prefix=row)
    exists = Sql(
        f"EXISTS (SELECT 1 FROM json_each(targets(@postings, ?)) x CROSS JOIN resource {row} ON {row}.rid = x.value",
        (pid,),
    )
    live = Sql(f"{row}.tid = ? AND {row}.sort IS NOT NULL", (tid,))
    where = exists + joins + Sql(" WHERE ") + all_of([live, *conditions]) + Sql(")")
    listing = (
        Sql("SELECT p.rid FROM (")
        + matches
        + Sql(") i CROSS JOIN reference p ON p.param = ? AND p.target = i.rid", (pid,))
    )
    return Node(where=where, listing=listing, slow=True)


def referred(reader: Reader, own: int, pid: int, tid: int, inner: Node, depth: int) -> Node:
    """Make the criterion that a resource of type `tid`, for which `inner` holds, refers by its parameter to one of type `own`."""
    if inner is NOTHING:
        return NOTHING
    found = _first(reader, matching(reader, tid, inner))
    if len(found) <= _FEW:
        return _targets(reader, own, pid, found)
    row = f"j{depth}"
    # A list has only live resources of the type whose parameter it is.
    joins, conditions = filtered(inner.conjuncts, row, prefix=row)
    target = Sql(f"{row}.param = ? AND {row}.target = @rid", (pid,))
    exists = Sql(f"EXISTS (SELECT 1 FROM reference {row}") + joins + Sql(" WHERE ")
    return Node(where=exists + all_of([target, *conditions]) + Sql(")"))


def _first(reader: Reader, matches: Sql) -> list[int]:
    """Return the resources, one too many at most."""
    return [row[0] for row in execute(reader.connection, matches + Sql(" LIMIT ?", (_FEW + 1,)))]


def _targets(reader: Reader, own: int, pid: int, rids: list[int]) -> Node:
    sql = "SELECT r.postings FROM json_each(?) j CROSS JOIN resource r ON r.rid = j.value"
    found = {
        target
        for (blob,) in reader.connection.execute(sql, (json.dumps(rids),))
        for param, target, _ in decode(blob).references
        if param == pid
    }
    sql = (
        "SELECT r.rid FROM json_each(?) j CROSS JOIN resource r ON r.rid = j.value"
        " WHERE r.tid = ? AND r.sort IS NOT NULL"
    )
    rows = reader.connection.execute(sql, (json.dumps(sorted(found)), own))
    return these([row[0] for row in rows])
