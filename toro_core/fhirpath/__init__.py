"""FHIRPath 2.0 for R4: http://hl7.org/fhirpath/N1/ and http://hl7.org/fhir/R4/fhirpath.html"""

from toro_core.fhirpath.environment import Environment
from toro_core.fhirpath.errors import EvaluationFailed, InvalidExpression, UnsupportedExpression
from toro_core.fhirpath.invariants import Invariant, compile_invariant
from toro_core.fhirpath.values import Element

__all__ = [
    "Element",
    "Environment",
    "EvaluationFailed",
    "InvalidExpression",
    "Invariant",
    "UnsupportedExpression",
    "compile_invariant",
]
