"""Chains and who refers to a resource: which of them a criterion has, and judging by what was found for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias

from toro_core.search.evaluate import matches
from toro_core.search.plan import AllOf, AnyOf, Chain, Criterion, Has, Not
from toro_ndjson.catalog import Catalog
from toro_ndjson.versions import Head

__all__ = ["Joined", "joins", "stands"]

Joined: TypeAlias = "Mapping[tuple[str, Criterion], Collection[Head]]"
"""Of each Chain and Has of a type that was followed, what it holds for."""


def joins(type_: str, criterion: Criterion) -> Iterator[tuple[str, Chain | Has]]:
    """Name each Chain and Has with the type it is asked of; those within a Chain are followed with it."""
    match criterion:
        case AllOf(criteria) | AnyOf(criteria):
            for one in criteria:
                yield from joins(type_, one)
        case Not(inner):
            yield from joins(type_, inner)
        case Has(type=other, criterion=inner):
            yield from joins(other, inner)
            yield type_, criterion
        case Chain():
            yield type_, criterion


def stands(type_: str, criterion: Criterion, joined: Joined, catalog: Catalog, head: Head) -> bool:
    """Judge a resource by its rows alone, as it was when it was one of the current ones. Every Chain and Has was followed."""
    match criterion:
        case AllOf(criteria):
            return all(stands(type_, one, joined, catalog, head) for one in criteria)
        case AnyOf(criteria):
            return any(stands(type_, one, joined, catalog, head) for one in criteria)
        case Not(inner):
            return not stands(type_, inner, joined, catalog, head)
        case Chain() | Has():
            return head in joined[type_, criterion]
        case _:
            return matches(criterion, head.version.key, head.version.at, catalog.rows.one(head.rows))
