"""Extract a resource's index rows. https://hl7.org/fhir/R4/searchparameter.html

The expressions of all parameters of a type share one tree of JSON members, so a resource is walked once and costs what it
has, not what its type could have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from toro_core.definitions import Definitions
from toro_core.definitions.facts import SearchParameterFacts
from toro_core.fhirpath.branches import Branch
from toro_core.json import JsonObject
from toro_core.references import References
from toro_core.search.convert import Collected, Convert, converter
from toro_core.search.searchable import Searchable, key_parameter, searchables
from toro_core.storage import MISSING, OrderRow, Rows

__all__ = ["Extractor"]

_RULES: Final = "1"
"""Counts the changes of what is extracted from the same definitions."""
_ORDER_LENGTH: Final = 64
"""Text is cut to this many characters for sorting; order beyond that serves nobody."""

_Row = TypeVar("_Row")


class Extractor:
    """Extracts the rows of every resource type; compiles a type when it is first asked for."""

    def __init__(self, definitions: Definitions, service_bases: Sequence[str]) -> None:
        """Take the addresses under which references mean this server's resources."""
        self.definitions: Final = definitions
        self.references: Final = References(service_bases, definitions.resource_types)
        self._types: dict[str, _Type] = {}
        named = "\n".join((_RULES, definitions.digest, *service_bases))
        self.fingerprint: Final = hashlib.sha256(named.encode()).hexdigest()
        """Names what is extracted: rows of equal fingerprints are made by equal rules."""

    def rows(self, resource: JsonObject) -> Rows:
        """Return the rows of a resource that is structurally valid and has its id. Raises KeyError for an unknown type."""
        return self._type(str(resource["resourceType"])).rows(resource)

    def parameters(self, resource_type: str) -> Mapping[str, SearchParameterFacts]:
        """Return the search parameters that work, by code. Raises KeyError for an unknown type."""
        return {code: found.facts for code, found in self.searchables(resource_type).items()}

    def searchables(self, resource_type: str) -> Mapping[str, Searchable]:
        """Return the search parameters that work with the types of their values."""
        return self._type(resource_type).searchables

    def key(self, resource_type: str) -> str | None:
        """Return the date parameter that is the type's sort value; None stands for the time of the commit."""
        return self._type(resource_type).key

    def systems(self, branch: Branch) -> Mapping[str, str]:
        """Return the systems of the codes that the branch's element allows, where its binding says them."""
        return self.definitions.systems(branch.value_set) if branch.value_set else {}

    def _type(self, resource_type: str) -> _Type:
        found = self._types.get(resource_type)
        if found is None:
            found = self._types[resource_type] = _Type(self, resource_type)
        return found


@dataclass(slots=True)
class _Node:
    """A JSON member that expressions pass through or end at."""

    converts: list[Convert] = field(default_factory=list)
    children: dict[str, _Node] = field(default_factory=dict)


class _Type:
    """The compiled parameters of one resource type."""

    def __init__(self, extractor: Extractor, resource_type: str) -> None:
        definitions = extractor.definitions
        self.searchables = searchables(definitions, resource_type)
        self.key = key_parameter(self.searchables)
        self._is_patient = resource_type == "Patient"
        self._compartment = frozenset(definitions.compartment(resource_type))
        self._members = _Node()
        for code, parameter in self.searchables.items():
            for branch in parameter.branches:
                convert = converter(
                    code, parameter.facts.type, branch.type, extractor.references, extractor.systems(branch)
                )
                node = self._members
                for member in branch.path:
                    node = node.children.setdefault(member, _Node())
                node.converts.append(_after(branch, convert))

    def rows(self, resource: JsonObject) -> Rows:
        found = Collected()
        for convert in self._members.converts:
            convert([resource], found)
        _walk(self._members, resource, found)
        return Rows(
            sort=self._sort(found),
            tokens=_distinct(found.tokens),
            strings=_distinct(found.strings),
            dates=_distinct(found.dates),
            references=_distinct(found.references),
            uris=_distinct(found.uris),
            orders=self._orders(found),
            compartments=self._compartments(resource, found),
        )

    def _sort(self, found: Collected) -> int | None:
        if self.key is None:
            return None
        return min((row.low for row in found.dates if row.param == self.key), default=MISSING)

    def _orders(self, found: Collected) -> tuple[OrderRow, ...]:
        values: list[tuple[str, int | str]] = [(param, code[:_ORDER_LENGTH]) for param, _, code in found.tokens]
        values += [(param, folded[:_ORDER_LENGTH]) for param, folded, _ in found.strings]
        values += [(param, low) for param, low, _ in found.dates]
        values += [(param, f"{type_}/{id_}") for param, type_, id_, _ in found.references]
        values += [(param, value[:_ORDER_LENGTH]) for param, value in found.uris]
        bounds: dict[str, OrderRow] = {}
        for param, value in values:
            order = bounds.get(param)
            bounds[param] = OrderRow(param, value, value) if order is None else _widened(order, value)
        bounds.pop(self.key or "", None)
        return tuple(bounds.values())

    def _compartments(self, resource: JsonObject, found: Collected) -> tuple[str, ...]:
        patients = [row.id for row in found.references if row.type == "Patient" and row.param in self._compartment]
        if self._is_patient and "id" in resource:
            patients.append(str(resource["id"]))
        return _distinct(patients)


def _after(branch: Branch, convert: Convert) -> Convert:
    run = branch.run
    return convert if run is None else lambda values, found: convert(run(values), found)


def _walk(node: _Node, value: Any, found: Collected) -> None:
    children = node.children
    for member, inner in value.items():
        child = children.get(member)
        if child is None or inner is None:
            continue
        values = inner if type(inner) is list else [inner]
        for convert in child.converts:
            convert(values, found)
        if child.children:
            for one in values:
                _walk(child, one, found)


def _distinct(rows: list[_Row]) -> tuple[_Row, ...]:
    return tuple(rows) if len(rows) < 2 else tuple(dict.fromkeys(rows))


def _widened(order: OrderRow, value: Any) -> OrderRow:
    if order.low <= value <= order.high:
        return order
    return OrderRow(order.param, min(order.low, value), max(order.high, value))
