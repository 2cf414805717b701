"""Where in a Bundle something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from toro_core.errors import Issue, ToroError

__all__ = ["place", "placed"]


@contextmanager
def placed(index: int) -> Iterator[None]:
    """Let what is raised inside name the entry."""
    try:
        yield
    except ToroError as error:
        place(error, index)
        raise


def place(error: ToroError, index: int) -> None:
    """Let an error name the entry: `Observation.status` becomes `Bundle.entry[3].resource.status`."""
    entry = f"Bundle.entry[{index}]"
    error.issues = tuple(_in_entry(issue, entry) for issue in error.issues)


def _in_entry(issue: Issue, entry: str) -> Issue:
    expressions = tuple(_below(place, f"{entry}.resource") for place in issue.expressions) or (entry,)
    return replace(issue, diagnostics=f"{entry}: {issue.diagnostics}", expressions=expressions)


def _below(place: str, resource: str) -> str:
    _, dot, rest = place.partition(".")
    return f"{resource}{dot}{rest}"
