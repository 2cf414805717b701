"""Whether a resource has any row of a parameter."""

from __future__ import annotations

from toro_sqlite.blobs import Blob
from toro_sqlite.nodes import NOTHING, Node
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, any_of

__all__ = ["present"]

_LISTS = (
    "SELECT rid FROM token WHERE param = ?"
    " UNION ALL SELECT rid FROM reference WHERE param = ?"
    " UNION ALL SELECT rid FROM uri WHERE param = ?"
    " UNION ALL SELECT rid FROM amount NOT INDEXED WHERE param = ?"
    " UNION ALL SELECT rid FROM date INDEXED BY date_low WHERE param = ?"
    " UNION ALL SELECT rid FROM string INDEXED BY string_folded WHERE param = ?"
)


def present(reader: Reader, pid: int, type: str | None) -> Node:
    """Make the criterion that there is a row, where `type` is given a reference to one."""
    if type is not None:
        return _refers(reader, pid, type)
    tests = [
        reader.ask(lambda blob: _has(blob, pid)),
        Sql("EXISTS (SELECT 1 FROM date NOT INDEXED WHERE rid = @rid AND param = ?)", (pid,)),
        Sql("EXISTS (SELECT 1 FROM string NOT INDEXED WHERE rid = @rid AND param = ?)", (pid,)),
    ]
    # Groups are in no list.
    listing = None if reader.grouped(pid) else Sql(_LISTS, (pid,) * 6)
    return Node(where=any_of(tests), listing=listing)


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
