"""Which rows a type's search parameters are answered from: no value is indexed twice. See docs/adr/0006.

Branches that the same parameters use make a cell, whose rows share one name. A parameter is a union of cells; one that is
limited to references to one type borrows the cell of all references and says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from toro_core.definitions import Definitions
from toro_core.definitions.facts import SearchParameterFacts, SearchType
from toro_core.fhirpath.branches import Branch
from toro_core.search.searchable import NATIVE, Expressed, Group, expressed

__all__ = ["Cell", "Component", "Composition", "Layout", "Part", "Searchable", "layout"]

_UNION: Final = "+"
"""Ends the name of an order that several rows go into."""
_CLINICAL_DATES: Final = (
    "date",
    "effective",
    "effective-time",
    "onset-date",
    "authoredon",
    "authored",
    "authored-on",
    "occurrence",
    "period",
    "recorded",
    "started",
    "collected",
    "created",
    "sent",
    "start",
    "start-date",
    "whenhandedover",
    "identified",
)


class Part(NamedTuple):
    """Rows that answer a parameter: those of a name, of a type where only references to it count."""

    param: str
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Searchable:
    """A parameter, or a part of a composite: what it is answered from."""

    facts: SearchParameterFacts
    types: frozenset[str] = frozenset()
    """The data types of its values."""
    parts: tuple[Part, ...] = ()
    branches: tuple[Branch, ...] = ()
    compositions: tuple[Composition, ...] = ()
    """Of a composite: any of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A part of a composite. `grouped` says that its rows are in the group, too."""

    searchable: Searchable
    grouped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """All components, within one row group where `group` names such, else within the resource."""

    group: str
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Branches whose values become rows of one name."""

    name: str
    type: SearchType
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The rows of one type. `groups` has by path the group's name and the cells in it, `orders` by name the cells it orders by."""

    searchables: Mapping[str, Searchable]
    cells: tuple[Cell, ...]
    groups: Mapping[tuple[str, ...], tuple[str, frozenset[str]]]
    orders: Mapping[str, frozenset[str]]
    sorts: Mapping[str, str]
    """By parameter the order it is sorted by."""
    key: str | None
    """The parameter that is the type's sort value; None stands for the time of the commit."""


_Key: TypeAlias = tuple[str, str, tuple[str, ...], str, int]


def layout(definitions: Definitions, resource_type: str) -> Layout:
    """Lay out a type. Raises KeyError where there is no such type."""
    return _Builder(expressed(definitions, resource_type)).layout()


class _Builder:
    def __init__(self, parameters: Mapping[str, Expressed]) -> None:
        self._parameters = parameters
        self._branches: dict[_Key, Branch] = {}
        self._users: dict[_Key, dict[str, None]] = {}
        for code, parameter in parameters.items():
            self._use(code, parameter.facts.type, parameter.facts.expression, parameter.branches)
            for group in parameter.groups:
                for component in group.components:
                    text = f"{parameter.facts.expression}${component.code}"
                    self._use(f"{code}${component.code}", component.type, text, component.branches)
        self._plain = {key for key, branch in self._branches.items() if branch.run is None}
        self._names = self._named()

    def layout(self) -> Layout:
        searchables = {code: self._searchable(code, parameter) for code, parameter in self._parameters.items()}
        key = _key(self._parameters)
        sorts = _sorts(searchables)
        orders = {
            order: frozenset(part.param for part in searchables[code].parts)
            if order.endswith(_UNION)
            else frozenset({order})
            for code, order in sorts.items()
            if code not in NATIVE
        }
        if key is not None:
            orders.pop(sorts[key])
        return Layout(
            searchables=searchables,
            cells=self._cells(),
            groups=self._groups(searchables),
            orders=orders,
            sorts=sorts,
            key=key,
        )

    def _use(self, user: str, type_: SearchType, text: str, branches: tuple[Branch, ...]) -> None:
        for number, branch in enumerate(branches):
            key = _identity(type_, text, branch, number)
            self._branches.setdefault(key, branch)
            self._users.setdefault(key, {})[user] = None

    def _home(self, key: _Key) -> tuple[_Key, str]:
        """Return the branch whose rows answer this one, and the type to which references count."""
        branch = self._branches[key]
        if branch.target:
            base = (key[0], branch.type, branch.path, "", 0)
            if base in self._plain:
                return base, branch.target
        return key, ""

    def _named(self) -> dict[_Key, str]:
        """Name the cell of each branch: after the parameter that is nothing but this cell, else after one that uses it."""
        cells: dict[tuple[str, tuple[str, ...]], list[_Key]] = {}
        wholes: dict[str, set[_Key]] = {}
        for key, users in self._users.items():
            home, target = self._home(key)
            if home == key:
                cells.setdefault((key[0], tuple(users)), []).append(key)
            for user in users:
                wholes.setdefault(user, set()).add(home if not target else key)
        names: dict[_Key, str] = {}
        taken: set[str] = set()
        waiting = []
        for (_, users_), keys in cells.items():
            codes = [user for user in users_ if "$" not in user]
            whole = [user for user in codes if wholes[user] == set(keys)]
            if whole:
                name = min(whole, key=lambda code: (len(code), code))
                taken.add(name)
                names |= dict.fromkeys(keys, name)
            else:
                waiting.append((min(codes or users_), keys))
        for wanted, keys in waiting:
            name, count = wanted, 1
            while name in taken:
                count += 1
                name = f"{wanted}~{count}"
            taken.add(name)
            names |= dict.fromkeys(keys, name)
        return names

    def _cells(self) -> tuple[Cell, ...]:
        found: dict[str, list[_Key]] = {}
        for key, name in self._names.items():
            found.setdefault(name, []).append(key)
        return tuple(
            Cell(name=name, type=keys[0][0], branches=tuple(self._branches[key] for key in keys))  # type: ignore[arg-type]
            for name, keys in found.items()
        )

    def _searchable(self, code: str, parameter: Expressed) -> Searchable:
        facts = parameter.facts
        if parameter.groups:
            return Searchable(
                facts=facts, compositions=tuple(self._composition(parameter, group) for group in parameter.groups)
            )
        return self._made(facts, facts.expression, parameter.branches)

    def _composition(self, parameter: Expressed, group: Group) -> Composition:
        components = []
        for component in group.components:
            text = f"{parameter.facts.expression}${component.code}"
            named = self._parameters.get(component.code)
            targets = named.facts.targets if named else ()
            facts = SearchParameterFacts(
                code=component.code, type=component.type, url="", expression=text, targets=targets
            )
            searchable = self._made(facts, text, component.branches)
            components.append(Component(searchable=searchable, grouped=component.grouped))
        return Composition(group="$".join(group.path), components=tuple(components))

    def _made(self, facts: SearchParameterFacts, text: str, branches: tuple[Branch, ...]) -> Searchable:
        homes = [self._home(_identity(facts.type, text, branch, number)) for number, branch in enumerate(branches)]
        parts = {Part(self._names[home], target) for home, target in homes}
        return Searchable(
            facts=facts,
            types=frozenset(branch.type for branch in branches),
            parts=tuple(sorted(parts)),
            branches=branches,
        )

    def _groups(self, searchables: Mapping[str, Searchable]) -> dict[tuple[str, ...], tuple[str, frozenset[str]]]:
        found: dict[tuple[str, ...], tuple[str, frozenset[str]]] = {}
        for searchable in searchables.values():
            for composition in searchable.compositions:
                if composition.group:
                    path = tuple(composition.group.split("$"))
                    inside = {
                        part.param
                        for component in composition.components
                        if component.grouped
                        for part in component.searchable.parts
                    }
                    found[path] = composition.group, found.get(path, ("", frozenset()))[1] | inside
        return found


def _identity(type_: SearchType, text: str, branch: Branch, number: int) -> _Key:
    """Tell branches apart: those without anything left to compute by their path, the others by the expression they come from."""
    if branch.run is None:
        return type_, branch.type, branch.path, "", 0
    return type_, branch.type, branch.path, text, number


def _sorts(searchables: Mapping[str, Searchable]) -> dict[str, str]:
    """Name each parameter's order: its cell's name where it has but one, else a name that parameters of equal cells share.

    A union of whole other parameters, as `combo-code` is, goes by the one that looks nearest to the resource's root: an order of
    its own would be another row for nearly every resource.
    """
    sorts: dict[str, str] = {}
    unions: dict[tuple[Part, ...], str] = {}
    whole = {searchable.parts[0]: searchable for searchable in searchables.values() if len(searchable.parts) == 1}
    for code, searchable in searchables.items():
        parts = searchable.parts
        if code in NATIVE:
            sorts[code] = code
        elif len(parts) == 1:
            sorts[code] = parts[0].param
        elif parts and all(part in whole for part in parts):
            sorts[code] = min(parts, key=lambda part: (_depth(whole[part]), part)).param
        elif parts:
            sorts[code] = unions.setdefault(parts, code + _UNION)
    return sorts


def _depth(searchable: Searchable) -> int:
    return min(len(branch.path) for branch in searchable.branches)


def _key(parameters: Mapping[str, Expressed]) -> str | None:
    """Return the clinical date a type is ordered by: the first of a fixed list that the type has, once a resource."""
    for code in _CLINICAL_DATES:
        parameter = parameters.get(code)
        if parameter and parameter.facts.type == "date" and not any(branch.repeats for branch in parameter.branches):
            return code
    return None
