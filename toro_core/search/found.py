"""What is found while a resource is walked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from toro_core.storage import (
    DateRow,
    GroupRow,
    NumberRow,
    OrderRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)

__all__ = ["Convert", "Found"]


class Found(msgspec.Struct):
    """Rows found so far; `orders` has one for each value that is sorted by, but for quantities.

    An element that has nothing to search for, as a Period without ends, makes a token row without system and code: `:missing`
    tells it from one that is not there.
    """

    tokens: list[TokenRow] = []
    strings: list[StringRow] = []
    dates: list[DateRow] = []
    references: list[ReferenceRow] = []
    uris: list[UriRow] = []
    numbers: list[NumberRow] = []
    quantities: list[QuantityRow] = []
    groups: list[GroupRow] = []
    orders: list[OrderRow] = []


Convert: TypeAlias = Callable[[list[Any], Found], None]
"""Adds the rows of some values, all of one type."""
