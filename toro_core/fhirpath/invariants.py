"""Constraints of StructureDefinitions: https://hl7.org/fhir/R4/conformance-rules.html#constraints

A constraint holds where its expression is true. An empty result does not hold, as in HL7's validator, which evaluates
constraints as Booleans.
"""

from __future__ import annotations

from typing import Final

from toro_core.definitions import Definitions
from toro_core.fhirpath.building import truth
from toro_core.fhirpath.engine import Engine
from toro_core.fhirpath.environment import Environment, Scope
from toro_core.fhirpath.errors import EvaluationFailed, Undetermined
from toro_core.fhirpath.parser import parse
from toro_core.fhirpath.typed import Run, given
from toro_core.fhirpath.values import Item

__all__ = ["Invariant", "compile_invariant"]


class Invariant:
    """A compiled constraint."""

    __slots__ = ("_run", "text")

    def __init__(self, text: str, run: Run) -> None:
        self.text: Final = text
        self._run = run

    def __call__(self, node: Item, environment: Environment) -> bool | None:
        """Say whether the constraint holds for an element; None where a value set or profile it asks for is not known.

        The node is the JSON value, of the type the constraint was compiled for. A primitive with a `_sibling` comes as
        `Element(value, type, sibling)`, one without as its bare value. Raises EvaluationFailed.
        """
        items = [node]
        context = items if environment.context is None else [environment.context]
        try:
            return truth(self._run(items, Scope(environment, context))) is True
        except Undetermined:
            return None
        except (AttributeError, TypeError) as error:
            raise EvaluationFailed(
                "FHIRPath: the element has not the structure of its type; correct that first."
            ) from error


def compile_invariant(expression: str, type_name: str, definitions: Definitions, *, lenient: bool = False) -> Invariant:
    """Compile a constraint on elements of a type, `Patient.contact` or `HumanName`.

    Raises InvalidExpression and UnsupportedExpression, the latter for what the validator has to check by itself. When
    lenient, an element that the type does not have is empty and no error: a constraint on `value[x]` is compiled for each of
    its types, and not all have the elements that it names.
    """
    root = type_name.partition(".")[0]
    resource = root if root in definitions.resource_types else "Resource"
    engine = Engine(definitions, resource=resource, context=type_name, strict=False, lenient=lenient)
    return Invariant(expression, engine.compile(parse(expression), given(type_name, many=False)).run)
