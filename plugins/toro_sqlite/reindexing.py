"""New index rows for versions that stay as they are, inside the writer's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from toro_core.storage import Indexed
from toro_sqlite.rows import Sheet
from toro_sqlite.transaction import Transaction

__all__ = ["reindex"]

_CURRENT = (
    "SELECT r.rid, r.tid, r.at, r.sort, r.postings FROM type t CROSS JOIN resource r ON r.tid = t.tid AND r.id = ?"
    " WHERE t.name = ? AND r.version = ? AND r.sort IS NOT NULL"
)


def reindex(transaction: Transaction, indexed: Sequence[Indexed]) -> None:
    """Replace the rows of live resources that are still at their version."""
    connection = transaction.connection
    sheet = Sheet(transaction.names)
    changed = []
    # The last one given for a resource counts.
    for (key, version), rows in {(each.key, each.version): each.rows for each in indexed}.items():
        found = connection.execute(_CURRENT, (key.id, key.type, version)).fetchone()
        if found is None:
            continue
        rid, tid, at, before, postings = found
        sort = at * 1000 if rows.sort is None else rows.sort
        if postings is not None:
            sheet.remove(rid, before, postings)
        changed.append((sort, sheet.add(rid, tid, sort, rows), rid))
    connection.executemany("UPDATE resource SET sort = ?, postings = ? WHERE rid = ?", changed)
    sheet.apply(connection)
