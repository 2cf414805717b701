"""The values that flow through a compiled expression.

A collection is a list of items. An item is a raw JSON value (a dict, or a primitive's str, bool, int, Decimal) where the
compiler knows its type, a System value (bool, int, Decimal, str, Temporal, Quantity), or an `Element`, which carries what a
raw value cannot say: its type, or a primitive's id and extensions.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from toro_core.json import JsonObject, JsonValue

__all__ = [
    "BOOLEAN",
    "DATE",
    "DATE_TIME",
    "DECIMAL",
    "INTEGER",
    "QUANTITY",
    "STRING",
    "TIME",
    "TYPE_INFO",
    "Element",
    "Item",
    "Items",
    "Value",
    "element",
]

Item: TypeAlias = Any
Items: TypeAlias = "list[Any]"
Value: TypeAlias = Any
"""A System value, or the dict of a complex one."""

BOOLEAN: Final = "System.Boolean"
INTEGER: Final = "System.Integer"
DECIMAL: Final = "System.Decimal"
STRING: Final = "System.String"
DATE: Final = "System.Date"
DATE_TIME: Final = "System.DateTime"
TIME: Final = "System.Time"
QUANTITY: Final = "System.Quantity"
TYPE_INFO: Final = "System.TypeInfo"
"""What `type()` answers with: a dict of namespace and name."""


class Element:
    """A JSON value with its FHIR type; `sibling` is the object beside a primitive, `_birthDate` beside `birthDate`.

    `value` is None for a primitive that has a sibling only.
    """

    __slots__ = ("sibling", "type", "value")

    def __init__(self, value: JsonValue, type_: str, sibling: JsonObject | None = None) -> None:
        self.value = value
        self.type = type_
        self.sibling = sibling

    def __repr__(self) -> str:
        return f"Element(type={self.type!r})"


def element(value: JsonValue, type_: str, sibling: JsonObject | None) -> Item:
    """Return the item for a primitive of this type: the value itself where nothing stands beside it."""
    return Element(value, type_, sibling) if sibling else value
