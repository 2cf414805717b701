"""Search plans: trees of parsed values that a storage executes. https://hl7.org/fhir/R4/search.html

The core parses and decides what a query means; a storage never parses a value. Each criterion holds for a resource when one
of its index rows (`toro_core.storage.Rows`) satisfies it; `toro_core.search.evaluate` is the reference in plain Python.
`param` names rows, not search parameters: several search parameters may share rows, and one may be a union of several.
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
    "Chain",
    "Compartment",
    "Composite",
    "Criterion",
    "Cursor",
    "Has",
    "Ids",
    "LastUpdated",
    "Not",
    "Number",
    "Period",
    "Prefix",
    "Present",
    "Quantity",
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

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
Cursor: TypeAlias = tuple[int | float | str | None, ...]
"""A position in a sorted result, made and read by the storage alone; JSON scalars, so that the core can seal it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A row of `param` with this system and code. None means any; system "" means a row without a system."""

    param: str
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string row of `param` that matches `value`.

    starts, contains: its folded text does, `value` being folded by the core too; exact: its text as stored is `value`. Beside an
    exact one the core gives, in an AllOf, how its folded text starts, so that a storage may find by that and only test this.
    """

    param: str
    value: str
    match: Literal["starts", "contains", "exact"] = "starts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A date row of `param` whose interval [low, high) compares so with this one; microseconds since 1970 UTC, half-open.

    With t the row's and s the searched interval (R4, 3.1.1.4.1 and 3.1.1.4.5):
    eq: s.low <= t.low and t.high <= s.high; ne: not eq; gt: t.high > s.high; lt: t.low < s.low; ge: gt or eq; le: lt or eq;
    sa: t.low >= s.high; eb: t.high <= s.low; ap: t.low < s.high and t.high > s.low.
    """

    param: str
    prefix: Prefix
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number row of `param` whose values compare so with these.

    Rows are closed intervals t, most of them single numbers; s is [low, high) for eq and ne, [low, high] for ap, and one number
    v = low = high for the others (R4, 3.1.1.4.3). eq: s.low <= t.low and t.high < s.high; ne: not eq; gt: t.high > v;
    ge: t.high >= v; lt: t.low < v; le: t.low <= v; sa: t.low > v; eb: t.high < v; ap: t.low <= s.high and t.high >= s.low.
    """

    param: str
    prefix: Prefix
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A quantity row of `param` with this system and code whose values compare so: as `Number` does.

    System "" stands for values as published, under their code or their unit as text; `code` None means any of them. Rows of a
    system hold the value in its canonical unit where the core knows one, and the core gives code and bounds in that unit.
    """

    param: str
    prefix: Prefix
    low: float
    high: float
    system: str = ""
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference row of `param` to this id, of this type where one is given, at this version where one is given."""

    param: str
    type: str | None = None
    id: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uri:
    """A uri row of `param` with exactly this value, or one that starts with it.

    Absolute references elsewhere are uri rows too, and so are the texts of codes, folded, which many resources share.
    """

    param: str
    value: str
    match: Literal["exact", "starts"] = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Any row of `param`, of whatever kind but an order; with `type`, a reference row to a resource of that type."""

    param: str
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """One group row of `param` whose own rows satisfy every criterion.

    The criteria hold no Ids, LastUpdated, Compartment, Composite, Chain or Has. The core gives beside it, in an AllOf, what holds
    for the resource's other rows wherever a composite holds, so that a storage may find by those and only test this.
    """

    param: str
    criteria: tuple[Criterion, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Compartment:
    """A resource in the compartment of the patient with this id (`Rows.compartments`)."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A reference row of `param` to a current resource of `type` for which the criterion holds.

    Only a storage with the capability `joins` is given one. The version a reference may name makes no difference.
    """

    param: str
    type: str
    criterion: Criterion


@dataclass(frozen=True, slots=True, kw_only=True)
class Has:
    """A current resource of `type` has a reference row of `param` to this one, and the criterion holds for it.

    Only a storage with the capability `joins` is given one.
    """

    type: str
    param: str
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    criterion: Criterion


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these hold; an empty one holds for every resource."""

    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these holds; an empty one holds for none."""

    criteria: tuple[Criterion, ...]


Criterion: TypeAlias = (
    Token
    | Text
    | Period
    | Number
    | Quantity
    | Reference
    | Uri
    | Present
    | Composite
    | Ids
    | LastUpdated
    | Compartment
    | Chain
    | Has
    | Not
    | AllOf
    | AnyOf
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SortKey:
    """Order by the rows of `param`: the lowest `OrderRow.low` ascending, the highest `OrderRow.high` descending; missing last.

    `_id` and `_lastUpdated` order by the resource itself; param None orders by the resource's own sort value (`Rows.sort`).
    """

    param: str | None = None
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """The current resources of `type` for which `criterion` holds, in the order of `sort`, from after `cursor`.

    Where one key is equal the next decides; where all are, the storage, in a way that does not change while the keys do not.
    At most `limit` resources and about `max_bytes` of JSON make a page (always at least one resource where one matches).
    Authorisation is already part of `criterion`.
    """

    type: str
    criterion: Criterion = AllOf(())
    sort: tuple[SortKey, ...] = (SortKey(),)
    limit: int = 50
    max_bytes: int = 4_000_000
    cursor: Cursor | None = None
