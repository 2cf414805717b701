"""What the functions of FHIRPath are built with: the contract between the compiler and the modules of functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.errors import EvaluationFailed, InvalidExpression
from toro_core.fhirpath.navigation import Navigation
from toro_core.fhirpath.nodes import Node
from toro_core.fhirpath.typed import Run, Typed, given, made
from toro_core.fhirpath.types import Read, Types
from toro_core.fhirpath.values import Element, Items, Value

__all__ = ["Build", "Building", "Call", "Function", "at_most_one", "each", "single", "truth", "valued"]


class Building(Protocol):
    """The compiler as functions see it."""

    @property
    def types(self) -> Types:
        """The type system."""
        ...

    @property
    def navigation(self) -> Navigation:
        """What compiles steps."""
        ...

    @property
    def strict(self) -> bool:
        """Whether `as` refuses several values."""
        ...

    def compile(self, node: Node, this: Typed) -> Typed:
        """Compile an expression for this input."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call to compile: `of.name(arguments)`. Arguments that are not evaluated for each item are so for `this`."""

    building: Building
    name: str
    of: Typed
    arguments: tuple[Node, ...]
    this: Typed

    @property
    def types(self) -> Types:
        """The type system."""
        return self.building.types

    def argument(self, position: int) -> Typed:
        """Compile an argument that is evaluated once, for the input of the whole call."""
        return self.building.compile(self.arguments[position], self.this)

    def criterion(self, position: int = 0) -> Typed:
        """Compile an argument that is evaluated for each item, which is its `$this`."""
        return self.building.compile(self.arguments[position], given(self.of.type, many=False))

    def read(self, operand: Typed) -> Run:
        """Return what computes the values of an operand."""
        return valued(self.types, operand)

    def described(self, *operands: Typed) -> tuple[list[Run], str | None]:
        """Return the operands' closures and one type for all; where types differ, their items say them themselves."""
        known = {operand.type for operand in operands}
        if len(known) == 1:
            return [operand.run for operand in operands], known.pop()
        return [self.describe(operand) for operand in operands], None

    def describe(self, operand: Typed) -> Run:
        """Return what computes the operand's items so that they say their types themselves."""
        then, run = self.types.described(operand.type), operand.run
        if then is None:
            return run
        described = then
        return lambda items, scope: described(run(items, scope))

    def reader(self, type_: str | None) -> Read:
        """Return what reads an item of a type."""
        return self.types.reader(type_) or _same


Build: TypeAlias = "Callable[[Call], Typed]"


@dataclass(frozen=True, slots=True)
class Function:
    """A function: how it is compiled and how many arguments it takes."""

    build: Build
    least: int = 0
    most: int = 0

    def __call__(self, call: Call) -> Typed:
        """Compile a call. Raises InvalidExpression for a wrong number of arguments."""
        if not self.least <= len(call.arguments) <= self.most:
            takes = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            raise InvalidExpression(f"FHIRPath: {call.name}() takes {takes} arguments.")
        return self.build(call)


def valued(types: Types, operand: Typed) -> Run:
    """Return what computes the values of an operand, leaving out items that have none."""
    read, run = types.reader(operand.type), operand.run
    if read is None:
        return run
    reading = read
    return lambda items, scope: [v for item in run(items, scope) if (v := reading(item)) is not None]


def truth(items: Items) -> bool | None:
    """Evaluate as one Boolean: a single value that is not a Boolean is true. Raises EvaluationFailed for several."""
    if not items:
        return None
    if len(items) > 1:
        raise EvaluationFailed("FHIRPath: several values where one Boolean is needed; use exists() or all().")
    value = items[0]
    if type(value) is Element:
        value = value.value
    return value if type(value) is bool or value is None else True


def at_most_one(items: Items, what: str) -> Any:
    """Return the only item or value, None where there is none. Raises EvaluationFailed for several."""
    if len(items) > 1:
        raise EvaluationFailed(f"FHIRPath: {what} takes one value, not several.")
    return items[0] if items else None


def single(call: Call, operand: Typed) -> Callable[[Items, Scope], Value]:
    """Return what computes an operand's only value, None where there is none."""
    run, what = call.read(operand), f"{call.name}()"
    return lambda items, scope: at_most_one(run(items, scope), what)


def each(typed: Typed, run: Run, *arguments: Typed, many: bool | None = None) -> Typed:
    """Return the operand with a closure that lets some of its items through."""
    found = made(run, typed, *arguments, type_=typed.type, many=typed.many if many is None else many)
    return replace(found, alternatives=typed.alternatives)


def _same(item: Any) -> Any:
    return item
