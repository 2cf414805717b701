"""Extract a resource's index rows. https://hl7.org/fhir/R4/searchparameter.html

The expressions of all parameters of a type share one tree of JSON members, so a resource is walked once and costs what it
has, not what its type could have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from toro_core.definitions import Definitions
from toro_core.definitions.facts import SearchParameterFacts
from toro_core.fhirpath.branches import Branch, Run, closure
from toro_core.json import JsonObject
from toro_core.references import References
from toro_core.search.convert import Collected, Convert, converter
from toro_core.search.layout import Searchable, layout
from toro_core.storage import (
    MISSING,
    DateRow,
    GroupRow,
    OrderRow,
    QuantityRow,
    ReferenceRow,
    Rows,
    TokenRow,
    UriRow,
)

__all__ = ["Extractor"]

_RULES: Final = "2"
"""Counts the changes of what is extracted from the same definitions."""
_ORDER_LENGTH: Final = 64
"""Text is cut to this many characters for sorting; order beyond that serves nobody."""
_KEPT: Final = 5000
"""Rows of which a type remembers what they order by."""

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
        """Return the search parameters that work and what they are answered from."""
        return self._type(resource_type).layout.searchables

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
    """A JSON member that expressions pass through or end at; `group` names the group that each of its values makes."""

    converts: list[Convert] = field(default_factory=list)
    children: dict[str, _Node] = field(default_factory=dict)
    group: str = ""
    members: frozenset[str] = frozenset()

    def at(self, path: Iterable[str]) -> _Node:
        node = self
        for member in path:
            node = node.children.setdefault(member, _Node())
        return node


@dataclass(slots=True)
class _Found(Collected):
    groups: list[GroupRow] = field(default_factory=list)


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
        self._names: dict[str, tuple[str, ...]] = {}
        self._orders: dict[tuple[str, ...], tuple[OrderRow, ...]] = {}
        for order, cells in self.layout.orders.items():
            for name in cells:
                self._names[name] = (*self._names.get(name, ()), order)
        self._members = _Node()
        self._links: list[tuple[str, Run, Convert]] = []
        targets = _targets(searchables.values())
        for cell in self.layout.cells:
            for branch in cell.branches:
                convert = converter(
                    cell.name,
                    cell.type,
                    branch.type,
                    extractor.references,
                    systems=extractor.systems(branch),
                    targets=targets.get(cell.name, frozenset()),
                )
                self._members.at(branch.path).converts.append(_after(branch, convert))
                if cell.type == "reference":
                    self._links.append((cell.name, closure(branch), convert))
        for path, (group, members) in self.layout.groups.items():
            node = self._members.at(path)
            node.group, node.members = group, members

    def rows(self, resource: JsonObject) -> Rows:
        found = _Found()
        for convert in self._members.converts:
            convert([resource], found)
        _walk(self._members.children, resource, found)
        return Rows(
            sort=None if self._key is None else self._sort(found.dates, self._key),
            tokens=_distinct(found.tokens),
            strings=_distinct(found.strings) if found.strings else (),
            dates=_distinct(found.dates) if found.dates else (),
            references=_distinct(found.references) if found.references else (),
            uris=_distinct(found.uris) if found.uris else (),
            numbers=_distinct(found.numbers) if found.numbers else (),
            quantities=tuple(found.quantities),
            groups=tuple(found.groups),
            orders=self._ordered(found),
            compartments=self._compartments(resource, found),
        )

    def references(self, resource: JsonObject, params: Collection[str]) -> list[ReferenceRow]:
        found = Collected()
        for name, run, convert in self._links:
            if name in params:
                convert(run([resource]), found)
        return found.references

    @staticmethod
    def _sort(dates: list[DateRow], key: set[str]) -> int:
        lowest = MISSING
        for row in dates:
            if row[0] in key and row[1] < lowest:
                lowest = row[1]
        return lowest

    def _ordered(self, found: Collected) -> tuple[OrderRow, ...]:
        known = self._orders
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
        quantities = found.quantities if len(found.quantities) < 2 else _in_order(found.quantities)
        values: list[tuple[str, Any]] = [row[:2] for row in (*found.dates, *found.numbers)]
        values += [(row[0], row[1][:_ORDER_LENGTH]) for row in found.strings]
        values += [(row[0], row[3]) for row in quantities]
        for param, value in values:
            for name in self._names.get(param, ()):
                known_order = bounds.get(name)
                bounds[name] = OrderRow(name, value, value) if known_order is None else _widened(known_order, value)
        return tuple(bounds.values())

    def _remembered(self, row: TokenRow | ReferenceRow | UriRow) -> tuple[OrderRow, ...]:
        if row.__class__ is TokenRow:
            value = row[2][:_ORDER_LENGTH]
        elif row.__class__ is ReferenceRow:
            value = f"{row[1]}/{row[2]}"
        else:
            value = row[1][:_ORDER_LENGTH]
        made = tuple(OrderRow(name, value, value) for name in self._names.get(row[0], ()) if value)
        if len(self._orders) >= _KEPT:
            self._orders.clear()
        self._orders[row] = made
        return made

    def _compartments(self, resource: JsonObject, found: Collected) -> tuple[str, ...]:
        patients = [row[2] for row in found.references if row[1] == "Patient" and row[0] in self._compartment]
        if self._is_patient and "id" in resource:
            patients.append(str(resource["id"]))
        return _distinct(patients)


def _targets(searchables: Iterable[Searchable]) -> dict[str, frozenset[str]]:
    """Return by rows the types to which references are told apart."""
    found: dict[str, frozenset[str]] = {}
    for searchable in searchables:
        for param, target in searchable.parts:
            if target:
                found[param] = found.get(param, frozenset()) | {target}
    return found


def _after(branch: Branch, convert: Convert) -> Convert:
    run = branch.run
    return convert if run is None else lambda values, found: convert(run(values), found)


def _walk(children: dict[str, _Node], value: Any, found: _Found) -> None:
    for member, inner in value.items():
        node = children.get(member)
        if node is None or inner is None:
            continue
        values = inner if inner.__class__ is list else [inner]
        if node.group:
            _walk_group(node, values, found)
            continue
        for convert in node.converts:
            convert(values, found)
        inside = node.children
        if inside:
            for one in values:
                if one is not None:
                    _walk(inside, one, found)


def _walk_group(node: _Node, values: list[Any], found: _Found) -> None:
    """Extract each value by itself, so that what stands together stays together."""
    for value in values:
        if value is None:
            continue
        own = _Found()
        for convert in node.converts:
            convert([value], own)
        _walk(node.children, value, own)
        found.tokens += own.tokens
        found.strings += own.strings
        found.dates += own.dates
        found.references += own.references
        found.uris += own.uris
        found.numbers += own.numbers
        found.quantities += own.quantities
        members = node.members
        rows = Rows(
            tokens=tuple(row for row in own.tokens if row[0] in members),
            strings=tuple(row for row in own.strings if row[0] in members),
            dates=tuple(row for row in own.dates if row[0] in members),
            references=tuple(row for row in own.references if row[0] in members),
            uris=tuple(row for row in own.uris if row[0] in members),
            numbers=tuple(row for row in own.numbers if row[0] in members),
            quantities=tuple(row for row in own.quantities if row[0] in members),
        )
        if _names(rows) > 1:
            found.groups.append(GroupRow(node.group, rows))


def _names(rows: Rows) -> int:
    """Count the names of rows: one alone makes no pair."""
    kinds: tuple[tuple[tuple[Any, ...], ...], ...] = (
        rows.tokens,
        rows.strings,
        rows.dates,
        rows.references,
        rows.uris,
        rows.numbers,
        rows.quantities,
    )
    return len({row[0] for kind in kinds for row in kind})


def _in_order(rows: list[QuantityRow]) -> list[QuantityRow]:
    """Leave out what is given in a canonical unit as well: orders compare canonical values where there are some."""
    systematic = {row.param for row in rows if row.system}
    return [row for row in rows if row.system or row.param not in systematic]


def _distinct(rows: list[_Row]) -> tuple[_Row, ...]:
    return tuple(rows) if len(rows) < 2 else tuple(dict.fromkeys(rows))


def _widened(order: OrderRow, value: Any) -> OrderRow:
    if order.low <= value <= order.high:
        return order
    return OrderRow(order.param, min(order.low, value), max(order.high, value))
