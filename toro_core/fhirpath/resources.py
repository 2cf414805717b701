"""The functions that FHIR adds: http://hl7.org/fhir/R4/fhirpath.html#functions"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from toro_core.fhirpath.building import Build, Building, Call, Function, each, single
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.errors import Undetermined, UnsupportedExpression
from toro_core.fhirpath.typed import Typed, made
from toro_core.fhirpath.types import is_system
from toro_core.fhirpath.values import Element, Item, Items
from toro_core.json import JsonObject

__all__ = ["RESOURCES", "referenced"]


def referenced(building: Building, of: Typed) -> Typed:
    """Compile what stands in for `of.resolve()` where only its type is asked: what cannot be fetched is as its reference says."""
    inner, known = of.run, building.types.definitions.resource_types

    def run(items: Items, scope: Scope) -> Items:
        found: Items = []
        for item in inner(items, scope):
            resource = _fetched(item, scope)
            type_ = _type_said(item, known) if resource is None else None
            found += [resource] if resource is not None else [Element({}, type_)] if type_ else []
        return found

    return made(run, of, type_=None, many=of.many)


def _resolve(call: Call) -> Typed:
    inner = call.of.run

    def run(items: Items, scope: Scope) -> Items:
        found = [_fetched(item, scope) for item in inner(items, scope)]
        return [resource for resource in found if resource is not None]

    return made(run, call.of, type_="Resource", many=call.of.many)


def _fetched(item: Item, scope: Scope) -> JsonObject | None:
    address = _address(item)
    scope.spend(1)
    if address is None:
        return None
    environment = scope.environment
    container = environment.root_resource or environment.resource
    if not address.startswith("#"):
        return environment.resolve(address)
    if address == "#":
        return container
    contained: Any = (container or {}).get("contained")
    candidates = contained if type(contained) is list else []
    return next((one for one in candidates if type(one) is dict and one.get("id") == address[1:]), None)


def _address(item: Item) -> str | None:
    value = _raw(item)
    if type(value) is dict:
        value = value.get("reference")
    return value if type(value) is str else None


def _type_said(item: Item, known: frozenset[str]) -> str | None:
    """Return the resource type that a reference names by its address, `BASE/Patient/1/_history/2`, or beside it."""
    parts = (_address(item) or "").partition("/_history/")[0].rsplit("/", 2)
    if len(parts) > 1 and parts[-2] in known:
        return parts[-2]
    value = _raw(item)
    said = value.get("type") if type(value) is dict else None
    return said if type(said) is str and said in known else None


def _extension(call: Call) -> Typed:
    of, wanted = call.building.navigation.member(call.of, "extension"), call.argument(0)
    inner, url = of.run, single(call, wanted)

    def run(items: Items, scope: Scope) -> Items:
        address = url(items, scope)
        return [one for one in inner(items, scope) if _raw(one).get("url") == address]

    return each(of, run, wanted)


def _raw(item: Item) -> Any:
    return item.value if type(item) is Element else item


def _has_value(call: Call) -> Typed:
    inner = call.of.run

    def run(items: Items, scope: Scope) -> Items:
        found = inner(items, scope)
        if len(found) != 1:
            return [False]
        value = _raw(found[0])
        return [value is not None and type(value) is not dict]

    return made(run, call.of)


def _get_value(call: Call) -> Typed:
    inner = call.read(call.of)

    def run(items: Items, scope: Scope) -> Items:
        values = [value for value in inner(items, scope) if type(value) is not dict]
        return values if len(values) == 1 else []

    return made(run, call.of, type_=call.of.type if is_system(call.of.type) else None)


def _judged(ask: Callable[[Scope], Callable[[Any, str], bool | None]]) -> Build:
    """Build a function that asks the environment about each value: true if it holds for one of them."""

    def build(call: Call) -> Typed:
        inner, against = call.of.run, call.argument(0)
        canonical = single(call, against)

        def run(items: Items, scope: Scope) -> Items:
            url, found = canonical(items, scope), inner(items, scope)
            if url is None or not found:
                return []
            scope.spend(len(found))
            verdicts = [ask(scope)(_raw(item), url) for item in found]
            if True not in verdicts and None in verdicts:
                raise Undetermined(f"FHIRPath: what {call.name}() asks for is not known here.")
            return [True in verdicts]

        return made(run, call.of, against)

    return build


def _refused(remedy: str) -> Build:
    def build(call: Call) -> Typed:
        raise UnsupportedExpression(f"FHIRPath: {call.name}() is not supported; {remedy}.")

    return build


_PROFILES: Final = "profiles are checked by the validator, not by expressions"

RESOURCES: Final[Mapping[str, Function]] = {
    "extension": Function(_extension, 1, 1),
    "hasValue": Function(_has_value),
    "getValue": Function(_get_value),
    "resolve": Function(_resolve),
    "memberOf": Function(_judged(lambda scope: scope.environment.member_of), 1, 1),
    "conformsTo": Function(_judged(lambda scope: scope.environment.conforms_to), 1, 1),
    "htmlChecks": Function(_refused("the validator checks narratives by rules of its own")),
    "htmlChecks2": Function(_refused("the validator checks narratives by rules of its own")),
    "elementDefinition": Function(_refused(_PROFILES)),
    "slice": Function(_refused(_PROFILES), 2, 2),
    "checkModifiers": Function(_refused(_PROFILES), 0, 99),
    "subsumes": Function(_refused("code systems are not searched by expressions"), 1, 1),
    "subsumedBy": Function(_refused("code systems are not searched by expressions"), 1, 1),
}
