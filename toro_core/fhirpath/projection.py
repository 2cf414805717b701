"""Functions that evaluate an argument for each item: http://hl7.org/fhirpath/N1/#filtering-and-projection"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cmp_to_key
from typing import Any, Final

from toro_core.fhirpath.building import Call, Function, at_most_one, each, truth
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.equality import key, order
from toro_core.fhirpath.errors import InvalidExpression
from toro_core.fhirpath.nodes import Node, Sign, Variable, walk
from toro_core.fhirpath.typed import NOTHING, Run, Typed, given, made
from toro_core.fhirpath.types import is_system
from toro_core.fhirpath.values import BOOLEAN, Item, Items

__all__ = ["PROJECTION", "mentions"]


def _where(call: Call) -> Typed:
    inner, criterion = call.of.run, call.criterion().run

    def run(items: Items, scope: Scope) -> Items:
        found = inner(items, scope)
        scope.spend(len(found))
        return [item for item in found if truth(criterion([item], scope)) is True]

    def counting(items: Items, scope: Scope) -> Items:
        return [item for item, kept in _indexed(inner(items, scope), criterion, scope) if truth(kept) is True]

    return each(call.of, counting if mentions(call.arguments[0], "$index") else run)


def _select(call: Call) -> Typed:
    projection = call.criterion()
    inner, project = call.of.run, projection.run

    def run(items: Items, scope: Scope) -> Items:
        found = inner(items, scope)
        scope.spend(len(found))
        selected = [value for item in found for value in project([item], scope)]
        scope.spend(len(selected))
        return selected

    def counting(items: Items, scope: Scope) -> Items:
        selected = [value for _, values in _indexed(inner(items, scope), project, scope) for value in values]
        scope.spend(len(selected))
        return selected

    counts = mentions(call.arguments[0], "$index")
    return made(counting if counts else run, call.of, type_=projection.type, many=call.of.many or projection.many)


def _repeat(call: Call) -> Typed:
    first = _projected(call, call.of.type)
    again = _projected(call, first.type) if first else None
    if first and again and again.type == first.type:
        return _repeated(call, call.of.run, first, again)
    anything = call.building.compile(call.arguments[0], given(None, many=False))
    anything = made(call.describe(anything), anything, type_=None, many=True)
    return _repeated(call, call.describe(call.of), anything, anything)


def _projected(call: Call, type_: str | None) -> Typed | None:
    try:
        return call.building.compile(call.arguments[0], given(type_, many=False))
    except InvalidExpression:
        return None  # not all types that the projection leads through have all elements it names


def _repeated(call: Call, inner: Run, first: Typed, again: Typed) -> Typed:
    read = call.reader(first.type)

    def run(items: Items, scope: Scope) -> Items:
        found: Items = []
        seen = set()
        level, project = inner(items, scope), first.run
        while level:
            below: Items = []
            scope.spend(len(level))
            for item in level:
                for value in project([item], scope):
                    if (identity := key(read(value))) not in seen:
                        seen.add(identity)
                        below.append(value)
            found += below
            scope.spend(len(below))
            level, project = below, again.run
        return found

    return made(run, call.of, type_=first.type, many=True)


def _aggregate(call: Call) -> Typed:
    inner = call.of.run
    start = call.argument(1) if len(call.arguments) > 1 else NOTHING
    step, begin = call.describe(call.criterion()), call.describe(start)

    def run(items: Items, scope: Scope) -> Items:
        outer, outer_index = scope.total, scope.index
        found = inner(items, scope)
        scope.spend(len(found))
        scope.total = begin(items, scope)
        for scope.index, item in enumerate(found):
            scope.total = step([item], scope)
        total, scope.total, scope.index = scope.total, outer, outer_index
        return total

    return made(run, call.of, type_=None, many=True)


def _iif(call: Call) -> Typed:
    inner = call.of.run
    this = given(call.of.type, many=call.of.many)
    criterion, *results = [call.building.compile(argument, this) for argument in call.arguments]
    if criterion.type not in (None, BOOLEAN, "boolean") and _is_scalar(call, criterion.type):
        raise InvalidExpression("FHIRPath: the criterion of iif() is no Boolean.")
    results = [*results, NOTHING][:2]
    if NOTHING in results:
        (then, otherwise), type_ = [result.run for result in results], results[0].type
    else:
        (then, otherwise), type_ = call.described(*results)
    judge = criterion.run

    def run(items: Items, scope: Scope) -> Items:
        found = inner(items, scope)
        at_most_one(found, "iif()")
        return then(found, scope) if truth(judge(found, scope)) is True else otherwise(found, scope)

    return made(run, call.of, criterion, *results, type_=type_, many=any(result.many for result in results))


def _is_scalar(call: Call, type_: str | None) -> bool:
    return is_system(type_) or call.types.is_primitive(type_)


def _sort(call: Call) -> Typed:
    inner, read = call.of.run, call.reader(call.of.type)
    keys = [_sort_key(call, argument) for argument in call.arguments]
    signs = [sign for sign, _ in keys] or [1]

    def compare(left: tuple[Any, ...], right: tuple[Any, ...]) -> int:
        for sign, one, other in zip(signs, left[0], right[0], strict=True):
            known = one is not None and other is not None
            if found := sign * (order(one, other) or 0) if known else (one is not None) - (other is not None):
                return found
        return 0

    def run(items: Items, scope: Scope) -> Items:
        found = inner(items, scope)
        scope.spend(len(found))
        if keys:
            rows = [([at_most_one(k([item], scope), "sort()") for _, k in keys], item) for item in found]
        else:
            rows = [([read(item)], item) for item in found]
        return [item for _, item in sorted(rows, key=cmp_to_key(compare))]

    return each(call.of, run)


def _sort_key(call: Call, argument: Node) -> tuple[int, Run]:
    sign = -1 if isinstance(argument, Sign) and argument.sign == "-" else 1
    node = argument.operand if isinstance(argument, Sign) else argument
    return sign, call.read(call.building.compile(node, given(call.of.type, many=False)))


def _trace(call: Call) -> Typed:
    call.argument(0)
    if len(call.arguments) > 1:
        call.criterion(1)
    return call.of  # Toro keeps no trace: it would hold what resources say


def _indexed(found: Items, evaluate: Run, scope: Scope) -> list[tuple[Item, Items]]:
    scope.spend(len(found))
    outer = scope.index
    rows = []
    for scope.index, item in enumerate(found):
        rows.append((item, evaluate([item], scope)))
    scope.index = outer
    return rows


def mentions(node: Node, variable: str) -> bool:
    """Say whether an expression names a variable, be it in an inner loop with a variable of its own."""
    return any(isinstance(found, Variable) and found.name == variable for found in walk(node))


PROJECTION: Final[Mapping[str, Function]] = {
    "where": Function(_where, 1, 1),
    "select": Function(_select, 1, 1),
    "repeat": Function(_repeat, 1, 1),
    "aggregate": Function(_aggregate, 1, 2),
    "iif": Function(_iif, 2, 3),
    "sort": Function(_sort, 0, 9),
    "trace": Function(_trace, 1, 2),
}
