"""Strings and uris by a part of them."""

from __future__ import annotations

from toro_core.search.plan import Text
from toro_sqlite.nodes import NOTHING, Node, listed
from toro_sqlite.postings import Posting
from toro_sqlite.ranges import prefix_end
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql

__all__ = ["text", "uris_from"]

_MANY = 64
"""Uris beyond which their lists are no longer merged."""


def text(pid: int, wanted: Text) -> Node:
    """Make the criterion that a string matches. No index is by the exact text: the core asks for its start as well."""
    match wanted.match:
        case "starts":
            where = _from("folded", wanted.value)
        case "contains":
            where = Sql("instr(folded, ?) > 0", (wanted.value,))
        case "exact":
            where = Sql("exact = ?", (wanted.value,))
    exists = Sql("EXISTS (SELECT 1 FROM string NOT INDEXED WHERE rid = @rid AND param = ? AND ", (pid,)) + where
    listing = Sql("SELECT rid FROM string INDEXED BY string_folded WHERE param = ? AND ", (pid,)) + where
    return Node(
        where=exists + Sql(")"),
        listing=None if wanted.match == "exact" else listing,
        slow=wanted.match == "contains",
    )


def uris_from(reader: Reader, pid: int, start: str) -> Node:
    """Make the criterion that a uri starts so."""
    among = _from("v.text", start)
    sql = Sql("SELECT v.uid FROM value v WHERE ") + among + Sql(" LIMIT ?", (_MANY + 1,))
    uids = [row[0] for row in reader.connection.execute(*sql)]
    if not uids:
        return NOTHING
    if len(uids) <= _MANY:
        return listed(reader, tuple(Posting("uri", pid, uid) for uid in uids))
    own = Sql(
        "EXISTS (SELECT 1 FROM json_each(uris(@postings, ?)) x CROSS JOIN value v ON v.uid = x.value WHERE ", (pid,)
    )
    listing = Sql("SELECT u.rid FROM value v CROSS JOIN uri u ON u.param = ? AND u.value = v.uid WHERE ", (pid,))
    return Node(where=own + among + Sql(")"), listing=listing + among, slow=True)


def _from(column: str, start: str) -> Sql:
    end = prefix_end(start)
    above = Sql(f"{column} >= ?", (start,))
    return above if end is None else above + Sql(f" AND {column} < ?", (end,))
