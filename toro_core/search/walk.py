"""Walk a resource along the members that the expressions of its type look at: it costs what the resource has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from toro_core.fhirpath.branches import Branch
from toro_core.search.convert import Collected, Convert
from toro_core.storage import GroupRow, Rows

__all__ = ["Found", "Node", "after", "walk"]


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


@dataclass(slots=True)
class Found(Collected):
    """Rows found so far, groups among them."""

    groups: list[GroupRow] = field(default_factory=list)


def after(branch: Branch, convert: Convert) -> Convert:
    """Return what converts what is left of a branch to compute."""
    run = branch.run
    return convert if run is None else lambda values, found: convert(run(values), found)


def walk(children: dict[str, Node], value: Any, found: Found) -> None:
    """Convert what a JSON object has at the members that expressions look at."""
    known = children.get
    for member, inner in value.items():
        node = known(member)
        if node is None or inner is None:
            continue
        values = inner if inner.__class__ is list else [inner]
        if node.group:
            _group(node, values, found)
            continue
        for convert in node.converts:
            convert(values, found)
        if node.children:
            for one in values:
                if one is not None:
                    walk(node.children, one, found)


def _group(node: Node, values: list[Any], found: Found) -> None:
    """Extract each value by itself, so that what stands together stays together."""
    for value in values:
        if value is None:
            continue
        own = Found()
        for convert in node.converts:
            convert([value], own)
        walk(node.children, value, own)
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
