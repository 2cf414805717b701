"""Navigation down the whole tree: http://hl7.org/fhirpath/N1/#tree-navigation"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from toro_core.fhirpath.building import Call, Function
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.typed import Typed
from toro_core.fhirpath.values import Items

__all__ = ["TREES"]


def _children(call: Call) -> Typed:
    inner, static, below = call.of.run, call.of.type, call.building.navigation.children

    def run(items: Items, scope: Scope) -> Items:
        found = [child for item in inner(items, scope) for child in below(item, static)]
        scope.spend(len(found))
        return found

    return Typed(run=run, type=None, constant=call.of.constant, costly=True)


def _descendants(call: Call) -> Typed:
    inner, static, below = call.of.run, call.of.type, call.building.navigation.children

    def run(items: Items, scope: Scope) -> Items:
        found: Items = []
        waiting = [child for item in inner(items, scope) for child in below(item, static)][::-1]
        while waiting:
            scope.spend(1)
            item = waiting.pop()
            found.append(item)
            waiting += [*below(item, None)][::-1]
        return found

    return Typed(run=run, type=None, constant=call.of.constant, costly=True)


TREES: Final[Mapping[str, Function]] = {"children": Function(_children), "descendants": Function(_descendants)}
