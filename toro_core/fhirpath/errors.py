"""What compiling and evaluating an expression raises."""

from __future__ import annotations

from toro_core.errors import ToroError

__all__ = ["EvaluationFailed", "InvalidExpression", "Undetermined", "UnsupportedExpression"]


class InvalidExpression(ToroError):
    """The text is not a FHIRPath expression, or asks a type for what it does not have."""

    reason = "INVALID_EXPRESSION"
    issue = "invalid"


class UnsupportedExpression(ToroError):
    """The expression uses a part of FHIRPath that is not supported."""

    reason = "UNSUPPORTED_EXPRESSION"
    issue = "not-supported"


class EvaluationFailed(ToroError):
    """The expression cannot be evaluated on this input: FHIRPath calls it an error, or it costs too much."""

    reason = "EVALUATION_FAILED"
    issue = "processing"


class Undetermined(EvaluationFailed):
    """Whether the expression holds depends on a value set or profile that is not known."""
