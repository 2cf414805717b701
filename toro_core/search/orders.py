"""The rows a type is sorted by: the lowest and the highest value of each order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from toro_core.search.convert import Collected
from toro_core.storage import OrderRow, QuantityRow, ReferenceRow, TokenRow, UriRow

__all__ = ["Orders"]

_ORDER_LENGTH: Final = 64
"""Text is cut to this many characters for sorting; order beyond that serves nobody."""
_KEPT: Final = 5000
"""Rows of which a type remembers what they order by."""


class Orders:
    """Makes the order rows of one type."""

    def __init__(self, orders: Mapping[str, Collection[str]]) -> None:
        """Take by order the names of the rows that it goes by."""
        self._names: dict[str, tuple[str, ...]] = {}
        self._made: dict[tuple[str, ...], tuple[OrderRow, ...]] = {}
        for order, names in orders.items():
            for name in names:
                self._names[name] = (*self._names.get(name, ()), order)

    def rows(self, found: Collected) -> tuple[OrderRow, ...]:
        """Return one row for each order that the resource has values for."""
        known = self._made
        bounds: dict[str, OrderRow] = {}
        coming_again: tuple[TokenRow | ReferenceRow | UriRow, ...] = (*found.tokens, *found.references, *found.uris)
        for row in coming_again:
            # What they order by is kept with them.
            made = known.get(row)
            if made is None:
                made = self._remembered(row)
            for order in made:
                name = order[0]
                bounds[name] = order if name not in bounds else _widened(bounds[name], order[1])
        for dated in found.dates:
            self._bound(bounds, dated[0], dated[1])
        for numbered in found.numbers:
            self._bound(bounds, numbered[0], numbered[1])
        for text in found.strings:
            self._bound(bounds, text[0], text[1][:_ORDER_LENGTH])
        if found.quantities:
            for quantity in _in_order(found.quantities):
                self._bound(bounds, quantity[0], quantity[3])
        return tuple(bounds.values())

    def _bound(self, bounds: dict[str, OrderRow], param: str, value: Any) -> None:
        for name in self._names.get(param, ()):
            known = bounds.get(name)
            bounds[name] = OrderRow(name, value, value) if known is None else _widened(known, value)

    def _remembered(self, row: TokenRow | ReferenceRow | UriRow) -> tuple[OrderRow, ...]:
        if row.__class__ is TokenRow:
            value = row[2][:_ORDER_LENGTH]
        elif row.__class__ is ReferenceRow:
            value = f"{row[1]}/{row[2]}"
        else:
            value = row[1][:_ORDER_LENGTH]
        made = tuple(OrderRow(name, value, value) for name in self._names.get(row[0], ()) if value)
        if len(self._made) >= _KEPT:
            self._made.clear()
        self._made[row] = made
        return made


def _in_order(rows: list[QuantityRow]) -> list[QuantityRow]:
    """Leave out what is given in a canonical unit as well: orders compare canonical values where there are some."""
    if len(rows) == 2 and rows[1].system and rows[0].param == rows[1].param:
        return rows[1:]  # nearly all there are
    systematic = {row.param for row in rows if row.system}
    return [row for row in rows if row.system or row.param not in systematic]


def _widened(order: OrderRow, value: Any) -> OrderRow:
    if order.low <= value <= order.high:
        return order
    return OrderRow(order.param, min(order.low, value), max(order.high, value))
