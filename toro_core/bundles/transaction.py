"""Transactions: all entries in one commit, or none. https://hl7.org/fhir/R4/http.html#trules

The order is the specification's: deletions, then creates, then updates and patches. Which resource each entry stands for is found
out first, since links between them are rewritten before anything is checked; conditions are judged again inside the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toro_core.bundles.entries import Entry
from toro_core.bundles.exposed import Exposed
from toro_core.bundles.places import place
from toro_core.bundles.plan import Part, Plan, Tools
from toro_core.caller import Caller
from toro_core.changes import Done
from toro_core.errors import Issue, StillReferenced
from toro_core.storage import Stored
from toro_core.writing import OVERTAKEN, Patience

__all__ = ["Transactor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transactor:
    """Carries transactions out."""

    tools: Tools

    async def commit(self, caller: Caller, entries: Sequence[Entry], exposed: Exposed) -> dict[int, Done]:
        """Carry the changes among the entries out and say what became of each. Raises ToroError, having written nothing."""
        patience = Patience()
        while True:
            parts, writes, issues = await Plan(self.tools, caller, entries, exposed).work_out()
            try:
                stored = iter(await self.tools.writer.commit(caller, writes) if writes else ())
            except StillReferenced as error:
                _place_referenced(parts, error)
                raise
            except OVERTAKEN as error:
                patience.spend(error)
                continue
            return _results(parts, {id(part): next(stored) for part in parts if part.target.writes}, issues)


def _results(parts: Sequence[Part], stored: dict[int, Stored], issues: dict[int, tuple[Issue, ...]]) -> dict[int, Done]:
    results: dict[int, Done] = {}
    for part in parts:
        if part.alias is None:
            version = stored.get(id(part), part.target.current)
            told = issues.get(id(part), ())
            results[part.entry.index] = Done(outcome=part.target.outcome, stored=version, issues=told)
    for part in parts:
        if part.alias is not None:
            results[part.entry.index] = Done(outcome="found", stored=results[part.alias].stored)
    return results


def _place_referenced(parts: Sequence[Part], error: StillReferenced) -> None:
    index = next((part.entry.index for part in parts if str(part.target.key) == error.key), None)
    if index is not None:
        place(error, index)
