"""The checks of one value that need no structure, and how what a profile demands is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from toro_core.validation.bindings import Binding, fits, leaves
from toro_core.validation.context import Context
from toro_core.validation.findings import Problem, Problems, joined
from toro_core.validation.members import LEAVES, ValueCheck
from toro_core.validation.patterns import pattern_test

__all__ = ["Wording", "all_of"]


class Wording:
    """Makes checks whose problems name the profile they are of."""

    __slots__ = ("_label",)

    def __init__(self, label: str) -> None:
        """Speak of the profile by `label`, its canonical with version."""
        self._label = label

    def fixed(self, fixed: Any) -> ValueCheck:
        """Ask for one value."""
        text = self.text(f"is not {_written(fixed)}; send that.")
        return lambda value, context: None if value == fixed else [Problem("value", text, layer="profile")]

    def pattern(self, pattern: Any) -> ValueCheck:
        """Ask for a value that contains the pattern."""
        text = self.text(f"lacks {_written(pattern)}; send it.")
        test = pattern_test(pattern)
        return lambda value, context: None if test(value) else [Problem("value", text, layer="profile")]

    def bound(self, bound: Binding) -> ValueCheck:
        """Ask for a code of a value set, and say where that cannot be judged."""
        if not bound.known:
            unchecked = f"is bound to the value set {bound.url}, whose codes are not loaded; its code was not checked."
            return lambda value, context: [Problem("informational", unchecked, severity="information", layer="profile")]
        text = self.text(f"has no code of the value set {bound.url}; send one of its codes.")
        return lambda value, context: None if fits(value, bound) else [Problem("code-invalid", text, layer="profile")]

    def leaning(self, url: str, systems: Mapping[str, frozenset[str]]) -> ValueCheck | None:
        """Warn of a code that is none of its system, in an extensible binding."""
        if not systems:
            return None
        text = self.text(LEAVES.format(url=url))

        def run(value: Any, context: Context) -> Problems | None:
            if not leaves(value, systems):
                return None
            return [Problem("code-invalid", text, severity="warning", layer="profile")]

        return run

    def missing(self, name: str) -> Callable[[], Problems]:
        """Return what says that an element is missing."""
        text = f"is required by {self._label}; send it."
        return lambda: [Problem("required", text, name, layer="profile")]

    def prohibited(self, name: str) -> Callable[[], Problems]:
        """Return what says that an element may not be there."""
        text = self.text("is not allowed; leave it out.")
        return lambda: [Problem("structure", text, name, layer="profile")]

    def text(self, text: str) -> str:
        """Name the profile between what is wrong and the remedy."""
        what, _, remedy = text.rpartition("; ")
        return f"{what} ({self._label}); {remedy}"


def all_of(found: Iterable[ValueCheck | None]) -> ValueCheck | None:
    """Make all these checks of a value, or None where there are none."""
    checks = [check for check in found if check is not None]
    if len(checks) < 2:
        return checks[0] if checks else None

    def run(value: Any, context: Context) -> Problems | None:
        problems: Problems | None = None
        for check in checks:
            if (more := check(value, context)) is not None:
                problems = joined(problems, more)
        return problems

    return run


def _written(value: Any) -> str:
    """Write what a definition demands, which is nobody's data."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return ", ".join(_written(below) for below in value)
    return str(value)
