"""Functions and operators on whole collections: http://hl7.org/fhirpath/N1/#subsetting and #combining"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from toro_core.fhirpath.building import Build, Call, Function, at_most_one, each, single
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.equality import key
from toro_core.fhirpath.errors import EvaluationFailed
from toro_core.fhirpath.typed import NOTHING, Typed, made
from toro_core.fhirpath.types import Read
from toro_core.fhirpath.values import Item, Items

__all__ = ["COMBINING", "contained", "indexed", "union"]


def union(call: Call) -> Typed:
    """Compile `of | argument`, without duplicates."""
    return _combined(call, distinct=True)


def contained(call: Call) -> Typed:
    """Compile `of in argument`."""
    inner, others = call.read(call.of), call.argument(0)
    among = call.read(others)

    def run(items: Items, scope: Scope) -> Items:
        value = at_most_one(inner(items, scope), "`in` and `contains`")
        if value is None:
            return []
        wanted = key(value)
        return [any(key(other) == wanted for other in among(items, scope))]

    return made(run, call.of, others)


def indexed(call: Call) -> Typed:
    """Compile `of[argument]`."""
    inner, at = call.of.run, call.argument(0)
    position = single(call, at)

    def run(items: Items, scope: Scope) -> Items:
        place = position(items, scope)
        return [] if place is None or place < 0 else inner(items, scope)[place : place + 1]

    return each(call.of, run, at, many=False)


def _combine(call: Call) -> Typed:
    return _combined(call, distinct=False)


def _combined(call: Call, *, distinct: bool) -> Typed:
    other = call.argument(0)
    if NOTHING in (call.of, other):
        (left, right), type_ = (call.of.run, other.run), call.of.type if other is NOTHING else other.type
    else:
        (left, right), type_ = call.described(call.of, other)
    read = call.reader(type_)

    def run(items: Items, scope: Scope) -> Items:
        found = [*left(items, scope), *right(items, scope)]
        scope.spend(len(found))
        return _distinct(found, read) if distinct else found

    return made(run, call.of, other, type_=type_, many=True)


def _set_operation(keep: Callable[[Items, Items, Callable[[Item], Hashable]], Items]) -> Build:
    def build(call: Call) -> Typed:
        other = call.argument(0)
        (left, right), type_ = call.described(call.of, other)
        read = call.reader(type_)

        def run(items: Items, scope: Scope) -> Items:
            return keep(left(items, scope), right(items, scope), lambda item: key(read(item)))

        return made(run, call.of, other, type_=type_, many=call.of.many)

    return build


def _relation(holds: Callable[[frozenset[Hashable], frozenset[Hashable]], bool]) -> Build:
    def build(call: Call) -> Typed:
        other = call.argument(0)
        left, right = call.read(call.of), call.read(other)
        return made(
            lambda items, scope: [
                holds(frozenset(map(key, left(items, scope))), frozenset(map(key, right(items, scope))))
            ],
            call.of,
            other,
        )

    return build


def _intersection(left: Items, right: Items, identify: Callable[[Item], Hashable]) -> Items:
    if not left or not right:
        return []
    wanted = set(map(identify, right))
    return list({identity: item for item in reversed(left) if (identity := identify(item)) in wanted}.values())[::-1]


def _exclusion(left: Items, right: Items, identify: Callable[[Item], Hashable]) -> Items:
    unwanted = set(map(identify, right))
    return [item for item in left if identify(item) not in unwanted]


def _distinct_call(call: Call) -> Typed:
    inner, read = call.of.run, call.reader(call.of.type)
    return each(call.of, lambda items, scope: _distinct(inner(items, scope), read))


def _distinct(items: Items, read: Read) -> Items:
    if len(items) < 2:
        return items
    found: dict[Hashable, Item] = {}
    for item in items:
        found.setdefault(key(read(item)), item)
    return list(found.values())


def _slice(first: int | None, last: int | None, *, many: bool) -> Build:
    def build(call: Call) -> Typed:
        inner = call.of.run
        return each(call.of, lambda items, scope: inner(items, scope)[first:last], many=many and call.of.many)

    return build


def _skip(call: Call) -> Typed:
    inner, number = call.of.run, call.argument(0)
    count = single(call, number)
    return each(call.of, lambda items, scope: inner(items, scope)[max(0, count(items, scope) or 0) :], number)


def _take(call: Call) -> Typed:
    inner, number = call.of.run, call.argument(0)
    count = single(call, number)
    return each(call.of, lambda items, scope: inner(items, scope)[: max(0, count(items, scope) or 0)], number)


def _single(call: Call) -> Typed:
    inner = call.of.run

    def run(items: Items, scope: Scope) -> Items:
        found = inner(items, scope)
        if len(found) > 1:
            raise EvaluationFailed("FHIRPath: single() was called on several values.")
        return found

    return each(call.of, run, many=False)


COMBINING: Final[Mapping[str, Function]] = {
    "first": Function(_slice(None, 1, many=False)),
    "last": Function(_slice(-1, None, many=False)),
    "tail": Function(_slice(1, None, many=True)),
    "skip": Function(_skip, 1, 1),
    "take": Function(_take, 1, 1),
    "single": Function(_single),
    "union": Function(union, 1, 1),
    "combine": Function(_combine, 1, 1),
    "intersect": Function(_set_operation(_intersection), 1, 1),
    "exclude": Function(_set_operation(_exclusion), 1, 1),
    "subsetOf": Function(_relation(frozenset.issubset), 1, 1),
    "supersetOf": Function(_relation(frozenset.issuperset), 1, 1),
    "distinct": Function(_distinct_call),
}
