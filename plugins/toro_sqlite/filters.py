"""How what is read is tested: a single list by joining its exact key, which is quicker than asking, other criteria by asking."""

from __future__ import annotations

from collections.abc import Sequence

from toro_sqlite.nodes import EVERYTHING, Node
from toro_sqlite.sql import Sql, join

__all__ = ["filtered"]

_JOINED = 20
"""Tables joined at most; SQLite stops at 64."""


def filtered(nodes: Sequence[Node], key: str, row: str | None = None, *, prefix: str = "") -> tuple[Sql, list[Sql]]:
    """Return joins and conditions that all nodes hold for a resource: `key` has its rid and sort, `row` is its row if joined.

    The tables that are joined have names that begin with the prefix.
    """
    joins: list[Sql] = []
    conditions: list[Sql] = []
    for node in nodes:
        if node is EVERYTHING:
            continue
        if node.exact and len(node.postings) == 1 and len(joins) < _JOINED:
            (posting,), alias = node.postings, f"{prefix}f{len(joins)}"
            joins.append(
                Sql(f" CROSS JOIN {posting.table} {alias} ON ")
                + posting.on(alias)
                + Sql(f" AND {alias}.sort = {key}.sort AND {alias}.rid = {key}.rid")
            )
        else:
            conditions.append(node.where.on(key, row))
    return join("", joins), conditions
