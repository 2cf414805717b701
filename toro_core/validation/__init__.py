"""Validation of resources against the definitions."""

from __future__ import annotations

from toro_core.validation.structure import check

__all__ = ["check"]
