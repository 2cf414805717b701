"""Compile FHIRPath to closures over JSON, typed from the definitions. http://hl7.org/fhirpath/N1/

What a type does not have is refused when compiling, as far as static types can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from toro_core.definitions import Definitions
from toro_core.fhirpath import operators
from toro_core.fhirpath.building import Call, Function, each
from toro_core.fhirpath.combining import COMBINING, contained, indexed, union
from toro_core.fhirpath.conversions import CONVERSIONS
from toro_core.fhirpath.dates import DATES
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.errors import EvaluationFailed, InvalidExpression, UnsupportedExpression
from toro_core.fhirpath.existence import EXISTENCE
from toro_core.fhirpath.navigation import Navigation
from toro_core.fhirpath.nodes import (
    Binary,
    Constant,
    Empty,
    External,
    Index,
    Member,
    Node,
    Sign,
    Temporal,
    TypeTest,
    Variable,
)
from toro_core.fhirpath.nodes import Call as CallNode
from toro_core.fhirpath.numbers import MATH
from toro_core.fhirpath.projection import PROJECTION, mentions
from toro_core.fhirpath.quantities import Quantity
from toro_core.fhirpath.resources import RESOURCES
from toro_core.fhirpath.strings import STRINGS
from toro_core.fhirpath.temporal import parse_date_time, parse_time
from toro_core.fhirpath.trees import TREES
from toro_core.fhirpath.type_tests import TYPES, as_type, is_type, of_type, type_name
from toro_core.fhirpath.typed import NOTHING, Typed, constant, made
from toro_core.fhirpath.types import Types
from toro_core.fhirpath.values import BOOLEAN, DECIMAL, INTEGER, QUANTITY, STRING, Items

__all__ = ["Engine"]

_FUNCTIONS: Final[Mapping[str, Function]] = {
    **EXISTENCE,
    **PROJECTION,
    **COMBINING,
    **STRINGS,
    **MATH,
    **CONVERSIONS,
    **DATES,
    **TREES,
    **TYPES,
    **RESOURCES,
}
_TYPE_FUNCTIONS: Final = {"is": is_type, "as": as_type, "ofType": of_type}
_TERMINOLOGIES: Final = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_MAX_NODES: Final = 20_000
"""Parts of an expression that are compiled at most; what a loop repeats may be compiled for several types."""
_NAMED: Final = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}
_LITERALS: Final = {bool: BOOLEAN, int: INTEGER, Decimal: DECIMAL, str: STRING, Quantity: QUANTITY}


class Engine:
    """Compiles expressions; made from the definitions.

    `resource` is the static type of `%resource`, `context` that of `%context`. When `strict`, `as` refuses several values and
    `DateTime` is not FHIR's `dateTime`, as FHIRPath says; R4's own constraints mean more. When `lenient`, elements that a type
    does not have are empty.
    """

    def __init__(
        self, definitions: Definitions, *, resource: str, context: str, strict: bool, lenient: bool = False
    ) -> None:
        self.types: Final = Types(definitions, strict=strict)
        self.navigation: Final = Navigation(self.types, lenient=lenient)
        self.strict: Final = strict
        self._resource = resource
        self._context = context
        self._left = _MAX_NODES

    def compile(self, node: Node, this: Typed) -> Typed:
        """Compile an expression for this input. Raises InvalidExpression, UnsupportedExpression."""
        self._left -= 1
        if self._left < 0:
            raise UnsupportedExpression("FHIRPath: the expression is too large; split it.")
        typed = self._compile(node, this)
        if typed.constant and typed.costly and not mentions(node, "$total"):
            return _remembered(typed)
        return typed

    def _compile(self, node: Node, this: Typed) -> Typed:
        match node:
            case Constant():
                return _literal(node)
            case Member(None, name) if self._names_type(this, name):
                return self._type_root(this, name)
            case Member(of, name):
                return self.navigation.member(self._operand(of, this), name)
            case CallNode(of, name, arguments):
                return self._call(of, name, arguments, this)
            case Index(of, position):
                return indexed(self._of("[]", self.compile(of, this), (position,), this))
            case TypeTest(operator, operand, type_):
                return _TYPE_FUNCTIONS[operator](self, operand, type_, this)
            case Binary("|", left, right):
                return union(self._of("|", self.compile(left, this), (right,), this))
            case Binary("in", left, right):
                return contained(self._of("in", self.compile(left, this), (right,), this))
            case Binary("contains", left, right):
                return contained(self._of("contains", self.compile(right, this), (left,), this))
            case Binary(operator, left, right):
                return self._binary(operator, self.compile(left, this), right, this)
            case Sign(sign, operand):
                return operators.signed(self.types, sign, self.compile(operand, this))
            case Variable("$this"):
                return this
            case Variable("$index"):
                return Typed(run=lambda items, scope: [scope.index], type=INTEGER, many=False)
            case Variable():
                return Typed(run=lambda items, scope: scope.total, type=None)
            case External(name):
                return self._external(name)
            case Empty():
                return NOTHING

    def _binary(self, operator: str, left: Typed, right: Node, this: Typed) -> Typed:
        run = operators.equals_text(self.types, left, right) if operator == "=" else None
        return made(run, left) if run else operators.binary(self.types, operator, left, self.compile(right, this))

    def _operand(self, of: Node | None, this: Typed) -> Typed:
        return this if of is None else self.compile(of, this)

    def _of(self, name: str, of: Typed, arguments: tuple[Node, ...], this: Typed) -> Call:
        return Call(building=self, name=name, of=of, arguments=arguments, this=this)

    def _call(self, of: Node | None, name: str, arguments: tuple[Node, ...], this: Typed) -> Typed:
        operand = of if of is not None else Variable("$this")
        if name in _TYPE_FUNCTIONS and len(arguments) == 1:
            return _TYPE_FUNCTIONS[name](self, operand, type_name(arguments[0]), this)
        function = _FUNCTIONS.get(name)
        if function is None:
            raise UnsupportedExpression(f"FHIRPath: {name}() is not supported.")
        return function(self._of(name, self.compile(operand, this), arguments, this))

    def _names_type(self, this: Typed, name: str) -> bool:
        return name[:1].isupper() and self.types.structure(name) is not None

    def _type_root(self, this: Typed, name: str) -> Typed:
        """Compile the name of the input's type at the start of a path."""
        if this.type is not None and self.types.is_a(this.type, name):
            return this
        if self.types.is_open(this.type):
            return of_type(self, Variable("$this"), name, this)
        raise InvalidExpression(f"FHIRPath: the input is {this.type}, not {name}.")

    def _external(self, name: str) -> Typed:
        if name == "resource":
            return _variable(lambda scope: scope.environment.resource, self._resource)
        if name == "rootResource":
            return _variable(lambda scope: scope.environment.root_resource or scope.environment.resource, "Resource")
        if name == "context":
            return Typed(run=lambda items, scope: scope.context, type=self._context, many=False)
        if name in _TERMINOLOGIES:
            return constant([_TERMINOLOGIES[name]], STRING)
        for prefix, base in _NAMED.items():
            if name.startswith(prefix):
                return constant([base + name.removeprefix(prefix)], STRING)
        return Typed(run=_given(name), type=None, constant=True)


def _literal(node: Constant) -> Typed:
    value = node.value
    if not isinstance(value, Temporal):
        return constant([value], _LITERALS[type(value)])
    read = parse_time if value.text.startswith("T") else parse_date_time
    parsed = read(value.text)
    if parsed is None:
        raise InvalidExpression(f"FHIRPath: there is no such date or time as @{value.text}.")
    return constant([parsed], f"System.{parsed.kind}")


def _variable(value: Callable[[Scope], object], type_: str) -> Typed:
    def run(items: Items, scope: Scope) -> Items:
        found = value(scope)
        return [] if found is None else [found]

    return Typed(run=run, type=type_, many=False, constant=True)


def _given(name: str) -> Callable[[Items, Scope], Items]:
    def run(items: Items, scope: Scope) -> Items:
        try:
            value = scope.environment.variables[name]
        except KeyError:
            raise EvaluationFailed(f"FHIRPath: there is no variable %{name}.") from None
        return value if isinstance(value, list) else [value]

    return run


def _remembered(typed: Typed) -> Typed:
    """Compute a costly value that depends on the environment only once in an evaluation."""
    identity, compute = object(), typed.run

    def run(items: Items, scope: Scope) -> Items:
        if scope.remembered is None:
            scope.remembered = {}
        if identity not in scope.remembered:
            scope.remembered[identity] = compute(items, scope)
        return scope.remembered[identity]

    return each(typed, run)
