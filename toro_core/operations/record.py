"""A patient's record, walked in bounded steps: the compartment type by type, and beside it what its resources refer to.

The storage's keyset cursor says how far the compartment is walked; the trail holds what else has been come across, each once, and
how much of it has been served. So a page costs what it holds, wherever it lies, and the walk goes on from a sealed token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from toro_core.access import Access, Decision, Forbidden, permits
from toro_core.binaries import SecurityContexts
from toro_core.caller import Caller
from toro_core.errors import Issue
from toro_core.json import JsonObject, loads
from toro_core.operations.links import targets
from toro_core.operations.trail import Trail
from toro_core.operations.wanted import Wanted
from toro_core.search.combine import EVERYTHING, all_of, any_of
from toro_core.search.dates import interval
from toro_core.search.extract import Extractor
from toro_core.search.indexed import COMPARTMENT
from toro_core.search.parse import SearchParser
from toro_core.search.plan import Compartment, Criterion, Cursor, Ids, LastUpdated, SearchPlan
from toro_core.search.query import Parameter
from toro_core.search.request import invalid_search
from toro_core.storage import Key, Storage, Stored

__all__ = ["Ground", "Step", "Walk"]

_LOOSE: Final = frozenset({"Schedule"})
"""Types of patients' compartments that may as well be nobody's: a practitioner has a Schedule too."""
_SUPPORTING_AT_ONCE: Final = 100
_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step has found: resources of the compartment, or supporting ones."""

    matches: Sequence[Stored] = ()
    included: Sequence[Stored] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What walks go over."""

    storage: Storage
    extractor: Extractor
    parser: SearchParser
    access: Access
    contexts: SecurityContexts


@dataclass(slots=True, kw_only=True)
class Walk:
    """One walk by one caller. `position` is the type that is walked and the storage's cursor in it, () at the end."""

    ground: Ground
    caller: Caller
    wanted: Wanted
    readable: frozenset[str] | None
    trail: Trail
    served: int = 0
    position: Cursor = ("Patient",)
    examined: int = 0
    _left_out: dict[str, str] = field(default_factory=dict)
    _decisions: dict[str, Decision | None] = field(default_factory=dict)
    _made: dict[str, SearchPlan] | None = None

    @property
    def done(self) -> bool:
        """Say whether there is nothing more."""
        return not self.position and self.served >= len(self.trail.keys)

    def issues(self) -> tuple[Issue, ...]:
        """Say what was left out so far."""
        return tuple(
            Issue(severity="information", code="suppressed", diagnostics=f"{type_} resources were left out: {why}.")
            for type_, why in sorted(self._left_out.items())
        )

    async def step(self, limit: int) -> Step:
        """Go on by at most `limit` resources and about 1 MiB; supporting ones come before more of the compartment."""
        if self.served < len(self.trail.keys):
            return Step(included=await self._supporting(min(limit, _SUPPORTING_AT_ONCE)))
        return Step(matches=await self._compartment(limit))

    async def _compartment(self, limit: int) -> Sequence[Stored]:
        if self._made is None:
            self._made = {plan.type: plan for plan in self._plans()}
        plans = self._made
        reached, *cursor = self.position
        order = [type_ for type_ in plans if _order(type_) >= _order(str(reached))]
        if not order:
            self.position = ()
            return ()
        if order[0] != reached:
            cursor = []
        page = await self.ground.storage.search(replace(plans[order[0]], limit=limit, cursor=tuple(cursor) or None))
        if page.cursor is not None:
            self.position = (order[0], *page.cursor)
        else:
            self.position = (order[1],) if len(order) > 1 else ()
        self.examined += len(page.resources)
        return [stored for stored in page.resources if self._take(stored)]

    def _take(self, stored: Stored) -> bool:
        """Follow what a resource of the compartment refers to; say whether it is part of the answer."""
        resource = loads(stored.json)
        if stored.key.type == "Group" and self._names_others(resource):
            self._left_out["Group"] = "they name other patients"
            return False
        self._follow(resource)
        return self._is_wanted(stored.key.type)

    def _follow(self, resource: JsonObject) -> None:
        if self._supports:
            for key in targets(resource, self.ground.extractor):
                if key.type != "Patient" and (key.type in _LOOSE or not self._is_of_patients(key.type)):
                    self.trail.keys[key] = None

    async def _supporting(self, limit: int) -> Sequence[Stored]:
        keys = list(self.trail.keys)[self.served : self.served + limit]
        # A Binary may be large, so each is read by itself.
        binary = next((n for n, key in enumerate(keys) if key.type == "Binary"), limit)
        keys = keys[: binary or 1]
        allowed = [key for key in keys if self._decision(key.type)]
        found: list[Stored] = []
        size = 0
        read = await self.ground.storage.read_many(allowed)
        for key, stored in zip(allowed, read, strict=True):
            if found and size + (len(stored.json) if stored else 0) > _BYTES:
                self.served += keys.index(key)
                return found
            if stored is not None and await self._serve(stored):
                found.append(stored)
                size += len(stored.json)
        self.served += len(keys)
        self.examined += len(keys)
        return found

    async def _serve(self, stored: Stored) -> bool:
        decision = self._decision(stored.key.type)
        if stored.deleted or decision is None or await self.ground.contexts.hide(self.caller, stored):
            return False
        resource = loads(stored.json)
        rows = self.ground.extractor.rows(resource)
        if not permits(decision, stored.key, stored.at, rows) or rows.compartments or self._names_others(resource):
            return False
        self._follow(resource)
        since = interval(self.wanted.since)[0] if self.wanted.since else 0
        return stored.at * 1000 >= since and self._is_wanted(stored.key.type)

    def _names_others(self, resource: JsonObject) -> bool:
        patient = Key("Patient", self.wanted.patient)
        return any(key.type == "Patient" and key != patient for key in targets(resource, self.ground.extractor))

    def _plans(self) -> Sequence[SearchPlan]:
        members = sorted(
            name for name in self.ground.extractor.definitions.resource_types if self._is_of_patients(name)
        )
        named = [name for name in members if self._supports or self._is_wanted(name)]
        plans = []
        for name in sorted(named, key=_order):
            if self.readable is not None and name not in self.readable:
                continue
            if decision := self._decision(name):
                plans.append(self._plan(name, decision))
        return plans

    def _plan(self, resource_type: str, decision: Decision) -> SearchPlan:
        if COMPARTMENT in self.ground.extractor.pending.get(resource_type, ()):
            text = f"{resource_type} resources were put into compartments by other rules; run `toro reindex`."
            raise invalid_search("not-supported", text)
        patient = self.wanted.patient
        own = Ids(ids=(patient,)) if resource_type == "Patient" else Compartment(id=patient)
        criteria = (own, decision.clause, self._stored_since(), self._cared_for(resource_type))
        return SearchPlan(type=resource_type, criterion=all_of(criteria), max_bytes=_BYTES)

    def _stored_since(self) -> Criterion:
        if not self.wanted.since:
            return EVERYTHING
        low, high = interval(self.wanted.since)
        return LastUpdated(prefix="ge", low=low, high=high)

    def _cared_for(self, resource_type: str) -> Criterion:
        """Return what holds within the dates of care; of what has no date nobody knows that it lies outside."""
        code = self.ground.extractor.key(resource_type)
        limits = [f"{prefix}{text}" for prefix, text in (("ge", self.wanted.start), ("le", self.wanted.end)) if text]
        if code is None or not limits:
            return EVERYTHING
        inside = [Parameter(code=code, values=(limit,)) for limit in limits]
        undated = [Parameter(code=code, modifier="missing", values=("true",))]
        parse = self.ground.parser.parse
        return any_of(parse(resource_type, given).criterion for given in (inside, undated))

    @property
    def _supports(self) -> bool:
        types = self.wanted.types
        return not types or any(name in _LOOSE or not self._is_of_patients(name) for name in types)

    def _is_wanted(self, resource_type: str) -> bool:
        return not self.wanted.types or resource_type in self.wanted.types

    def _is_of_patients(self, resource_type: str) -> bool:
        return resource_type == "Patient" or bool(self.ground.extractor.definitions.compartment(resource_type))

    def _decision(self, resource_type: str) -> Decision | None:
        """Return what of a type the caller may see; note where that is nothing."""
        if resource_type not in self._decisions:
            self._decisions[resource_type] = None
            if self.readable is not None and resource_type not in self.readable:
                self._left_out[resource_type] = "they cannot be read here"
            else:
                try:
                    self._decisions[resource_type] = self.ground.access.decide(self.caller, resource_type, "rs")
                except Forbidden:
                    self._left_out[resource_type] = f"the access token lacks system/{resource_type}.rs"
        return self._decisions[resource_type]


def _order(resource_type: str) -> tuple[bool, str]:
    return resource_type != "Patient", resource_type
