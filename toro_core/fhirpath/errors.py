"""What compiling an expression raises."""

from __future__ import annotations

from toro_core.errors import ToroError

__all__ = ["InvalidExpression", "UnsupportedExpression"]


class InvalidExpression(ToroError):
    """The text is not a FHIRPath expression."""

    reason = "INVALID_EXPRESSION"
    issue = "invalid"


class UnsupportedExpression(ToroError):
    """The expression uses a part of FHIRPath that is not supported."""

    reason = "UNSUPPORTED_EXPRESSION"
    issue = "not-supported"
