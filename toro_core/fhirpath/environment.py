"""What an expression is evaluated in: http://hl7.org/fhirpath/N1/#environment-variables"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from toro_core.fhirpath.errors import EvaluationFailed
from toro_core.fhirpath.values import Item, Items, Value
from toro_core.json import JsonObject

__all__ = ["MAX_STEPS", "Conforms", "Environment", "MemberOf", "Resolve", "Scope"]

Resolve: TypeAlias = "Callable[[str], JsonObject | None]"
MemberOf: TypeAlias = "Callable[[Value, str], bool | None]"
Conforms: TypeAlias = "Callable[[Value, str], bool | None]"

MAX_STEPS: Final = 1_000_000
"""One evaluation may look at this many items: a few seconds of work."""


_NO_ITEMS: Final[Items] = []  # never changed, as no collection is


def _nothing(address: str) -> JsonObject | None:
    return None


def _unknown(value: Value, canonical: str) -> bool | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What surrounds the input; one serves all expressions on a resource.

    `resource` is `%resource`, the resource that the input is in, a contained one if it is in one; `root_resource` is what
    contains that, None where nothing does. `context` is `%context`, None for the input itself. `resolve` fetches what a
    reference's text names. `member_of` and `conforms_to` say whether a JSON value is in a value set or fits a profile, None
    where they cannot tell. `variables` are further `%names`, each one JSON value or a list.
    """

    resource: JsonObject | None = None
    root_resource: JsonObject | None = None
    context: Item = None
    resolve: Resolve = _nothing
    member_of: MemberOf = _unknown
    conforms_to: Conforms = _unknown
    variables: Mapping[str, Any] = field(default_factory=dict)
    now: datetime | None = None
    """What `now()` answers; None for the clock."""


class Scope:
    """One evaluation: its environment, the loop it is in, and how much it may still do. Never shared between evaluations."""

    __slots__ = ("context", "environment", "index", "left", "now", "remembered", "total")

    remembered: dict[object, Items] | None
    now: datetime | None

    def __init__(self, environment: Environment, context: Items) -> None:
        self.environment = environment
        self.context = context
        self.index = 0
        self.total = _NO_ITEMS
        self.left = MAX_STEPS
        self.remembered = None
        self.now = None

    def spend(self, steps: int) -> None:
        """Count work; raises EvaluationFailed when it becomes too much."""
        self.left -= steps
        if self.left < 0:
            raise EvaluationFailed(
                f"FHIRPath: the evaluation takes more than {MAX_STEPS} steps; simplify the expression."
            )

    def clock(self) -> datetime:
        """Return the time of the evaluation, the same throughout it."""
        if self.now is None:
            self.now = self.environment.now or datetime.now(UTC)
        return self.now
