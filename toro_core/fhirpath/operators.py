"""Operators on values: http://hl7.org/fhirpath/N1/#operations"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from toro_core.fhirpath import arithmetic
from toro_core.fhirpath.building import at_most_one, truth, valued
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.equality import all_equal, all_equivalent, order
from toro_core.fhirpath.errors import EvaluationFailed, UnsupportedExpression
from toro_core.fhirpath.nodes import Constant, Node
from toro_core.fhirpath.scalar import bounded
from toro_core.fhirpath.typed import Run, Typed, made
from toro_core.fhirpath.types import Types
from toro_core.fhirpath.values import STRING, Element, Items, Value

__all__ = ["binary", "equals_text", "signed"]

_Combine: TypeAlias = "Callable[[Run, Run], Run]"


def binary(types: Types, operator: str, left: Typed, right: Typed) -> Typed:
    """Compile `left operator right`."""
    if operator in _LOGIC:
        return made(_LOGIC[operator](left.run, right.run), left, right)
    ones, others = valued(types, left), valued(types, right)
    if operator in _COMPARISONS:
        return made(_COMPARISONS[operator](ones, others), left, right)
    if operator == "&":
        return made(_concatenated(ones, others), left, right, type_=STRING)
    compute = arithmetic.OPERATIONS.get(operator)
    if compute is None:
        raise UnsupportedExpression(f"FHIRPath: the operator `{operator}` is not supported.")
    return made(_computed(operator, compute, ones, others), left, right, type_=None)


def equals_text(types: Types, left: Typed, right: Node) -> Run | None:
    """Return `left = 'text'` without collections of values, None where it is not of that form."""
    if not isinstance(right, Constant) or not isinstance(right.value, str) or not types.is_text(left.type):
        return None
    text, inner = right.value, left.run

    def run(items: Items, scope: Scope) -> Items:
        found = inner(items, scope)
        if len(found) == 1:
            value = found[0]
            if type(value) is Element:
                value = value.value
            return [] if value is None else [value == text]
        return [False] if found else []

    return run


def signed(types: Types, sign: str, operand: Typed) -> Typed:
    """Compile `+operand` or `-operand`."""
    inner = valued(types, operand)

    def run(items: Items, scope: Scope) -> Items:
        value = at_most_one(inner(items, scope), f"`{sign}`")
        if value is None:
            return []
        if not arithmetic.is_numeric(value):
            raise EvaluationFailed(f"FHIRPath: `{sign}` needs a number or quantity.")
        return [arithmetic.negate(value) if sign == "-" else value]

    return made(run, operand, type_=None)


def _and(left: Run, right: Run) -> Run:
    def run(items: Items, scope: Scope) -> Items:
        one = truth(left(items, scope))
        if one is False:
            return [False]
        other = truth(right(items, scope))
        if other is False:
            return [False]
        return [] if one is None or other is None else [True]

    return run


def _or(left: Run, right: Run) -> Run:
    def run(items: Items, scope: Scope) -> Items:
        one = truth(left(items, scope))
        if one is True:
            return [True]
        other = truth(right(items, scope))
        if other is True:
            return [True]
        return [] if one is None or other is None else [False]

    return run


def _implies(left: Run, right: Run) -> Run:
    def run(items: Items, scope: Scope) -> Items:
        one = truth(left(items, scope))
        if one is False:
            return [True]
        other = truth(right(items, scope))
        if other is True:
            return [True]
        return [] if one is None or other is None else [False]

    return run


def _xor(left: Run, right: Run) -> Run:
    def run(items: Items, scope: Scope) -> Items:
        one, other = truth(left(items, scope)), truth(right(items, scope))
        return [] if one is None or other is None else [one is not other]

    return run


_LOGIC: Final[Mapping[str, _Combine]] = {"and": _and, "or": _or, "implies": _implies, "xor": _xor}


def _equality(wanted: bool) -> _Combine:
    def combine(left: Run, right: Run) -> Run:
        def run(items: Items, scope: Scope) -> Items:
            verdict = all_equal(left(items, scope), right(items, scope))
            return [] if verdict is None else [verdict is wanted]

        return run

    return combine


def _equivalence(wanted: bool) -> _Combine:
    def combine(left: Run, right: Run) -> Run:
        def run(items: Items, scope: Scope) -> Items:
            ones, others = left(items, scope), right(items, scope)
            scope.spend(len(ones) * len(others))
            return [all_equivalent(ones, others) is wanted]

        return run

    return combine


def _ordering(operator: str, holds: Callable[[int], bool]) -> _Combine:
    def combine(left: Run, right: Run) -> Run:
        def run(items: Items, scope: Scope) -> Items:
            one, other = at_most_one(left(items, scope), operator), at_most_one(right(items, scope), operator)
            if one is None or other is None:
                return []
            found = order(one, other)
            return [] if found is None else [holds(found)]

        return run

    return combine


_COMPARISONS: Final[Mapping[str, _Combine]] = {
    "=": _equality(True),
    "!=": _equality(False),
    "~": _equivalence(True),
    "!~": _equivalence(False),
    "<": _ordering("`<`", lambda found: found < 0),
    "<=": _ordering("`<=`", lambda found: found <= 0),
    ">": _ordering("`>`", lambda found: found > 0),
    ">=": _ordering("`>=`", lambda found: found >= 0),
}


def _concatenated(left: Run, right: Run) -> Run:
    def run(items: Items, scope: Scope) -> Items:
        texts = [_text(at_most_one(side(items, scope), "`&`")) for side in (left, right)]
        bounded(len(texts[0]) + len(texts[1]))
        return [texts[0] + texts[1]]

    return run


def _text(value: Value) -> str:
    if value is not None and not isinstance(value, str):
        raise EvaluationFailed("FHIRPath: `&` needs strings; use toString().")
    return value or ""


def _computed(operator: str, compute: Callable[[Value, Value], Value], left: Run, right: Run) -> Run:
    def run(items: Items, scope: Scope) -> Items:
        one, other = at_most_one(left(items, scope), operator), at_most_one(right(items, scope), operator)
        if one is None or other is None:
            return []
        found = compute(one, other)
        return [] if found is None else [found]

    return run
