"""FHIRPath 2.0 for R4: http://hl7.org/fhirpath/N1/ and http://hl7.org/fhir/R4/fhirpath.html"""

from toro_core.fhirpath.environment import Environment
from toro_core.fhirpath.errors import EvaluationFailed, InvalidExpression, UnsupportedExpression
from toro_core.fhirpath.evaluation import Answer, Query, compile_query, evaluate
from toro_core.fhirpath.invariants import Invariant, compile_invariant
from toro_core.fhirpath.values import Element

__all__ = [
    "Answer",
    "Element",
    "Environment",
    "EvaluationFailed",
    "InvalidExpression",
    "Invariant",
    "Query",
    "UnsupportedExpression",
    "compile_invariant",
    "compile_query",
    "evaluate",
]
