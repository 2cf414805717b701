"""Functions of one value: what they take, what they answer, and how a table of them becomes functions to call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

from toro_core.fhirpath.building import Build, Call, Function, single
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.errors import EvaluationFailed, InvalidExpression
from toro_core.fhirpath.quantities import Quantity
from toro_core.fhirpath.temporal import Temporal
from toro_core.fhirpath.typed import made
from toro_core.fhirpath.types import is_system
from toro_core.fhirpath.values import DECIMAL, INTEGER, QUANTITY, STRING, Items, Value

__all__ = ["ANYTHING", "MAX_TEXT", "NUMBERS", "NUMERIC", "TEXT", "Taken", "bounded", "scalar"]

MAX_TEXT: Final = 1_000_000
"""No function makes longer texts than this."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a function takes: the Python types of values, and the static types that can hold them."""

    name: str
    python: tuple[type, ...]
    system: frozenset[str]
    fhir: frozenset[str] | None = None
    """None stands for every primitive type that is not listed elsewhere: texts."""


_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt", "decimal"})
_OTHERS: Final = _NUMBERS | {"boolean", "date", "dateTime", "instant", "time"}

TEXT: Final = Taken("a string", (str,), frozenset({STRING}))
NUMBERS: Final = Taken("a number", (int, Decimal), frozenset({INTEGER, DECIMAL}), _NUMBERS)
NUMERIC: Final = Taken(
    "a number or quantity", (int, Decimal, Quantity), frozenset({INTEGER, DECIMAL, QUANTITY}), _NUMBERS
)
ANYTHING: Final = Taken("a value", (bool, int, Decimal, str, Quantity, Temporal), frozenset(), frozenset())

Apply: TypeAlias = "Callable[..., Value]"
"""Takes the value and the arguments; answers with a value, a list of values, or None for nothing."""


def scalar(
    taken: Taken, returns: str | None, apply: Apply, *arguments: Taken, optional: int = 0, scoped: bool = False
) -> Function:
    """Return a function that is empty where the value or an argument is; with `scoped`, `apply` takes the scope first."""
    return Function(_build(taken, returns, apply, arguments, scoped), len(arguments) - optional, len(arguments))


def bounded(length: int) -> None:
    """Raise EvaluationFailed for a text that would be too long."""
    if length > MAX_TEXT:
        raise EvaluationFailed(f"FHIRPath: the evaluation makes a text of more than {MAX_TEXT} characters.")


def _build(taken: Taken, returns: str | None, apply: Apply, kinds: tuple[Taken, ...], scoped: bool) -> Build:
    def build(call: Call) -> Any:
        _refuse(call, taken)
        operands = [call.argument(at) for at in range(len(call.arguments))]
        one, given = single(call, call.of), [single(call, operand) for operand in operands]
        checks = tuple(zip(given, kinds, strict=False))

        def run(items: Items, scope: Scope) -> Items:
            value = one(items, scope)
            if value is None:
                return []
            arguments = [argument(items, scope) for argument, _ in checks]
            if None in arguments:
                return []
            _check(call.name, value, taken)
            for argument, (_, kind) in zip(arguments, checks, strict=True):
                _check(call.name, argument, kind)
            answer = apply(scope, value, *arguments) if scoped else apply(value, *arguments)
            return [] if answer is None else answer if type(answer) is list else [answer]

        return made(run, call.of, *operands, type_=returns, many=returns in (None, STRING))

    return build


def _check(name: str, value: Value, taken: Taken) -> None:
    if not isinstance(value, taken.python) or (type(value) is bool and bool not in taken.python):
        raise EvaluationFailed(f"FHIRPath: {name}() needs {taken.name}.")


def _refuse(call: Call, taken: Taken) -> None:
    """Refuse a call on values that by their static type cannot be what the function takes."""
    type_ = call.of.type
    if type_ is None or taken is ANYTHING:
        return
    if is_system(type_):
        fits = type_ in taken.system
    elif call.types.is_primitive(type_):
        fits = type_ in taken.fhir if taken.fhir is not None else type_ not in _OTHERS
    else:
        fits = Quantity in taken.python and call.types.is_a(type_, "Quantity")
    if not fits:
        raise InvalidExpression(f"FHIRPath: {call.name}() needs {taken.name}, not {type_}.")
