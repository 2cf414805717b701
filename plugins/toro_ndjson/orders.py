"""The current resources of a type in the order of one sort key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from toro_core.search.plan import MISSING, SortKey
from toro_ndjson.ordered import Entry, Ordered
from toro_ndjson.versions import Head

__all__ = ["NO_LIMITS", "Limits", "Order", "order_name", "own_value"]

Limits: TypeAlias = tuple[int | None, int | None]
"""Values, inclusive, between which all lie; None where there is no bound."""
NO_LIMITS: Final[Limits] = (None, None)

_OWN: Final = frozenset({None, "_id", "_lastUpdated"})


def order_name(key: SortKey, *, dated: bool) -> SortKey:
    """Return the key whose order serves: the resource's own values are the same in both directions.

    Where no resource of the type is `dated`, its own sort value is the time of its storage.
    """
    if key.param is None and not dated:
        return SortKey(param="_lastUpdated")
    return SortKey(param=key.param) if key.param in _OWN else key


def own_value(param: str | None, head: Head) -> int | str:
    """Return what a resource is ordered by under a key that needs no index rows."""
    if param == "_id":
        return head.version.key.id
    return head.version.at * 1000 if param == "_lastUpdated" else head.value


class Order:
    """Entries are (value, id, resource). Those without a value come last in both directions, by id."""

    def __init__(self, name: SortKey, heads: Iterable[tuple[Head, Iterable[list[Any]]]]) -> None:
        """Take the resources and their order rows, as lists."""
        self.name = name
        self._values: dict[Head, float | str] = {}
        entries: list[Entry] = []
        missing: list[Entry] = []
        for head, rows in heads:
            value = self._value(head, rows)
            (missing if _is_missing(value) else entries).append((value, head.version.key.id, head))
        self._entries, self._missing = Ordered(entries), Ordered(missing)

    def add(self, head: Head, rows: Mapping[str, Any]) -> None:
        """Enter a resource by its rows, lists of lists."""
        value = self._value(head, rows.get("orders", ()))
        self._list(value).add((value, head.version.key.id, head))

    def remove(self, head: Head) -> None:
        """Take out what `add` entered."""
        param = self.name.param
        value = own_value(param, head) if param in _OWN else self._values.pop(head, MISSING)
        self._list(value).remove((value, head.version.key.id, head))

    def walk(
        self, *, descending: bool, after: tuple[Any, str] | None = None, limits: Limits = NO_LIMITS
    ) -> Iterator[list[Entry]]:
        """Yield entries in order, in pieces, from after one's value and id; with limits only those with values between."""
        low, high = limits
        first = None if low is None else (low,)
        last = None if high is None else (high + 1,)
        beyond = None if after is None else (*after, _AFTER)
        only_missing = after is not None and _is_missing(after[0])
        if not only_missing and descending:
            yield from _descending(self._entries, after, first, last)
        elif not only_missing:
            yield from self._entries.upwards(beyond if first is None else max(first, beyond or first), last)
        if limits == NO_LIMITS:
            yield from self._missing.upwards(beyond if only_missing else None)

    def size(self, limits: Limits) -> int:
        """Count those with values between limits, inclusive."""
        low, high = limits
        before = 0 if low is None else self._entries.rank((low,))
        return max(0, (len(self._entries) if high is None else self._entries.rank((high + 1,))) - before)

    def _list(self, value: float | str) -> Ordered:
        return self._missing if _is_missing(value) else self._entries

    def _value(self, head: Head, rows: Iterable[list[Any]]) -> float | str:
        param = self.name.param
        if param in _OWN:
            return own_value(param, head)
        for name, low, high in rows:
            if name == param:
                value: float | str = high if self.name.descending else low
                self._values[head] = value
                return value
        return MISSING


class _After:
    """Greater than anything, so that an entry's value and id with it stand right behind that entry."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_AFTER: Final = _After()


def _descending(
    entries: Ordered, after: tuple[Any, str] | None, first: Entry | None, last: Entry | None
) -> Iterator[list[Entry]]:
    if after is not None:
        # What is equal to it comes upwards by id.
        value, id_ = after
        equal = [
            entry for entry in entries.between((value, id_, _AFTER), (value, _AFTER)) if first is None or entry > first
        ]
        if equal and (last is None or equal[0] < last):
            yield equal
        last = (value,) if last is None else min(last, (value,))
    yield from entries.downwards(first, last)


def _is_missing(value: object) -> bool:
    return type(value) is int and value == MISSING
