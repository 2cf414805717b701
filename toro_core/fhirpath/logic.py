"""Equality and three-valued logic over collections of JSON values; an empty collection is the third value.

http://hl7.org/fhirpath/N1/#boolean-logic
"""

from __future__ import annotations

from typing import Any

from toro_core.fhirpath.branches import Run

__all__ = ["OPERATORS", "equal", "negation", "truth", "unequal"]


def truth(items: list[Any]) -> bool | None:
    """Evaluate as one Boolean: a single value that is not a Boolean is true; several values have no truth."""
    if len(items) != 1:
        return None
    return items[0] if type(items[0]) is bool else True


def negation(operand: Run) -> Run:
    """Compile `operand.not()`."""

    def negate(items: list[Any]) -> list[Any]:
        value = truth(operand(items))
        return [] if value is None else [not value]

    return negate


def equal(left: Run, right: Run) -> Run:
    """Compile `left = right` for primitives: same values in the same order; empty where one side is."""

    def compare(items: list[Any]) -> list[Any]:
        lefts, rights = left(items), right(items)
        if not lefts or not rights:
            return []
        return [len(lefts) == len(rights) and all(map(_same, lefts, rights))]

    return compare


def unequal(left: Run, right: Run) -> Run:
    """Compile `left != right`."""
    return negation(equal(left, right))


def _same(left: Any, right: Any) -> bool:
    if type(left) is bool or type(right) is bool:
        return left is right  # for Python, True equals 1
    return bool(left == right)


def _and(left: Run, right: Run) -> Run:
    def both(items: list[Any]) -> list[Any]:
        one = truth(left(items))
        if one is False:
            return [False]
        other = truth(right(items))
        if other is False:
            return [False]
        return [] if one is None or other is None else [True]

    return both


def _or(left: Run, right: Run) -> Run:
    return negation(_and(negation(left), negation(right)))


def _xor(left: Run, right: Run) -> Run:
    def either(items: list[Any]) -> list[Any]:
        one, other = truth(left(items)), truth(right(items))
        return [] if one is None or other is None else [one is not other]

    return either


def _implies(left: Run, right: Run) -> Run:
    return _or(negation(left), right)


OPERATORS = {"and": _and, "or": _or, "xor": _xor, "implies": _implies}
"""The Boolean operators by name."""
