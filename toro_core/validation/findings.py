"""What a check found: issues with their places, written only where something is wrong."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from toro_core.errors import Issue

__all__ = ["MAX_ISSUES", "Enough", "Findings", "Place"]

Place: TypeAlias = "str | tuple[Place, str | int]"
"""A resource type, or a place below another: an element's name or an index. Cheap to extend, written by `Findings`."""

MAX_ISSUES: Final = 100
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Enough(Exception):
    """So many issues were found that the check stops."""


class Findings:
    """Collects issues; raises Enough at the limit."""

    __slots__ = ("_issues",)

    def __init__(self) -> None:
        """Start without issues."""
        self._issues: list[Issue] = []

    def add(self, code: str, place: Place, text: str) -> None:
        """Add an issue; `text` goes on after the place: "is required; send it.", and quotes no value."""
        where = _expression(place)
        self._issues.append(Issue(code=code, diagnostics=f"{where} {text}", expressions=(where,)))
        if len(self._issues) == MAX_ISSUES:
            note = f"Only the first {MAX_ISSUES} issues are listed; correct them and send the resource again."
            self._issues.append(Issue(severity="information", code="incomplete", diagnostics=note))
            raise Enough

    def issues(self) -> tuple[Issue, ...]:
        """Return what was found, in the order of the resource."""
        return tuple(self._issues)


def _expression(place: Place) -> str:
    steps = []
    while isinstance(place, tuple):
        place, step = place
        steps.append(f"[{step}]" if isinstance(step, int) else f".{_name(step)}")
    return place + "".join(reversed(steps))


def _name(step: str) -> str:
    """Write a member's name where it looks like an element's; another one may be somebody's data."""
    return step if _NAME.fullmatch(step) else "(other)"
