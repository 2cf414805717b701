"""Functions that ask whether and how many values there are: http://hl7.org/fhirpath/N1/#existence"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from toro_core.fhirpath.building import Build, Call, Function, truth
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.equality import key
from toro_core.fhirpath.errors import EvaluationFailed
from toro_core.fhirpath.typed import Typed, made
from toro_core.fhirpath.values import INTEGER, Items

__all__ = ["EXISTENCE"]


def _empty(call: Call) -> Typed:
    inner = call.of.run
    return made(lambda items, scope: [not inner(items, scope)], call.of)


def _exists(call: Call) -> Typed:
    inner = call.of.run
    if not call.arguments:
        return made(lambda items, scope: [bool(inner(items, scope))], call.of)
    criterion = call.criterion().run

    def run(items: Items, scope: Scope) -> Items:
        found = inner(items, scope)
        scope.spend(len(found))
        return [any(truth(criterion([item], scope)) is True for item in found)]

    return made(run, call.of)


def _all(call: Call) -> Typed:
    inner, criterion = call.of.run, call.criterion().run

    def run(items: Items, scope: Scope) -> Items:
        found = inner(items, scope)
        scope.spend(len(found))
        return [all(truth(criterion([item], scope)) is True for item in found)]

    return made(run, call.of)


def _not(call: Call) -> Typed:
    inner = call.of.run

    def run(items: Items, scope: Scope) -> Items:
        value = truth(inner(items, scope))
        return [] if value is None else [not value]

    return made(run, call.of)


def _count(call: Call) -> Typed:
    inner = call.of.run
    return made(lambda items, scope: [len(inner(items, scope))], call.of, type_=INTEGER)


def _booleans(judge: Callable[[list[Any]], bool]) -> Build:
    def build(call: Call) -> Typed:
        inner = call.read(call.of)

        def run(items: Items, scope: Scope) -> Items:
            values = inner(items, scope)
            if any(type(value) is not bool for value in values):
                raise EvaluationFailed(f"FHIRPath: {call.name}() needs Booleans.")
            return [judge(values)]

        return made(run, call.of)

    return build


def _is_distinct(call: Call) -> Typed:
    inner = call.read(call.of)

    def run(items: Items, scope: Scope) -> Items:
        values = inner(items, scope)
        return [len(values) < 2 or len(set(map(key, values))) == len(values)]

    return made(run, call.of)


EXISTENCE: Final[Mapping[str, Function]] = {
    "empty": Function(_empty),
    "exists": Function(_exists, 0, 1),
    "all": Function(_all, 1, 1),
    "not": Function(_not),
    "count": Function(_count),
    "allTrue": Function(_booleans(lambda values: False not in values)),
    "anyTrue": Function(_booleans(lambda values: True in values)),
    "allFalse": Function(_booleans(lambda values: True not in values)),
    "anyFalse": Function(_booleans(lambda values: False in values)),
    "isDistinct": Function(_is_distinct),
}
