"""Extract a resource's index rows. https://hl7.org/fhir/R4/searchparameter.html

The expressions of all parameters of a type share one tree of JSON members, so a resource is walked once and costs what it
has, not what its type could have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final, TypeVar

from toro_core.definitions import Definitions
from toro_core.definitions.facts import SearchParameterFacts
from toro_core.fhirpath.branches import Branch, Run, closure
from toro_core.json import JsonObject
from toro_core.references import References
from toro_core.search.convert import converter
from toro_core.search.found import Convert, Found
from toro_core.search.layout import Cell, Layout, Searchable, layout
from toro_core.search.orders import Orders
from toro_core.search.walk import Node, after
from toro_core.storage import (
    MISSING,
    DateRow,
    ReferenceRow,
    Rows,
)

__all__ = ["Extractor"]

_RULES: Final = "3"
"""Counts the changes of what is extracted from the same definitions."""
_Row = TypeVar("_Row")


class Extractor:
    """Extracts the rows of every resource type; compiles a type when it is first asked for."""

    def __init__(self, definitions: Definitions, service_bases: Sequence[str]) -> None:
        """Take the addresses under which references mean this server's resources."""
        self.definitions: Final = definitions
        self.references: Final = References(service_bases, definitions.resource_types)
        self._types: dict[str, _Type] = {}
        self.rules: Final = _RULES
        self.fingerprint: Final = hashlib.sha256(f"{_RULES}\n{definitions.search_digest}".encode()).hexdigest()
        """Names what is extracted: rows of equal fingerprints are made by equal rules, but for the service's bases."""
        self.pending: Mapping[str, Collection[str]] = {}
        """By type the parameters whose rows in the storage may be of other rules, until it has been indexed again."""

    def rows(self, resource: JsonObject) -> Rows:
        """Return the rows of a resource that is structurally valid and has its id. Raises KeyError for an unknown type."""
        return self._type(str(resource["resourceType"])).rows(resource)

    def parameters(self, resource_type: str) -> Mapping[str, SearchParameterFacts]:
        """Return the search parameters that work, by code. Raises KeyError for an unknown type."""
        return {code: found.facts for code, found in self.searchables(resource_type).items()}

    def searchables(self, resource_type: str) -> Mapping[str, Searchable]:
        """Return the search parameters that work and what they are answered from; pending ones do not."""
        found = self._type(resource_type).layout.searchables
        pending = self.pending.get(resource_type)
        return {code: one for code, one in found.items() if code not in pending} if pending else found

    def layout(self, resource_type: str) -> Layout:
        """Return how a type's rows are laid out, pending or not."""
        return self._type(resource_type).layout

    def key(self, resource_type: str) -> str | None:
        """Return the date parameter that is the type's sort value; None stands for the time of the commit."""
        return self._type(resource_type).layout.key

    def sort_key(self, resource_type: str, code: str) -> str | None:
        """Return what to sort by for a parameter, None for the type's own sort value. Raises KeyError where it has no order."""
        layout = self._type(resource_type).layout
        order = layout.sorts[code]
        return None if layout.key is not None and order == layout.sorts[layout.key] else order

    def references_in(self, resource: JsonObject, params: Collection[str]) -> list[ReferenceRow]:
        """Return the reference rows of these names alone."""
        return self._type(str(resource["resourceType"])).references(resource, params)

    def compartments(self, resource: JsonObject) -> Sequence[str]:
        """Return the ids of the patients in whose compartments a resource lies, for less than all its rows cost."""
        return self._type(str(resource["resourceType"])).compartments(resource)

    def systems(self, branch: Branch) -> Mapping[str, str]:
        """Return the systems of the codes that the branch's element allows, where its binding says them."""
        return self.definitions.systems(branch.value_set) if branch.value_set else {}

    def _type(self, resource_type: str) -> _Type:
        found = self._types.get(resource_type)
        if found is None:
            found = self._types[resource_type] = _Type(self, resource_type)
        return found


class _Type:
    """The compiled parameters of one resource type."""

    def __init__(self, extractor: Extractor, resource_type: str) -> None:
        definitions = extractor.definitions
        self.layout = layout(definitions, resource_type)
        searchables = self.layout.searchables
        self._is_patient = resource_type == "Patient"
        self._compartment = {
            part.param
            for code in definitions.compartment(resource_type)
            if code in searchables
            for part in searchables[code].parts
        }
        key = self.layout.key
        self._key = {part.param for part in searchables[key].parts} if key else None
        self._orders = Orders(self.layout.orders)
        self._extractor = extractor
        self._targets = _targets(searchables.values())
        self._links: list[tuple[str, Run, Convert]] = [
            (cell.name, closure(branch), self._converter(cell, branch))
            for cell in self.layout.cells
            if cell.type == "reference"
            for branch in cell.branches
        ]

    @cached_property
    def _walk(self) -> Convert:
        """What walks a resource; made for the types that are indexed, as many are only looked through for references."""
        members = Node()
        for cell in self.layout.cells:
            for branch in cell.branches:
                members.at(branch.path).converts.append(after(branch, self._converter(cell, branch)))
        for path, (group, inside) in self.layout.groups.items():
            node = members.at(path)
            node.group, node.members = group, inside
        return members.compiled()

    def _converter(self, cell: Cell, branch: Branch) -> Convert:
        return converter(
            cell.name,
            cell.type,
            branch.type,
            self._extractor.references,
            systems=self._extractor.systems(branch),
            targets=self._targets.get(cell.name, frozenset()),
            ordered=self._orders.of(cell.name, cell.type),
        )

    def rows(self, resource: JsonObject) -> Rows:
        found = Found()
        self._walk([resource], found)
        tokens, dates, references, uris = found.tokens, found.dates, found.references, found.uris
        return Rows(
            sort=None if self._key is None else self._sort(dates, self._key),
            tokens=_distinct(tokens),
            strings=_distinct(found.strings) if found.strings else (),
            dates=tuple(dates) if len(dates) < 2 else _distinct(dates),
            references=_distinct(references) if references else (),
            uris=_distinct(uris) if uris else (),
            numbers=_distinct(found.numbers) if found.numbers else (),
            quantities=tuple(found.quantities),
            groups=tuple(found.groups),
            orders=self._orders.rows(found),
            compartments=self._patients(resource, references),
        )

    def references(self, resource: JsonObject, params: Collection[str]) -> list[ReferenceRow]:
        found = Found()
        for name, run, convert in self._links:
            if name in params:
                convert(run([resource]), found)
        return found.references

    def compartments(self, resource: JsonObject) -> Sequence[str]:
        rows = self.references(resource, self._compartment) if self._compartment else ()
        return self._patients(resource, rows)

    @staticmethod
    def _sort(dates: list[DateRow], key: set[str]) -> int:
        lowest = MISSING
        for row in dates:
            if row[0] in key and row[1] < lowest:
                lowest = row[1]
        return lowest

    def _patients(self, resource: JsonObject, references: Iterable[ReferenceRow]) -> tuple[str, ...]:
        patients = [row[2] for row in references if row[1] == "Patient" and row[0] in self._compartment]
        if self._is_patient and "id" in resource:
            patients.append(str(resource["id"]))
        return tuple(patients) if len(patients) < 2 else _distinct(patients)


def _targets(searchables: Iterable[Searchable]) -> dict[str, frozenset[str]]:
    """Return by rows the types to which references are told apart."""
    found: dict[str, frozenset[str]] = {}
    for searchable in searchables:
        for param, target in searchable.parts:
            if target:
                found[param] = found.get(param, frozenset()) | {target}
    return found


def _distinct(rows: list[_Row]) -> tuple[_Row, ...]:
    return tuple(rows if len(set(rows)) == len(rows) else dict.fromkeys(rows))
