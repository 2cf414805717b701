"""Keeps columns and orders of types: each is made when it is first asked for and follows every change from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec

from toro_core.search.plan import SortKey
from toro_ndjson.collector import without_collector
from toro_ndjson.columns import Column, ColumnName
from toro_ndjson.orders import Order
from toro_ndjson.rows import NO_ROWS
from toro_ndjson.versions import Head

__all__ = ["Name", "Shelf"]

Name: TypeAlias = ColumnName | SortKey
_MOST: Final = 12
"""Columns and orders that a type has at once; the one that was not asked for the longest makes room."""
_INLINE: Final = 200
"""Resources whose values are gathered without a thread."""


@dataclass(slots=True)
class _Making:
    """What has changed while one is being made."""

    changes: list[tuple[Head | None, Head | None, Mapping[str, Any]]] = field(default_factory=list)


class Shelf:
    """The columns and orders of one type. It belongs to the event loop; threads may ask `Column.test`'s functions."""

    def __init__(self) -> None:
        """Begin with none."""
        self._made: dict[Name, Column | Order] = {}
        self._making: dict[Name, tuple[_Making, asyncio.Task[None]]] = {}

    def column(self, name: ColumnName) -> Column | None:
        """Return one that `provide` has made."""
        found = self._made.get(name)
        return found if isinstance(found, Column) else None

    def order(self, name: SortKey) -> Order | None:
        """Return one that `provide` has made."""
        found = self._made.get(name)
        return found if isinstance(found, Order) else None

    def has(self, names: Collection[Name]) -> bool:
        """Say whether all of these are there."""
        return all(name in self._made for name in names)

    def change(self, before: Head | None, after: Head | None, rows: Mapping[str, Any]) -> None:
        """Follow a resource that was replaced by one with these rows, or by none."""
        for made in self._made.values():
            _follow(made, before, after, rows)
        for making, _ in self._making.values():
            making.changes.append((before, after, rows))

    async def provide(self, names: Collection[Name], heads: Callable[[], Collection[Head]], threads: Executor) -> None:
        """Make what is not there yet; on return all of them are, at one moment."""
        while lacking := [name for name in names if name not in self._made]:
            for name in lacking:
                if name not in self._made:
                    await self._provided(name, names, heads, threads)
        for name in names:
            # What was asked for last comes last.
            self._made[name] = self._made.pop(name)

    async def _provided(
        self, name: Name, needed: Collection[Name], heads: Callable[[], Collection[Head]], threads: Executor
    ) -> None:
        if name in self._making:
            # Whoever else is cancelled, it is made.
            await asyncio.shield(self._making[name][1])
            return
        some = list(heads())
        if len(some) <= _INLINE:
            self._put(name, _make(name, some), needed)
            return
        making = _Making()

        async def make() -> None:
            try:
                made = await asyncio.get_running_loop().run_in_executor(threads, _make, name, some)
                for change in making.changes:
                    _follow(made, *change)
                self._put(name, made, needed)
            finally:
                del self._making[name]

        task = asyncio.create_task(make())
        self._making[name] = making, task
        await asyncio.shield(task)

    def _put(self, name: Name, made: Column | Order, needed: Collection[Name]) -> None:
        self._made[name] = made
        spare = [each for each in self._made if each not in needed]
        for each in spare[: max(0, len(self._made) - _MOST)]:
            del self._made[each]


def _follow(made: Column | Order, before: Head | None, after: Head | None, rows: Mapping[str, Any]) -> None:
    if before is not None:
        made.remove(before)
    if after is not None:
        made.add(after, rows)


def _make(name: Name, heads: Collection[Head]) -> Column | Order:
    if isinstance(name, SortKey) and name.param in {None, "_id", "_lastUpdated"}:
        with without_collector():
            return Order(name, ((head, ()) for head in heads))
    kind = "orders" if isinstance(name, SortKey) else name.kind
    # What is not asked for is passed over by the parser, which makes nothing of it.
    shape = msgspec.defstruct("Wanted", [(kind, list[Any], msgspec.field(default_factory=list))])
    decode, lists, param = msgspec.json.Decoder(shape).decode, attrgetter(kind), name.param
    known: dict[Any, Any] = {}

    def rows(head: Head) -> list[list[Any]]:
        some = [row for row in lists(decode(head.rows or NO_ROWS)) if row[0] == param]
        for row in some:
            # Many have the same values.
            row[1:] = [known.setdefault(each, each) for each in row[1:]]
        return some

    with without_collector():
        found = ((head, rows(head)) for head in heads)
        return Order(name, found) if isinstance(name, SortKey) else Column(name, found)
