"""The first entries of lists in the order of an answer, by which lists are compared without counting them."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from toro_sqlite.nodes import Node
from toro_sqlite.ranges import Bounds, within
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, all_of, execute

__all__ = ["Starts"]


class _Start(NamedTuple):
    """How many entries there are up to the cap, and the sort values of the first and the last of them."""

    entries: int
    first: int
    last: int


class Starts:
    """Looks at up to `cap` entries of the lists of each criterion, in one direction."""

    def __init__(
        self, reader: Reader, tid: int, nodes: Sequence[Node], bounds: Bounds, descending: bool, cap: int
    ) -> None:
        """Look within bounds of the sort value."""
        self._reader = reader
        self._tid = tid
        self._nodes = nodes
        self._bounds = bounds
        self._descending = descending
        self._cap = cap
        self._starts = [self._look(node, bounds) for node in nodes]

    def fewest(self) -> Node | None:
        """Return the criterion with the fewest entries, None where all have too many to tell."""
        counts = [sum(start.entries for start in starts) for starts in self._starts]
        least = min(counts)
        return self._nodes[counts.index(least)] if least < self._cap else None

    def sparsest(self) -> Node:
        """Return the criterion whose first entries reach farthest in the order, from where all have begun."""
        firsts = [[start.first for start in starts if start.entries] for starts in self._starts]
        common = min(map(max, firsts)) if self._descending else max(map(min, firsts))
        densities = [
            sum(self._density(start, common) for start in self._from(node, starts, common))
            for node, starts in zip(self._nodes, self._starts, strict=True)
        ]
        return self._nodes[densities.index(min(densities))]

    def _from(self, node: Node, starts: list[_Start], common: int) -> list[_Start]:
        """Look again where what was seen ends before the others begin."""
        if all((start.last < common) == self._descending for start in starts if start.entries):
            return starts
        return self._look(node, self._bounds.both(Bounds(high=common) if self._descending else Bounds(low=common)))

    @staticmethod
    def _density(start: _Start, common: int) -> float:
        return start.entries / (abs(start.last - common) + 1)

    def _look(self, node: Node, bounds: Bounds) -> list[_Start]:
        if not node.bounds.tight:
            return [self._start(posting.table, posting.where, bounds) for posting in node.postings]
        live = Sql("tid = ? AND sort IS NOT NULL", (self._tid,))
        return [self._start("resource INDEXED BY resource_sort", live, bounds)]

    def _start(self, table: str, where: Sql, bounds: Bounds) -> _Start:
        first, last, order = ("max", "min", "DESC") if self._descending else ("min", "max", "ASC")
        where = all_of([where, *within("sort", bounds)])
        sql = (
            Sql(f"SELECT count(*), {first}(sort), {last}(sort) FROM (SELECT sort FROM {table} WHERE ")
            + where
            + Sql(f" ORDER BY sort {order} LIMIT ?)", (self._cap,))
        )
        entries, *ends = execute(self._reader.connection, sql).fetchone()
        return _Start(entries, *ends) if entries else _Start(0, 0, 0)
