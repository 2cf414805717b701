"""What a check found: problems with their places, made only where something is wrong.

A check returns None while all is well, else problems placed relative to the value it was given; whoever called it adds the
step that led there. So the checks of a sound resource carry no place and write no text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from toro_core.errors import Issue, Severity

__all__ = [
    "MAX_ISSUES",
    "RANKS",
    "Layer",
    "Problem",
    "Problems",
    "capped",
    "expression",
    "issues",
    "joined",
    "placed",
    "problem",
]

Layer: TypeAlias = Literal["base", "profile"]
"""Whether FHIR R4 itself is broken, or what a profile or extension definition adds."""

RANKS: Final[Mapping[Severity, int]] = MappingProxyType({"fatal": 0, "error": 0, "warning": 1, "information": 2})
"""Errors come first, so that a cap on their number leaves out what matters least."""
MAX_ISSUES: Final = 100
_ENOUGH: Final = 4 * MAX_ISSUES
"""So many problems are kept while a resource is checked; warnings among them may push out errors only beyond this."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Problem:
    """One problem. `steps` lead to its place, the innermost first: names and indexes."""

    __slots__ = ("code", "contexts", "layer", "severity", "steps", "text")

    def __init__(
        self,
        code: str,
        text: str,
        *steps: str | int,
        severity: Severity = "error",
        layer: Layer = "base",
        contexts: frozenset[str] | None = None,
    ) -> None:
        """Say what is wrong; `text` goes on after the place ("is required; send it.") and quotes no value.

        A problem with `contexts` is none if the element that holds its place is one of these element paths.
        """
        self.code = code
        self.text = text
        self.steps: list[str | int] = list(steps)
        self.severity: Severity = severity
        self.layer: Layer = layer
        self.contexts = contexts


Problems: TypeAlias = "list[Problem]"


def problem(code: str, text: str, *steps: str | int, layer: Layer = "base", severity: Severity = "error") -> Problems:
    """Return one problem as a check does."""
    return [Problem(code, text, *steps, layer=layer, severity=severity)]


def placed(problems: Problems, step: str | int) -> Problems:
    """Add the step that led to these problems."""
    for one in problems:
        one.steps.append(step)
    return problems


def joined(problems: Problems | None, more: Problems) -> Problems:
    """Put problems of one value together, no more of them than anyone reads."""
    if problems is None:
        return more
    if len(problems) < _ENOUGH:
        problems += more
    return problems


def expression(root: str, steps: Sequence[str | int]) -> str:
    """Write a place as FHIRPath: `Observation.component[1].code`. A name that is no element's may be somebody's data."""
    written = [root]
    for step in reversed(steps):
        if isinstance(step, int):
            written.append(f"[{step}]")
        else:
            written.append(f".{step}" if _NAME.fullmatch(step) else ".(other)")
    return "".join(written)


def issues(root: str, problems: Problems | None) -> tuple[Issue, ...]:
    """Write problems as issues in the order they were found, at most 100 and a note that there may be more."""
    if not problems:
        return ()
    found = []
    for one in problems[:MAX_ISSUES]:
        where = expression(root, one.steps)
        text = f"{where} {one.text}"
        found.append(Issue(severity=one.severity, code=one.code, diagnostics=text, expressions=(where,)))
    return tuple(found) if len(problems) < MAX_ISSUES else (*found, _more())


def capped(found: Sequence[Issue]) -> tuple[Issue, ...]:
    """Return the issues of several resources, errors first, at most 100 and a note that there may be more."""
    ordered = sorted((one for one in found if one.code != "incomplete"), key=lambda one: RANKS[one.severity])
    return tuple(ordered) if len(ordered) < MAX_ISSUES else (*ordered[:MAX_ISSUES], _more())


def _more() -> Issue:
    note = f"Only the first {MAX_ISSUES} issues are listed; correct them and send the resource again."
    return Issue(severity="information", code="incomplete", diagnostics=note)
