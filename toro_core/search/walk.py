"""Walk a resource along the members that the expressions of its type look at: it costs what the resource has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from toro_core.fhirpath.branches import Branch
from toro_core.search.found import Convert, Found
from toro_core.storage import GroupRow, Rows

__all__ = ["Node", "after"]

_Row = TypeVar("_Row", bound=tuple[Any, ...])


@dataclass(slots=True)
class Node:
    """A JSON member that expressions pass through or end at; `group` names the group that each of its values makes."""

    converts: list[Convert] = field(default_factory=list)
    children: dict[str, Node] = field(default_factory=dict)
    group: str = ""
    members: frozenset[str] = frozenset()

    def at(self, path: Iterable[str]) -> Node:
        """Return the node at the end of a path, made where it is not there."""
        node = self
        for member in path:
            node = node.children.setdefault(member, Node())
        return node

    def compiled(self) -> Convert:
        """Return what converts values of this member and all that is below them."""
        steps = list(self.converts)
        if self.children:
            steps.append(_walk({member: node.compiled() for member, node in self.children.items()}))
        step = steps[0] if len(steps) == 1 else _each(steps)
        return _grouped(self.group, self.members, step) if self.group else step


def after(branch: Branch, convert: Convert) -> Convert:
    """Return what converts what is left of a branch to compute."""
    run = branch.run
    return convert if run is None else lambda values, found: convert(run(values), found)


def _walk(steps: Mapping[str, Convert]) -> Convert:
    """Return what looks at those members of JSON objects that there is a step for."""
    known = steps.get

    def walk(values: list[Any], found: Found) -> None:
        for value in values:
            if value is None:
                continue
            for member, inner in value.items():
                step = known(member)
                if step is not None and inner is not None:
                    step(inner if inner.__class__ is list else [inner], found)

    return walk


def _each(steps: list[Convert]) -> Convert:
    def each(values: list[Any], found: Found) -> None:
        for step in steps:
            step(values, found)

    return each


def _grouped(name: str, members: frozenset[str], step: Convert) -> Convert:
    """Return what extracts each value by itself, so that what stands together stays together."""

    def grouped(values: list[Any], found: Found) -> None:
        for value in values:
            if value is None:
                continue
            own = Found()
            step([value], own)
            found.tokens += own.tokens
            found.strings += own.strings
            found.dates += own.dates
            found.references += own.references
            found.uris += own.uris
            found.numbers += own.numbers
            found.quantities += own.quantities
            found.orders += own.orders
            rows = Rows(
                tokens=_named(own.tokens, members),
                strings=_named(own.strings, members),
                dates=_named(own.dates, members),
                references=_named(own.references, members),
                uris=_named(own.uris, members),
                numbers=_named(own.numbers, members),
                quantities=_named(own.quantities, members),
            )
            if _names(rows) > 1:
                found.groups.append(GroupRow(name, rows))

    return grouped


def _named(rows: list[_Row], members: frozenset[str]) -> tuple[_Row, ...]:
    return tuple([row for row in rows if row[0] in members]) if rows else ()


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
