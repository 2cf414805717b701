"""Parquet columns of FHIR resources: one schema a type, made from the definitions, in which nothing is lost.

Every element is a column of its own, nested as in JSON. Columns of JSON text stand for what has no end or no one shape:
extensions, contained resources, and a type within itself (the Identifier in a Reference in an Identifier). `_more` holds, as
JSON too, the members beside a structure's elements: the `_birthDate` of a `birthDate`. Decimals are text: 1.00 stays 1.00.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import pyarrow as pa

from toro_core.definitions import Definitions, ElementFacts
from toro_core.json import JsonValue, dumps

__all__ = ["Columns", "Layout"]

Convert: TypeAlias = Callable[[Any], Any]

_AS_JSON: Final = frozenset({"Extension", "Resource"})
_WHOLE: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
MORE: Final = "_more"


class Layout(NamedTuple):
    """A type's schema, and what makes a row of it from parsed JSON."""

    schema: pa.Schema
    row: Convert


class Columns:
    """The layouts of all types, each made when it is first asked for."""

    def __init__(self, definitions: Definitions) -> None:
        """Make them from these definitions."""
        self._definitions = definitions
        self._layouts: dict[str, Layout] = {}

    def of(self, resource_type: str) -> Layout:
        """Return a type's layout."""
        found = self._layouts.get(resource_type)
        if found is None:
            struct, row = self._struct(resource_type, (resource_type,), {"resourceType": (pa.string(), _same)})
            found = self._layouts[resource_type] = Layout(pa.schema(list(struct)), row)
        return found

    def _struct(
        self, name: str, above: tuple[str, ...], first: Mapping[str, tuple[pa.DataType, Convert]] | None = None
    ) -> tuple[pa.DataType, Convert]:
        columns = dict(first or {})
        for member, (element, choice) in self._definitions.structure(name).members.items():
            columns[member] = self._member(element, choice.type, above)
        fields = [pa.field(member, type_) for member, (type_, _) in columns.items()]
        converts = {member: convert for member, (_, convert) in columns.items()}
        return pa.struct([*fields, pa.field(MORE, pa.string())]), _row(converts)

    def _member(self, element: ElementFacts, name: str, above: tuple[str, ...]) -> tuple[pa.DataType, Convert]:
        type_, convert = self._value(name, above)
        if not element.repeats:
            return type_, convert
        return pa.list_(type_), lambda values: [None if value is None else convert(value) for value in values]

    def _value(self, name: str, above: tuple[str, ...]) -> tuple[pa.DataType, Convert]:
        if name in _AS_JSON or name in above:
            return pa.string(), _json
        if self._definitions.structure(name).kind != "primitive":
            return self._struct(name, (*above, name))
        if name == "boolean":
            return pa.bool_(), _same
        if name in _WHOLE:
            return pa.int32(), _same
        return pa.string(), _json if name == "decimal" else _same


def _row(converts: Mapping[str, Convert]) -> Convert:
    def row(value: dict[str, JsonValue]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        more: dict[str, JsonValue] = {}
        for member, inner in value.items():
            convert = converts.get(member)
            if convert is None:
                more[member] = inner
            else:
                found[member] = convert(inner)
        if more:
            found[MORE] = dumps(more).decode()
        return found

    return row


def _same(value: Any) -> Any:
    return value


def _json(value: JsonValue) -> str:
    return dumps(value).decode()
