"""Evaluate any expression on any resource, strictly as FHIRPath says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from toro_core.definitions import Definitions
from toro_core.fhirpath.engine import Engine
from toro_core.fhirpath.environment import Environment, Scope
from toro_core.fhirpath.errors import EvaluationFailed, InvalidExpression
from toro_core.fhirpath.parser import parse
from toro_core.fhirpath.quantities import Quantity
from toro_core.fhirpath.temporal import Temporal
from toro_core.fhirpath.typed import Run, given
from toro_core.fhirpath.types import Types
from toro_core.fhirpath.values import Element, Item
from toro_core.json import JsonObject, JsonValue

__all__ = ["Answer", "Query", "compile_query", "evaluate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A value that an expression has: its type, `code` or `System.Integer`, and itself as JSON.

    Dates and times of the system are their text, quantities an object of value and unit. `sibling` stands beside a primitive.
    """

    type: str
    value: JsonValue
    sibling: JsonObject | None = None


class Query:
    """A compiled expression."""

    __slots__ = ("_run", "_static", "_types", "text")

    def __init__(self, text: str, run: Run, static: str | None, types: Types) -> None:
        self.text: Final = text
        self._run = run
        self._static = static
        self._types = types

    def __call__(self, node: Item, environment: Environment) -> list[Answer]:
        """Return the values for an input of the type it was compiled for. Raises EvaluationFailed."""
        context = [node if environment.context is None else environment.context]
        try:
            items = self._run([node], Scope(environment, context))
        except (AttributeError, TypeError) as error:
            raise EvaluationFailed(
                "FHIRPath: the input has not the structure of its type; correct that first."
            ) from error
        return [self._answer(item) for item in items]

    def _answer(self, item: Item) -> Answer:
        type_ = self._types.type_of(item, self._static)
        if type(item) is Element:
            return Answer(type=type_, value=item.value, sibling=item.sibling)
        if type(item) is Temporal:
            return Answer(type=type_, value=str(item))
        if type(item) is Quantity:
            return Answer(type=type_, value={"value": item.value, "unit": item.unit})
        return Answer(type=type_, value=item)


def compile_query(expression: str, type_name: str, definitions: Definitions) -> Query:
    """Compile for inputs of this type. Raises InvalidExpression, UnsupportedExpression."""
    root = type_name.partition(".")[0]
    resource = root if root in definitions.resource_types else "Resource"
    engine = Engine(definitions, resource=resource, context=type_name, strict=True)
    compiled = engine.compile(parse(expression), given(type_name, many=False))
    return Query(expression, compiled.run, compiled.type, engine.types)


def evaluate(
    expression: str, resource: JsonObject, definitions: Definitions, environment: Environment | None = None
) -> list[Answer]:
    """Return the values of an expression on a resource, which is `%resource` too unless the environment has another.

    Raises InvalidExpression, UnsupportedExpression, EvaluationFailed.
    """
    type_name = resource.get("resourceType")
    if not isinstance(type_name, str) or type_name not in definitions.resource_types:
        raise InvalidExpression("FHIRPath: the input is no resource of a known type.")
    surroundings = environment or Environment()
    if surroundings.resource is None:
        surroundings = replace(surroundings, resource=resource)
    return compile_query(expression, type_name, definitions)(resource, surroundings)
