"""What a conditional interaction finds: nothing, one resource, or too many. https://hl7.org/fhir/R4/http.html#cond-update"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from toro_core.access import Access
from toro_core.binaries import SecurityContexts
from toro_core.caller import Caller
from toro_core.errors import Issue
from toro_core.rejections import MultipleMatches
from toro_core.search.parse import SearchParser
from toro_core.search.plan import AllOf, Criterion, SearchPlan
from toro_core.search.query import InvalidSearch, Parameter
from toro_core.storage import Condition, Storage, Stored

__all__ = ["Match", "Matcher"]

_NO_FILTERS: Final = frozenset(
    ("_contained", "_containedType", "_count", "_elements", "_include", "_revinclude", "_sort", "_summary", "_total")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The one resource that was found, or None; `condition` lets a commit through while that is still so."""

    stored: Stored | None
    condition: Condition


class Matcher:
    """Finds what a caller may see; what lies outside a granular grant matches nothing."""

    def __init__(self, storage: Storage, parser: SearchParser, access: Access, contexts: SecurityContexts) -> None:
        """Find it in this storage."""
        self._storage = storage
        self._parser = parser
        self._access = access
        self._contexts = contexts

    def criterion(self, caller: Caller, resource_type: str, parameters: Sequence[Parameter]) -> Criterion:
        """Understand a condition. Raises Forbidden, InvalidSearch."""
        decision = self._access.decide(caller, resource_type, "s")
        for parameter in parameters:
            if parameter.code in _NO_FILTERS:
                raise _refused("holds a parameter that does not filter; leave it out")
        found = self._parser.parse(resource_type, parameters)
        if not found.applied:
            raise _refused("is empty; say at least one search parameter")
        return found.criterion if decision.unconstrained else AllOf((found.criterion, decision.clause))

    async def match(self, caller: Caller, resource_type: str, parameters: Sequence[Parameter]) -> Match:
        """Find the one match or none. Raises Forbidden, InvalidSearch, MultipleMatches."""
        criterion = self.criterion(caller, resource_type, parameters)
        found = await self.some(resource_type, criterion, 1)
        # The commit will find what is hidden, and refuse the write as one that another was faster than.
        stored = found[0] if found and not await self._contexts.hide(caller, found[0]) else None
        finds = stored.key if stored else None
        return Match(stored=stored, condition=Condition(type=resource_type, criterion=criterion, finds=finds))

    async def some(self, resource_type: str, criterion: Criterion, at_most: int) -> Sequence[Stored]:
        """Return all matches. Raises MultipleMatches where there are more than `at_most`."""
        plan = SearchPlan(type=resource_type, criterion=criterion, limit=at_most + 1, max_bytes=2**62)
        found = (await self._storage.search(plan)).resources
        if len(found) > at_most:
            raise MultipleMatches
        return found


def _refused(text: str) -> InvalidSearch:
    return InvalidSearch(issues=(Issue(code="invalid", diagnostics=f"The condition {text}."),))
