"""Where in a Bundle something is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from toro_core.errors import Issue, ToroError
from toro_core.rejections import InvalidResource, UnprocessableResource
from toro_core.validation.findings import capped

__all__ = ["place", "placed", "together"]


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


def together(errors: Sequence[InvalidResource | UnprocessableResource]) -> InvalidResource | UnprocessableResource:
    """Make one error of those of several entries, so that all of them can be corrected at once."""
    if len(errors) == 1:
        return errors[0]
    kind = next((type(error) for error in errors if isinstance(error, InvalidResource)), UnprocessableResource)
    return kind(issues=capped([issue for error in errors for issue in error.issues]))
