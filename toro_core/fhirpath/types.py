"""The type system: FHIR's types from the definitions and FHIRPath's own. http://hl7.org/fhir/R4/fhirpath.html#types"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeAlias

from toro_core.definitions import Definitions
from toro_core.definitions.facts import StructureFacts
from toro_core.fhirpath.errors import InvalidExpression
from toro_core.fhirpath.quantities import Quantity
from toro_core.fhirpath.temporal import Temporal, parse_date_time, parse_time
from toro_core.fhirpath.values import (
    BOOLEAN,
    DATE,
    DATE_TIME,
    DECIMAL,
    INTEGER,
    QUANTITY,
    STRING,
    TIME,
    TYPE_INFO,
    Element,
    Item,
    Items,
    Value,
)

__all__ = ["Read", "Types", "is_system"]

Read: TypeAlias = "Callable[[Item], Value]"
"""Returns an item's System value, a dict for a complex one, None where it has no value."""

_SYSTEM: Final = frozenset({BOOLEAN, INTEGER, DECIMAL, STRING, DATE, DATE_TIME, TIME, QUANTITY})
_ANY: Final = "System.Any"
_ABSTRACT: Final = frozenset({"Resource", "DomainResource", "Element", "BackboneElement"})
_NOT_TEXT: Final = frozenset(
    {"boolean", "date", "dateTime", "decimal", "instant", "integer", "positiveInt", "time", "unsignedInt"}
)
_OF_PYTHON: Final[dict[type, str]] = {bool: BOOLEAN, int: INTEGER, str: STRING, Quantity: QUANTITY}


def is_system(type_: str | None) -> bool:
    """Say whether a type is FHIRPath's own."""
    return type_ is not None and type_.startswith("System.")


class Types:
    """Answers what types mean; made from the definitions.

    When not `strict`, `DateTime` names FHIR's `dateTime` too, and so all System types that FHIR has by another case: R4's
    constraints write one where they mean the other.
    """

    def __init__(self, definitions: Definitions, *, strict: bool) -> None:
        self.definitions: Final = definitions
        self._strict = strict

    def structure(self, type_: str) -> StructureFacts | None:
        """Return what is known of a FHIR type, None where there is none of that name."""
        try:
            return self.definitions.structure(type_)
        except KeyError:
            return None

    def is_primitive(self, type_: str | None) -> bool:
        """Say whether a FHIR type is primitive."""
        if type_ is None or is_system(type_):
            return False
        structure = self.structure(type_)
        return structure is not None and structure.kind == "primitive"

    def is_text(self, type_: str | None) -> bool:
        """Say whether values of a static type are strings that stand for themselves."""
        return type_ == STRING or (self.is_primitive(type_) and type_ not in _NOT_TEXT)

    def is_resource(self, type_: str | None) -> bool:
        """Say whether a type is a resource type, abstract ones too: such values say their type themselves."""
        return type_ is not None and (
            type_ in self.definitions.resource_types or type_ in ("Resource", "DomainResource")
        )

    def is_open(self, type_: str | None) -> bool:
        """Say whether values of this static type can have a more specific type that decides what elements they have."""
        return type_ is None or type_ in _ABSTRACT

    def is_a(self, type_: str, base: str) -> bool:
        """Say whether a type is `base` or derives from it."""
        if type_ == base or base == _ANY:
            return True
        if is_system(type_) or is_system(base) or self.structure(type_) is None:
            return False
        return self.definitions.is_a(type_, base)

    def named(self, name: str) -> tuple[str, ...]:
        """Return the types that a type specifier names: FHIR's, FHIRPath's or both. Raises InvalidExpression."""
        if name.startswith("FHIR."):
            return (self._known(name.removeprefix("FHIR.")),)
        if name.startswith("System."):
            return (name,)
        own = f"System.{name}"
        found = [name] if self.structure(name) is not None else []
        if own in _SYSTEM or own == _ANY:
            found.append(own)
            alike = name[0].lower() + name[1:]
            found += [alike] if not self._strict and self.structure(alike) is not None else []
        return tuple(found) or (self._known(name),)

    def _known(self, name: str) -> str:
        if self.structure(name) is None:
            raise InvalidExpression(f"FHIRPath: there is no type {name}.")
        return name

    def type_of(self, item: Item, static: str | None) -> str:
        """Return the type of an item of this static type."""
        kind = type(item)
        if kind is Element:
            return str(item.type)
        if kind is dict:
            return str(item.get("resourceType", static)) if static is None or static in _ABSTRACT else static
        if static is not None:
            return static
        if kind is Temporal:
            return f"System.{item.kind}"
        return _OF_PYTHON.get(kind, DECIMAL)

    def described(self, static: str | None) -> Callable[[Items], Items] | None:
        """Return what makes items say their types themselves; None where they do."""
        if static is None or (is_system(static) and static != TYPE_INFO) or self.is_resource(static):
            return None
        return lambda items: [item if type(item) is Element else Element(item, static) for item in items]

    def reader(self, static: str | None) -> Read | None:
        """Return what reads items of a static type; None where they are their values already."""
        if static is None:
            return self._read_any
        return None if is_system(static) else self._reader(static)

    def _reader(self, type_: str) -> Read | None:
        if type_ == "date":
            return _read_date
        if type_ in ("dateTime", "instant"):
            return _read_date_time
        if type_ == "time":
            return _read_time
        if type_ == "decimal":
            return _read_decimal
        if self.is_primitive(type_):
            return _read_primitive
        return _read_quantity if self.is_a(type_, "Quantity") else None

    def _read_any(self, item: Item) -> Value:
        if type(item) is not Element:
            return item
        read = None if is_system(item.type) else self._reader(item.type)
        return read(item.value) if read and item.value is not None else item.value


def _read_primitive(item: Item) -> Value:
    return item.value if type(item) is Element else item


def _read_date(item: Item) -> Value:
    text = _read_primitive(item)
    return parse_date_time(text) if type(text) is str else None


def _read_date_time(item: Item) -> Value:
    found = _read_date(item)
    return Temporal("DateTime", found.fields, found.offset) if found and found.kind == "Date" else found


def _read_time(item: Item) -> Value:
    text = _read_primitive(item)
    return parse_time(text) if type(text) is str else None


def _read_decimal(item: Item) -> Value:
    number = _read_primitive(item)
    return Decimal(number) if type(number) is int else number


def _read_quantity(item: Any) -> Value:
    """Read a FHIR Quantity: its UCUM code, else its unit; without a value it stays a dict."""
    value = item.get("value")
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return item
    return Quantity(Decimal(value), str(item.get("code") or item.get("unit") or "1"))
