"""Type tests: http://hl7.org/fhirpath/N1/#types

`is` holds for types that derive from the one named. `as` and `ofType` let through derived complex types too, but of primitive
types only the very one: a `code` is a `string` and yet `gender.ofType(string)` is empty, as the official tests have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from toro_core.fhirpath.building import Building, Call, Function, at_most_one, each
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.errors import InvalidExpression
from toro_core.fhirpath.nodes import Call as CallNode
from toro_core.fhirpath.nodes import Member, Node
from toro_core.fhirpath.resources import referenced
from toro_core.fhirpath.typed import Typed, made
from toro_core.fhirpath.types import is_system
from toro_core.fhirpath.values import TYPE_INFO, Element, Item, Items

__all__ = ["TYPES", "as_type", "is_type", "of_type", "type_name"]


def is_type(building: Building, operand: Node, name: str, this: Typed) -> Typed:
    """Compile `operand is name`. Of `resolve()` the type that the reference names is enough."""
    types, wanted = building.types, building.types.named(name)
    if isinstance(operand, CallNode) and operand.name == "resolve" and not operand.arguments:
        of = referenced(building, this if operand.of is None else building.compile(operand.of, this))
    else:
        of = building.compile(operand, this)
    inner, static = of.run, of.type

    def run(items: Items, scope: Scope) -> Items:
        item = at_most_one(inner(items, scope), "`is`")
        if item is None:
            return []
        type_ = types.type_of(item, static)
        return [any(types.is_a(type_, one) for one in wanted)]

    return made(run, of)


def as_type(building: Building, operand: Node, name: str, this: Typed) -> Typed:
    """Compile `operand as name`."""
    found = of_type(building, operand, name, this)
    if not building.strict or not found.many:
        return found
    inner = found.run

    def run(items: Items, scope: Scope) -> Items:
        kept = inner(items, scope)
        at_most_one(kept, "`as`")
        return kept

    return each(found, run, many=False)


def of_type(building: Building, operand: Node, name: str, this: Typed) -> Typed:
    """Compile `operand.ofType(name)`."""
    types, wanted = building.types, building.types.named(name)
    accepts = _acceptance(building, wanted)
    of = _narrowed(building, operand, accepts, this)
    if of.type is not None and not types.is_open(of.type):
        return of if accepts(of.type) else made(lambda items, scope: [], of, type_=wanted[0])
    static, inner = of.type, of.run
    type_ = wanted[0] if len(wanted) == 1 and not is_system(wanted[0]) else None
    primitive = types.is_primitive(type_)

    def run(items: Items, scope: Scope) -> Items:
        kept = [item for item in inner(items, scope) if accepts(types.type_of(item, static))]
        return kept if type_ is None else [_bare(item, primitive=primitive) for item in kept]

    return made(run, of, type_=type_, many=of.many)


def type_name(node: Node) -> str:
    """Return the type specifier that an argument is. Raises InvalidExpression for anything else."""
    match node:
        case Member(None, name):
            return name
        case Member(of, name) if of is not None:
            return f"{type_name(of)}.{name}"
        case _:
            raise InvalidExpression("FHIRPath: a type has to be named here.")


def _type(call: Call) -> Typed:
    inner, static, types = call.of.run, call.of.type, call.types

    def run(items: Items, scope: Scope) -> Items:
        return [_information(types.type_of(item, static)) for item in inner(items, scope)]

    return made(run, call.of, type_=TYPE_INFO, many=call.of.many)


def _information(type_: str) -> dict[str, str]:
    namespace = "System" if is_system(type_) else "FHIR"
    return {"namespace": namespace, "name": type_.removeprefix("System.")}


TYPES: Final[Mapping[str, Function]] = {"type": Function(_type)}


def _narrowed(building: Building, operand: Node, accepts: Callable[[str], bool], this: Typed) -> Typed:
    """Compile the operand, of a choice element only what can be of the type."""
    if not isinstance(operand, Member) or (operand.of is None and building.types.structure(operand.name)):
        return building.compile(operand, this)
    of = this if operand.of is None else building.compile(operand.of, this)
    chosen = building.navigation.choices(of.type, operand.name) > 1
    return building.navigation.member(of, operand.name, accepts if chosen else None)


def _acceptance(building: Building, wanted: tuple[str, ...]) -> Callable[[str], bool]:
    types = building.types

    def accepts(type_: str) -> bool:
        return any(type_ == one or (not types.is_primitive(one) and types.is_a(type_, one)) for one in wanted)

    return accepts


def _bare(item: Item, *, primitive: bool) -> Any:
    """Take the type off an item where the static type says it."""
    return item.value if type(item) is Element and not (primitive and item.sibling) else item
