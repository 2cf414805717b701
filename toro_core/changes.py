"""What a client asks to have written, alone or as an entry of a Bundle, and which resource that concerns.

https://hl7.org/fhir/R4/http.html#create and the sections after it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from toro_core.errors import Issue
from toro_core.json import JsonObject
from toro_core.patching import Patch
from toro_core.search.query import Parameter
from toro_core.storage import Condition, Expect, Key, Stored

__all__ = ["Change", "Done", "Method", "Outcome", "Target"]

Method: TypeAlias = Literal["create", "update", "patch", "delete"]
Outcome: TypeAlias = Literal["created", "updated", "found", "deleted", "absent"]
"""found: a conditional create found its resource; absent: there was nothing to delete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write. `id` or `criteria` say which resource; without both it is a new one.

    `expected` is the version the current one has to be. `content` is the JSON of a create or update, or its tree.
    """

    method: Method
    type: str
    id: str = ""
    criteria: tuple[Parameter, ...] | None = None
    content: bytes | JsonObject = b""
    patch: Patch | None = None
    expected: int | None = None
    unlike: tuple[int, ...] = ()
    """Versions the current one must not be."""
    only_new: bool = False
    """There must be no current version."""
    allow_missing: bool = False
    """Create what an update names and does not exist."""
    allow_multiple: bool = False
    """Delete all that a condition finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The resource a change concerns, as it was when that was found out, and what has to be so still when it is written."""

    key: Key
    outcome: Outcome
    current: Stored | None = None
    expect: Expect
    conditions: tuple[Condition, ...] = ()

    @property
    def writes(self) -> bool:
        """Say whether there is anything to write."""
        return self.outcome not in ("found", "absent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a change; `stored` is the version it left, None where there is none."""

    outcome: Outcome
    stored: Stored | None
    issues: tuple[Issue, ...] = ()
    """What validation left to tell of what was written."""
