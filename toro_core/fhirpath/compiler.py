"""Compile search expressions to branches. https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression

Steps, unions, type tests and filters become branches, so that a resource is walked once for all its parameters; whatever else
is computed goes to the engine. Extensions of primitive values are not seen, and a union keeps duplicates. `resolve()` fetches
nothing: the type that a reference names is all that can be asked of it. What depends on more than the resource is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from toro_core.definitions import Definitions
from toro_core.fhirpath.branches import Branch, Run, filtered, merged, sealed, stepped
from toro_core.fhirpath.building import truth
from toro_core.fhirpath.engine import Engine
from toro_core.fhirpath.environment import Environment, Scope
from toro_core.fhirpath.errors import InvalidExpression, UnsupportedExpression
from toro_core.fhirpath.nodes import (
    Binary,
    Call,
    Constant,
    Empty,
    External,
    Index,
    Member,
    Node,
    TypeTest,
    Variable,
    walk,
)
from toro_core.fhirpath.parser import parse
from toro_core.fhirpath.type_tests import type_name
from toro_core.fhirpath.typed import Typed, given
from toro_core.fhirpath.values import BOOLEAN, DECIMAL, INTEGER, STRING, Element, Item

__all__ = ["Expression", "compile_expression"]

Branches: TypeAlias = tuple[Branch, ...]

_SYSTEM = {BOOLEAN: "boolean", STRING: "string", INTEGER: "integer", DECIMAL: "decimal"}
_OUTSIDE = frozenset({"conformsTo", "memberOf", "now", "resolve", "timeOfDay", "today"})
"""Functions whose answer depends on more than the resource, so that it cannot be indexed."""
_NOTHING = Environment()
_TEMPORALS = frozenset({"date", "dateTime", "instant", "time"})
_RESOLVED = "resolve()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A compiled expression; `branches` are all types its values can have, none where it cannot hold for the input type."""

    text: str
    branches: Branches

    def __call__(self, item: Any) -> list[Any]:
        """Return the expression's values for one input."""
        return merged(self.branches)([item])


def compile_expression(text: str, type_: str, definitions: Definitions) -> Expression:
    """Compile for inputs of this type. Raises InvalidExpression, UnsupportedExpression."""
    branches = _Compiler(definitions).compile(parse(text), (Branch(type=type_),))
    return Expression(text=text, branches=branches)


class _Compiler:
    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._functions: dict[str, Callable[[Branches, tuple[Node, ...]], Branches]] = {
            "empty": self._empty,
            "exists": self._exists,
            "extension": self._extension,
            "first": self._first,
            "resolve": self._resolve,
            "where": self._where,
        }

    def compile(self, node: Node, focus: Branches) -> Branches:
        match node:
            case Member(None, name) if name[:1].isupper():
                return self._of_type(focus, name)
            case Member(of, name):
                return self._member(self._operand(of, focus), name)
            case Call(of, "as" | "ofType", (argument,)):
                return self._of_type(self._operand(of, focus), type_name(argument))
            case Call(of, "union", (other,)):
                return self._operand(of, focus) + self.compile(other, focus)
            case Call(of, name, arguments) if name in self._functions:
                return self._functions[name](self._operand(of, focus), arguments)
            case TypeTest("as", operand, type_):
                return self._of_type(self.compile(operand, focus), type_)
            case Binary("|", left, right):
                return self.compile(left, focus) + self.compile(right, focus)
            case Index(of, Constant(int(position))):
                return self._slice(self.compile(of, focus), position)
            case Empty():
                return ()
            case Variable("$this"):
                return focus
            case _:
                return self._computed(node, focus)

    def _operand(self, of: Node | None, focus: Branches) -> Branches:
        return focus if of is None else self.compile(of, focus)

    def _member(self, of: Branches, name: str) -> Branches:
        found = tuple(step for branch in of for step in self._step(branch, name))
        if of and not found:
            raise InvalidExpression(f"FHIRPath: {' and '.join(branch.type for branch in of)} has no element `{name}`.")
        return found

    def _step(self, branch: Branch, name: str) -> Branches:
        if branch.type == _RESOLVED:
            raise UnsupportedExpression("FHIRPath: elements of resolve() are not supported.")
        element = self._definitions.structure(branch.type).elements.get(name)
        if element is None:
            return ()
        steps = []
        for choice in element.choices:
            path, run = stepped(branch, choice.json_name)
            steps.append(
                Branch(
                    type=choice.type,
                    path=path,
                    run=run,
                    element=f"{branch.type}.{name}",
                    value_set=element.value_set,
                    repeats=branch.repeats or element.max != 1,
                )
            )
        return tuple(steps)

    def _of_type(self, of: Branches, type_: str) -> Branches:
        found = []
        for branch in of:
            test = self._type_test(branch, type_)
            if test is True:
                found.append(branch)
            elif test is not False:
                found.append(replace(branch, type=_short(type_), run=filtered(branch, test)))
        return tuple(found)

    def _type_test(self, branch: Branch, type_: str) -> bool | Callable[[Any], bool]:
        """Decide whether the branch's values are of the type, at once where their static type says it."""
        name = _short(type_)
        is_a = self._definitions.is_a
        if branch.type == _RESOLVED:
            types = frozenset(type_ for type_ in self._definitions.resource_types if is_a(type_, name))
            return lambda value: self._referenced_type(value) in types
        if branch.type == name or is_a(branch.type, name):
            return True
        if is_a(name, branch.type) and is_a(name, "Resource"):
            return lambda value: is_a(value.get("resourceType", ""), name)
        return False

    def _referenced_type(self, value: Any) -> str | None:
        if isinstance(value, str):
            return self._type_in(value)
        return self._type_in(value.get("reference", "")) or value.get("type")

    def _type_in(self, reference: str) -> str | None:
        """Return the type that an address such as `BASE/Patient/1/_history/2` names."""
        parts = reference.partition("/_history/")[0].rsplit("/", 2)
        return parts[-2] if len(parts) > 1 and parts[-2] in self._definitions.resource_types else None

    def _computed(self, node: Node, focus: Branches) -> Branches:
        (branch,) = focus
        typed = self._engine(node, branch)
        type_ = _SYSTEM.get(typed.type or "", typed.type)
        if type_ is None or type_.startswith("System."):
            raise UnsupportedExpression(
                "FHIRPath: computed values of several types, dates or quantities cannot be searched."
            )
        compute = typed.run

        def run(items: list[Any]) -> list[Any]:
            return [value for item in compute(items, Scope(_NOTHING, items)) if (value := _raw(item)) is not None]

        return (Branch(type=type_, run=run, repeats=typed.many),)

    def _engine(self, node: Node, branch: Branch) -> Typed:
        for found in walk(node):
            if isinstance(found, External) or (isinstance(found, Call) and found.name in _OUTSIDE):
                raise UnsupportedExpression(f"FHIRPath: what {_named(found)} says cannot be indexed.")
        if branch.type == _RESOLVED:
            raise UnsupportedExpression("FHIRPath: elements of resolve() are not supported.")
        engine = Engine(self._definitions, resource=branch.type, context=branch.type, strict=False)
        return engine.compile(node, given(branch.type, many=False))

    def _is_primitive(self, type_: str) -> bool:
        return type_ != _RESOLVED and self._definitions.structure(type_).kind == "primitive"

    def _slice(self, of: Branches, position: int) -> Branches:
        if len(of) > 1:
            raise UnsupportedExpression("FHIRPath: a position in a collection of several types is not supported.")
        return tuple(
            replace(branch, path=(), run=sealed(branch, lambda items: items[position : position + 1]), repeats=False)
            for branch in of
        )

    def _first(self, of: Branches, arguments: tuple[Node, ...]) -> Branches:
        _expect(arguments, 0, "first")
        return self._slice(of, 0)

    def _where(self, of: Branches, arguments: tuple[Node, ...]) -> Branches:
        (criterion,) = _expect(arguments, 1, "where")
        return tuple(
            replace(branch, run=filtered(branch, self._holds(branch, criterion)), target=_target(branch, criterion))
            for branch in of
        )

    def _holds(self, branch: Branch, criterion: Node) -> Callable[[Any], bool]:
        match criterion:  # the first two are nearly all there are and worth a way without collections
            case TypeTest("is", Call(None, "resolve", ()), type_):
                test = self._type_test(replace(branch, type=_RESOLVED), type_)
                return test if callable(test) else lambda _: test
            case Binary("=", Member(None, name), Constant(str(text))) if member := self._text(branch, name):
                return lambda item: item.get(member) == text
            case _:
                compute = self._engine(criterion, branch).run
                return lambda item: truth(compute([item], Scope(_NOTHING, [item]))) is True

    def _text(self, branch: Branch, name: str) -> str | None:
        """Return the JSON member of an element that is at most one string."""
        element = None if branch.type == _RESOLVED else self._definitions.structure(branch.type).elements.get(name)
        if element is None or element.max != 1 or len(element.choices) != 1:
            return None
        (choice,) = element.choices
        textual = self._is_primitive(choice.type) and choice.type not in _TEMPORALS
        return choice.json_name if textual else None

    def _exists(self, of: Branches, arguments: tuple[Node, ...]) -> Branches:
        run = merged(self._where(of, arguments) if arguments else of)
        return _boolean(lambda items: [bool(run(items))])

    def _empty(self, of: Branches, arguments: tuple[Node, ...]) -> Branches:
        _expect(arguments, 0, "empty")
        run = merged(of)
        return _boolean(lambda items: [not run(items)])

    def _extension(self, of: Branches, arguments: tuple[Node, ...]) -> Branches:
        (url,) = _expect(arguments, 1, "extension")
        if not isinstance(url, Constant):
            raise UnsupportedExpression("FHIRPath: extension() is supported for a literal address only.")
        return self._where(self._member(of, "extension"), (Binary("=", Member(None, "url"), url),))

    def _resolve(self, of: Branches, arguments: tuple[Node, ...]) -> Branches:
        _expect(arguments, 0, "resolve")
        return tuple(replace(branch, type=_RESOLVED) for branch in of)


def _target(branch: Branch, criterion: Node) -> str | None:
    match criterion:
        case TypeTest("is", Call(None, "resolve", ()), type_) if branch.run is None and branch.type == "Reference":
            return _short(type_)
        case _:
            return None


def _boolean(run: Run) -> Branches:
    return (Branch(type="boolean", run=run),)


def _expect(arguments: tuple[Node, ...], count: int, name: str) -> tuple[Node, ...]:
    if len(arguments) != count:
        raise InvalidExpression(f"FHIRPath: {name}() takes {count} arguments.")
    return arguments


def _short(type_: str) -> str:
    if type_.startswith("System."):
        raise UnsupportedExpression("FHIRPath: System types are not supported; name the FHIR type.")
    return type_.removeprefix("FHIR.")


def _raw(item: Item) -> Any:
    return item.value if type(item) is Element else item


def _named(node: Node) -> str:
    return f"{node.name}()" if isinstance(node, Call) else f"%{getattr(node, 'name', '')}"
