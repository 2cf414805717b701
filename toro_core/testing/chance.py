"""Random rows and criteria, drawn from few values, so that they meet.

Past 250 lines because every kind of row and of criterion is drawn here.
"""

# ruff: noqa: S311 - seeded, so that a failure comes again

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

from toro_core.search.plan import (
    FOREVER,
    MISSING,
    NEVER,
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Composite,
    Criterion,
    Has,
    Ids,
    LastUpdated,
    Not,
    Number,
    Period,
    Prefix,
    Present,
    Quantity,
    Reference,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import (
    DateRow,
    GroupRow,
    NumberRow,
    OrderRow,
    QuantityRow,
    ReferenceRow,
    Rows,
    StringRow,
    TokenRow,
    UriRow,
)
from toro_core.testing.making import TYPE

__all__ = ["OTHER", "Chance"]

OTHER = "Patient"
"""The type that resources of `TYPE` refer to, and that refers to itself."""
_DAY = 86_400_000_000
_GREATEST = sys.float_info.max
_PREFIXES: tuple[Prefix, ...] = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_SORTS = (None, None, None, "key", "name", "number", "q", "r", "s", "_id", "_lastUpdated", "unheard")


class Chance:
    """Draws."""

    def __init__(self, seed: int, *, joins: bool) -> None:
        """Draw chains only where there are `joins`."""
        self._random = random.Random(seed)
        self._joins = joins
        # As the core has it, or whatever the contract allows.
        self._is_ordered_by_date = seed % 2 == 0
        self._has_open_ends = seed % 4 != 0
        self.pick = self._random.choice

    def one_in(self, n: int) -> bool:
        """Say yes once in so many times."""
        return self._random.randrange(n) == 0

    def some(self, most: int) -> range:
        """Give from none to `most`."""
        return range(self._random.randrange(most + 1))

    def rows(self) -> Rows:
        """Draw what is indexed of a resource."""
        own = self._own()
        lows = [row.low for row in own.dates if row.param == "date"]
        # Types differ in what they are sorted by: often the lowest date, else something else or nothing.
        by_date = self._is_ordered_by_date or not self.one_in(6)
        sort = min(lows, default=MISSING) if by_date else self.pick((MISSING, 0, 5 * _DAY, None))
        return Rows(
            sort=sort,
            tokens=own.tokens,
            strings=own.strings,
            dates=own.dates,
            references=own.references,
            uris=own.uris,
            numbers=own.numbers,
            quantities=own.quantities,
            groups=tuple(GroupRow(self.pick("gh"), self._group(own)) for _ in self.some(3)),
            orders=tuple(self._orders(own)),
            compartments=tuple({self.pick("123") for _ in self.some(2)}),
        )

    def sort(self) -> tuple[SortKey, ...]:
        """Draw one to three sort keys."""
        keys = self._random.sample(_SORTS[2:], self.pick((1, 1, 2, 3)))
        return tuple(SortKey(param=key, descending=self.one_in(2)) for key in keys)

    def criterion(self, depth: int, moments: Sequence[int], *, joins: int = 2) -> Criterion:
        """Draw a criterion; `moments` are times at which resources were stored."""
        if depth and not self.one_in(4):
            parts = tuple(self.criterion(depth - 1, moments, joins=joins) for _ in self.some(3))
            return self.pick((AllOf(parts), AnyOf(parts), Not(AllOf(parts))))
        if joins and self._joins and self.one_in(5):
            return self._join(depth, moments, joins - 1)
        if self.one_in(6):
            return Composite(param=self.pick("ggh"), criteria=tuple(self._within_group() for _ in range(1, 3)))
        if self.one_in(8):
            return self._of_resource(moments)
        return self._by_rows()

    def _join(self, depth: int, moments: Sequence[int], joins: int) -> Criterion:
        inner = self.criterion(min(depth, 2), moments, joins=joins)
        if self.one_in(2):
            return Chain(param=self.pick("pqr"), type=self.pick((OTHER, OTHER, TYPE, "Unheard")), criterion=inner)
        return Has(type=self.pick((OTHER, TYPE, TYPE, "Unheard")), param=self.pick("pqr"), criterion=inner)

    def _within_group(self) -> Criterion:
        leaf = self._by_rows()
        return self.pick((leaf, leaf, AnyOf((leaf, self._by_rows())), Not(leaf)))

    def _of_resource(self, moments: Sequence[int]) -> Criterion:
        match self._random.randrange(3):
            case 0:
                return Compartment(id=self.pick("1234"))
            case 1:
                return Ids(ids=tuple(self.pick(("r", "")) + str(self._random.randrange(70)) for _ in self.some(20)))
            case _:
                moment = self.pick(tuple(moments) or (0,)) * 1000 + self.pick((-1, 0, 1, 1000))
                return LastUpdated(
                    prefix=self.pick(_PREFIXES), low=moment, high=moment + self.pick((1, 999, 1000, 10**9))
                )

    def _by_rows(self) -> Criterion:
        param = self.pick("pqrsz") if self.one_in(4) else self.pick("pq")
        match self._random.randrange(11):
            case 0 | 1:
                return Token(
                    param=param,
                    system=self.pick((None, self._system())),
                    code=self.pick((None, self._code(), self._code())),
                )
            case 2:
                start = self._word()[: self._random.randrange(4)]
                match = self.pick(("starts", "starts", "contains", "exact"))
                return Text(param=param, value=self._word().upper() if match == "exact" else start, match=match)  # type: ignore[arg-type]
            case 3 | 4:
                low, high = self._interval()
                return Period(param=self.pick(("date", "issued")), prefix=self.pick(_PREFIXES), low=low, high=high)
            case 5:
                return Reference(
                    param=param,
                    type=self.pick((None, OTHER, "Group", "Device")),
                    id=self.pick("123"),
                    version=self.pick((None, None, "1")),
                )
            case 6:
                return Uri(param=param, value=self.pick(("u", "uu", "w", "")), match=self.pick(("exact", "starts")))
            case 7:
                low_, high_ = self._range()
                return Number(param=param, prefix=self.pick(_PREFIXES), low=low_, high=high_)
            case 8:
                low_, high_ = self._range()
                return Quantity(
                    param=param,
                    prefix=self.pick(_PREFIXES),
                    low=low_,
                    high=high_,
                    system=self.pick(("", "u", "v")),
                    code=self.pick((None, "kg", "g", "")),
                )
            case _:
                return Present(
                    param=self.pick(("date", "g", *"pqrsz")), type=self.pick((None, None, None, OTHER, "Group"))
                )

    def _own(self) -> Rows:
        words = [self._word() for _ in self.some(3)]
        return Rows(
            tokens=tuple(TokenRow(self.pick("pqs"), self._system(), self._code()) for _ in self.some(4)),
            strings=tuple(StringRow(self.pick("pq"), word, word.upper()) for word in words),
            dates=tuple(DateRow(self.pick(("date", "issued")), *self._interval()) for _ in self.some(3)),
            references=tuple(
                ReferenceRow(
                    self.pick("pqr"), self.pick((OTHER, OTHER, "Group", TYPE)), self._id(), self.pick(("", "", "1"))
                )
                for _ in self.some(3)
            ),
            uris=tuple(UriRow(self.pick("pq"), self.pick(("u", "uu", "v", "uv", ""))) for _ in self.some(2)),
            numbers=tuple(NumberRow(self.pick("pq"), *self._range()) for _ in self.some(2)),
            quantities=tuple(
                QuantityRow(self.pick("pq"), self.pick(("", "u")), self.pick(("kg", "g", "")), *self._range())
                for _ in self.some(3)
            ),
        )

    def _group(self, own: Rows) -> Rows:
        """Take some of the resource's own rows, and sometimes others."""
        rows = self._own() if self.one_in(4) else own
        return Rows(
            tokens=rows.tokens[:2],
            strings=rows.strings[:1],
            dates=rows.dates[:1],
            references=rows.references[1:],
            uris=rows.uris[:1],
            numbers=rows.numbers[:1],
            quantities=rows.quantities[1:],
        )

    def _orders(self, own: Rows) -> list[OrderRow]:
        orders: list[OrderRow] = []
        if not self.one_in(4):
            orders.append(OrderRow("key", *sorted((self._instant(), self._instant()))))
        if not self.one_in(4):
            orders.append(OrderRow("name", *sorted((self._word(), self._word()))))
        if not self.one_in(4):
            orders.append(OrderRow("number", *self._range()))
        # Keys as the core makes them, from the other rows, and one that has nothing to do with them.
        orders += self._order("r", [f"{row.type}/{row.id}" for row in own.references if row.param == "r"])
        orders += self._order("s", [row.code for row in own.tokens if row.param == "s"])
        orders += self._order("q", [row.value[:1] for row in own.uris if row.param == "q"])
        return orders

    def _order(self, param: str, values: list[str]) -> list[OrderRow]:
        if not values or self.one_in(9):
            return []
        return [OrderRow(param, min(values), "z" if self.one_in(9) else max(values))]

    def _id(self) -> str:
        return self.pick("123") if self.one_in(2) else f"r{self._random.randrange(10)}"

    def _instant(self) -> int:
        # Days, months and years, so that long and short intervals lie side by side.
        return self._random.randrange(-4, 12) * self.pick((_DAY, 30 * _DAY, 800 * _DAY))

    def _interval(self) -> tuple[int, int]:
        open_low, open_high = (self._has_open_ends and self.one_in(12) for _ in range(2))
        low = NEVER if open_low else self._instant()
        length = self.pick((1, _DAY, _DAY, 2 * _DAY, 365 * _DAY, 900 * _DAY))
        high = FOREVER if open_high else max(low, self._instant() if low == NEVER else low) + length
        return low, high

    def _range(self) -> tuple[float, float]:
        low = self.pick((-1.5, 0.0, 1.0, 1.25, 2.0, 1e20, 0.1 + 0.2))
        if self.one_in(8):
            return self.pick(((-_GREATEST, low), (low, _GREATEST)))
        return (low, low) if self.one_in(2) else (low, low + self.pick((0.25, 1.0)))

    def _system(self) -> str:
        return self.pick(("", "s", "t"))

    def _code(self) -> str:
        return self.pick(("", "a", "b", "c"))

    def _word(self) -> str:
        return self.pick(("anna", "an", "ananas", "bo", "é", "%", ""))
