"""The first entries of lists in the order of an answer, by which lists are compared without counting them."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from toro_core.search.plan import MISSING
from toro_sqlite.nodes import Node
from toro_sqlite.ranges import Bounds, within
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql, all_of, execute

__all__ = ["Starts"]

_LOOKED = 16
"""Lists of one criterion that are looked at."""


class _Start(NamedTuple):
    """How many entries there are up to the cap, and the sort values of the first and the last of them."""

    entries: int
    first: int
    last: int


class Starts:
    """Looks at up to `cap` entries of the lists of each criterion, in one direction."""

    def __init__(
        self, reader: Reader, tid: int, nodes: Sequence[Node], bounds: Bounds, cap: int, *, descending: bool
    ) -> None:
        """Look within bounds of the sort value, at criteria on a type."""
        self._reader = reader
        self._tid = tid
        self._descending = descending
        self._nodes = nodes
        # Those without a sort value would seem to be very far away.
        self._bounds = bounds.both(Bounds(high=MISSING - 1))
        self._cap = cap
        self._starts = [self._look(node, self._bounds) for node in nodes]

    def fewest(self) -> Node | None:
        """Return the criterion with the fewest entries, None where all have too many to tell."""
        counts = [sum(start.entries for start in starts) for starts in self._starts]
        least = min(counts)
        return self._nodes[counts.index(least)] if least < self._cap else None

    def sparsest(self) -> tuple[Node, Bounds]:
        """Return the criterion whose first entries reach farthest in the order from where all have begun, and where that is."""
        firsts = [[start.first for start in starts if start.entries] for starts in self._starts]
        common = min(map(max, firsts)) if self._descending else max(map(min, firsts))
        looked = [self._from(node, starts, common) for node, starts in zip(self._nodes, self._starts, strict=True)]
        farthest = max((abs(start.last - common) for starts in looked for start in starts), default=0)
        densities = [sum(self._density(start, common, farthest) for start in starts) for starts in looked]
        return self._nodes[densities.index(min(densities))], self._after(common)

    def _from(self, node: Node, starts: list[_Start], common: int) -> list[_Start]:
        """Look again where what was seen ends before the others begin."""
        if all((start.last < common) == self._descending for start in starts if start.entries):
            return starts
        return self._look(node, self._bounds.both(self._after(common)))

    def _after(self, sort: int) -> Bounds:
        return Bounds(high=sort) if self._descending else Bounds(low=sort)

    def _density(self, start: _Start, common: int, farthest: int) -> float:
        # A list that has ended has nothing beyond its last entry either.
        span = abs(start.last - common) if start.entries == self._cap else farthest
        return start.entries / (span + 1)

    def _look(self, node: Node, bounds: Bounds) -> list[_Start]:
        if not node.bounds.tight:
            # Of very many lists some stand for all.
            step = -(-len(node.postings) // _LOOKED)
            return [self._start(each.table, each.where, bounds) for each in node.postings[::step]] * step
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
