"""Compile FHIRPath to closures over JSON values, typed from the definitions. http://hl7.org/fhirpath/N1/

What R4 search expressions use is compiled; the rest is refused by name. Extensions of primitive values are not seen, and a
union keeps duplicates. `resolve()` fetches nothing: the type that a reference names is all that can be asked of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from toro_core.definitions import Definitions
from toro_core.fhirpath.branches import Branch, Run, closure, filtered, merged, sealed, stepped
from toro_core.fhirpath.errors import InvalidExpression, UnsupportedExpression
from toro_core.fhirpath.logic import OPERATORS, equal, negation, truth, unequal
from toro_core.fhirpath.nodes import Binary, Call, Constant, Empty, Index, Member, Node, TypeTest, Variable
from toro_core.fhirpath.parser import parse

__all__ = ["Expression", "compile_expression"]

Branches: TypeAlias = tuple[Branch, ...]

_LITERALS = {bool: "boolean", str: "string", int: "integer"}
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
            "not": self._not,
            "resolve": self._resolve,
            "where": self._where,
        }

    def compile(self, node: Node, focus: Branches) -> Branches:
        match node:
            case Member(None, name) if name[:1].isupper():
                return self._of_type(focus, name)
            case Member(of, name):
                return self._member(self._operand(of, focus), name)
            case Call(of, "is" | "as" | "ofType" as name, (argument,)):
                test = self._is if name == "is" else self._of_type
                return test(self._operand(of, focus), _type_name(argument))
            case Call(of, "union", (other,)):
                return self._operand(of, focus) + self.compile(other, focus)
            case Call(of, name, arguments) if name in self._functions:
                return self._functions[name](self._operand(of, focus), arguments)
            case TypeTest("is", operand, type_):
                return self._is(self.compile(operand, focus), type_)
            case TypeTest("as", operand, type_):
                return self._of_type(self.compile(operand, focus), type_)
            case Binary("|", left, right):
                return self.compile(left, focus) + self.compile(right, focus)
            case Binary("=" | "!=" as operator, left, right):
                return self._equality(operator, self.compile(left, focus), self.compile(right, focus))
            case Binary(operator, left, right) if operator in OPERATORS:
                sides = merged(self.compile(left, focus)), merged(self.compile(right, focus))
                return _boolean(OPERATORS[operator](*sides))
            case Index(of, Constant(int(position))):
                return self._slice(self.compile(of, focus), position)
            case Constant(value) if type(value) in _LITERALS:
                return (Branch(type=_LITERALS[type(value)], run=lambda items: [value]),)
            case Empty():
                return ()
            case Variable("$this"):
                return focus
            case _:
                raise UnsupportedExpression(f"FHIRPath: {_named(node)} is not supported.")

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

    def _is(self, of: Branches, type_: str) -> Branches:
        tests = [(closure(branch), self._type_test(branch, type_)) for branch in of]

        def judge(items: list[Any]) -> list[Any]:
            verdicts = [test if isinstance(test, bool) else test(v) for run, test in tests for v in run(items)]
            return verdicts if len(verdicts) == 1 else []

        return _boolean(judge)

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

    def _equality(self, operator: str, left: Branches, right: Branches) -> Branches:
        sides = [{branch.type for branch in side} for side in (left, right)]
        primitive = all(self._is_primitive(type_) for type_ in sides[0] | sides[1])
        if not primitive or (sides[0] & _TEMPORALS and sides[1] & _TEMPORALS):
            raise UnsupportedExpression(f"FHIRPath: `{operator}` on dates or on complex types is not supported.")
        return _boolean((equal if operator == "=" else unequal)(merged(left), merged(right)))

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
                run = merged(self.compile(criterion, (Branch(type=branch.type),)))
                return lambda item: truth(run([item])) is True

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

    def _not(self, of: Branches, arguments: tuple[Node, ...]) -> Branches:
        _expect(arguments, 0, "not")
        return _boolean(negation(merged(of)))

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


def _type_name(node: Node) -> str:
    match node:
        case Member(None, name):
            return name
        case Member(of, name) if of is not None:
            return f"{_type_name(of)}.{name}"
        case _:
            raise InvalidExpression("FHIRPath: a type has to be named here.")


def _short(type_: str) -> str:
    if type_.startswith("System."):
        raise UnsupportedExpression("FHIRPath: System types are not supported; name the FHIR type.")
    return type_.removeprefix("FHIR.")


def _named(node: Node) -> str:
    match node:
        case Call(_, name, _):
            return f"{name}()"
        case Binary(operator, _, _):
            return f"the operator `{operator}`"
        case _:
            return f"{type(node).__name__.lower()} here"
