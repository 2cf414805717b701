"""What a search asks for, before and after it is understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from toro_core.errors import Issue, ToroError
from toro_core.search.plan import Criterion, SortKey

__all__ = ["Include", "InvalidSearch", "Parameter", "Query", "Summary", "Total"]

Total: TypeAlias = Literal["none", "estimate", "accurate"]
Summary: TypeAlias = Literal["true", "text", "data", "count", "false"]


class InvalidSearch(ToroError):
    """The search is not valid or not supported; the issues name each parameter and the remedy."""

    reason = "INVALID_SEARCH"
    issue = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    r"""One search parameter, split but not interpreted: any of `values`, still with their prefixes and escapes, has to match."""

    code: str
    modifier: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Include:
    """What to add to the matches: what `source` refers to by `param`, or where `reverse`, what of `source` refers to them.

    `param` "" stands for every reference, `source` "" for every type; `target`, where given, limits the references to one type.
    With `iterate` what was added counts as a match.
    """

    source: str
    param: str
    target: str = ""
    iterate: bool = False
    reverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search understood: `count` and `total` are None where not asked for, a `count` of 0 asks for the total alone.

    `elements` are those to show, all where there are none. `applied` are the parameters that took effect, as they did; `issues`
    say what was ignored or capped.
    """

    type: str
    criterion: Criterion
    sort: tuple[SortKey, ...]
    count: int | None = None
    total: Total | None = None
    summary: Summary = "false"
    elements: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    applied: tuple[Parameter, ...] = ()
    issues: tuple[Issue, ...] = ()
