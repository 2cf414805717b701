"""Validation of resources against the definitions."""

from __future__ import annotations

from toro_core.validation.structure import check
from toro_core.validation.validator import Policy, Report, Validator

__all__ = ["Policy", "Report", "Validator", "check"]
