"""Search plans: trees of parsed values that a storage executes. https://hl7.org/fhir/R4/search.html

The core parses and decides what a query means; a storage never parses a value. Each criterion holds for a resource when one
of its index rows (`toro_core.storage.Rows`) satisfies it; `toro_core.search.evaluate` is the reference in plain Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "FOREVER",
    "MISSING",
    "NEVER",
    "AllOf",
    "AnyOf",
    "Criterion",
    "Cursor",
    "Ids",
    "LastUpdated",
    "Period",
    "Prefix",
    "Reference",
    "SearchPlan",
    "SortKey",
    "Text",
    "Token",
    "Uri",
]

NEVER = -(2**62)
"""Low bound of an interval that is open at its start, in microseconds."""
FOREVER = 2**62
"""High bound of an interval that is open at its end, in microseconds."""
MISSING = 2**63 - 1
"""Sort value of a resource without one: after every other value, in both directions."""

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]
Cursor: TypeAlias = tuple[int | str | None, ...]
"""A position in a sorted result, made and read by the storage alone; JSON scalars, so that the core can seal it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A row of `param` with this system and code. None means any; system "" means a row without a system."""

    param: str
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string row of `param` whose folded value starts with `value`, which is folded by the core too."""

    param: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A date row of `param` whose interval [low, high) compares so with this one; microseconds since 1970 UTC, half-open.

    With t the row's and s the searched interval (R4, 3.1.1.4.1 and 3.1.1.4.5):
    eq: s.low <= t.low and t.high <= s.high; ne: not eq; gt: t.high > s.high; lt: t.low < s.low; ge: gt or eq; le: lt or eq;
    sa: t.low >= s.high; eb: t.high <= s.low.
    """

    param: str
    prefix: Prefix
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference row of `param` to this id, of this type where one is given, at this version where one is given."""

    param: str
    type: str | None = None
    id: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uri:
    """A uri row of `param` with exactly this value; absolute references elsewhere are uri rows too."""

    param: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """A resource with one of these logical ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastUpdated:
    """A resource whose current version was stored so: `Period` over the instant [at, at + 1 ms)."""

    prefix: Prefix
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these hold; an empty one holds for every resource."""

    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these holds; an empty one holds for none."""

    criteria: tuple[Criterion, ...]


Criterion: TypeAlias = Token | Text | Period | Reference | Uri | Ids | LastUpdated | AllOf | AnyOf


@dataclass(frozen=True, slots=True, kw_only=True)
class SortKey:
    """Order by the rows of `param`: the lowest `OrderRow.low` ascending, the highest `OrderRow.high` descending; missing last.

    `_id` and `_lastUpdated` order by the resource itself; param None orders by the resource's own sort value (`Rows.sort`).
    Equal keys are ordered by the storage, in a way that does not change while the keys do not.
    """

    param: str | None = None
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """The current resources of `type` for which `criterion` holds, in the order of `sort`, from after `cursor`.

    At most `limit` resources and about `max_bytes` of JSON make a page (always at least one resource where one matches).
    Authorisation is already part of `criterion`.
    """

    type: str
    criterion: Criterion = AllOf(())
    sort: SortKey = SortKey()
    limit: int = 50
    max_bytes: int = 4_000_000
    cursor: Cursor | None = None
