"""Put criteria together without needless layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from toro_core.search.plan import AllOf, AnyOf, Criterion

__all__ = ["EVERYTHING", "all_of", "any_of"]

EVERYTHING: Final = AllOf(())
"""Holds for every resource."""


def all_of(criteria: Iterable[Criterion]) -> Criterion:
    """Return what holds where all of them do."""
    found = tuple(criterion for criterion in dict.fromkeys(criteria) if criterion != EVERYTHING)
    return found[0] if len(found) == 1 else AllOf(found)


def any_of(criteria: Iterable[Criterion]) -> Criterion:
    """Return what holds where one of them does."""
    found = tuple(dict.fromkeys(criteria))
    return found[0] if len(found) == 1 else AnyOf(found)
