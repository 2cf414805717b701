"""What an expression compiles to: a closure and what is known of its values beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.values import BOOLEAN, Items

__all__ = ["NOTHING", "Run", "Typed", "constant", "given", "made"]

Run: TypeAlias = "Callable[[Items, Scope], Items]"
"""Computes values from the input, which is `$this`. Neither the input nor what it returns may be changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A closure and the static type of its values.

    A type is FHIR's, `Patient.contact`, or one of the system, `System.Integer`. Complex values of a known FHIR type are raw
    dicts, primitive ones raw or an Element. Type None: the items say their types themselves, by being an Element, a System
    value or a resource. `many` says whether there can be more than one; `constant` that they depend on the environment only;
    `costly` that computing them walks trees. `alternatives` are all types they can have, where type None comes of a choice.
    """

    run: Run
    type: str | None
    many: bool = True
    constant: bool = False
    costly: bool = False
    alternatives: frozenset[str] = frozenset()


def given(type_: str | None, *, many: bool) -> Typed:
    """Return what `$this` compiles to."""
    return Typed(run=_input, type=type_, many=many)


def constant(items: Items, type_: str | None) -> Typed:
    """Return a literal."""
    return Typed(run=lambda _items, _scope: items, type=type_, many=len(items) > 1, constant=True)


def made(run: Run, *operands: Typed, type_: str | None = BOOLEAN, many: bool = False) -> Typed:
    """Return what is computed from the operands, by default a Boolean."""
    return Typed(
        run=run,
        type=type_,
        many=many,
        constant=all(operand.constant for operand in operands),
        costly=any(operand.costly for operand in operands),
    )


def _input(items: Items, scope: Scope) -> Items:
    return items


NOTHING = constant([], None)
"""The empty collection."""
