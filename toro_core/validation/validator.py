"""Validation of whole resources: FHIR R4, the profiles they claim, and those the policy demands.

https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from toro_core.definitions import Definitions, ProfileFacts
from toro_core.errors import Issue
from toro_core.json import JsonObject
from toro_core.validation.context import Context
from toro_core.validation.demands import Demands
from toro_core.validation.findings import RANKS, Layer, Problem, Problems, issues, placed
from toro_core.validation.members import ValueCheck
from toro_core.validation.profiles import Profiles
from toro_core.validation.structure import Structures

__all__ = ["Policy", "Report", "Validator"]

Policy: TypeAlias = Literal["off", "warn", "enforce"]
"""What becomes of the profiles that a resource should follow but does not claim: nothing, warnings, or errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found, and what is broken: FHIR R4 itself, a profile, or nothing (warnings and information at most)."""

    issues: tuple[Issue, ...]
    broken: Layer | None


_SOUND: Final = Report(issues=(), broken=None)


class _Claim(NamedTuple):
    """A known profile and its check."""

    facts: ProfileFacts
    check: ValueCheck


class Validator:
    """Validates by some definitions. Compiles what it meets and keeps it; safe to share between threads."""

    __slots__ = ("_claims", "_demands", "_policy", "_profiles", "_structures", "definitions")

    def __init__(self, definitions: Definitions, *, policy: Policy = "warn") -> None:
        """Validate by these definitions and this policy."""
        self.definitions: Final = definitions
        self._policy: Policy = policy
        self._profiles = definitions.derived(Profiles)
        self._structures = definitions.derived(_structures)
        self._demands = Demands(definitions, self._profiles)
        self._claims: dict[str, _Claim] = {}

    def validate(self, resource: JsonObject, profiles: Iterable[str] = ()) -> Report:
        """Return all that is wrong with a resource, at most 100 issues and a note; `profiles` are claimed in addition."""
        context = Context(resource)
        found = self._structures.resource(resource, context)
        name = resource.get("resourceType")
        if not isinstance(name, str) or name not in self.definitions.resource_types:
            return _report("Resource", found or [])
        if (more := self._by_profiles(resource, name, context, self._policy, tuple(profiles))) is not None:
            found = [*(found or ()), *more]
        return _report(name, found) if found is not None else _SOUND

    def _by_profiles(
        self, resource: JsonObject, name: str, context: Context, policy: Policy, asked: tuple[str, ...]
    ) -> Problems | None:
        found: Problems = []
        claimed: list[str] = []
        for canonical in _claimed(resource, asked):
            claim = self._claims.get(canonical) or self._claim(canonical)
            if claim is None:
                found.append(_unknown(canonical in asked))
            elif claim.facts.type != name:
                text = f"claims {claim.facts.url}, a profile of {claim.facts.type}; claim one of {name}."
                found.append(Problem("invalid", text, "profile", "meta", layer="profile"))
            elif claim.facts.url not in claimed:
                claimed.append(claim.facts.url)
                if (more := claim.check(resource, context)) is not None:
                    found += more
        if policy != "off":
            for facts in self._demands.on(resource, name):
                if facts.url not in claimed:
                    found += self._demanded(facts, resource, context)
        if name == "Bundle" or "contained" in resource:
            found += self._inner(resource, name, context)
        return found or None

    def _demanded(self, facts: ProfileFacts, resource: JsonObject, context: Context) -> Problems:
        found = self._profiles.check(facts)(resource, context)
        if found is None:
            return []
        if self._policy == "warn":
            for one in found:
                one.severity = "warning" if one.severity == "error" else one.severity
        return found

    def _inner(self, resource: JsonObject, name: str, context: Context) -> Iterator[Problem]:
        """Check by their own claims the resources inside, a Bundle's by the policy too."""
        for index, one in enumerate(_array(resource, "contained")):
            if isinstance(one, dict):
                inner = Context(one, container=context.root, bundle=context.bundle)
                yield from self._one_inside(one, inner, (index, "contained"), "off")
        for index, entry in enumerate(_array(resource, "entry")) if name == "Bundle" else ():
            one = entry.get("resource") if isinstance(entry, dict) else None
            if isinstance(one, dict):
                inner = Context(one, bundle=context)
                yield from self._one_inside(one, inner, ("resource", index, "entry"), self._policy)

    def _one_inside(
        self, resource: JsonObject, context: Context, steps: tuple[str | int, ...], policy: Policy
    ) -> Problems:
        name = resource.get("resourceType")
        if not isinstance(name, str) or name not in self.definitions.resource_types:
            return []
        found = self._by_profiles(resource, name, context, policy, ()) or []
        for step in steps:
            placed(found, step)
        return found

    def _claim(self, canonical: str) -> _Claim | None:
        """Find a profile and remember it; what clients claim beyond the known ones is not kept."""
        facts = self.definitions.profile(canonical)
        if facts is None:
            return None
        self._claims[canonical] = claim = _Claim(facts, self._profiles.check(facts))
        return claim


def _structures(definitions: Definitions) -> Structures:
    return Structures(definitions, definitions.derived(Profiles).extensions)


def _report(root: str, problems: Problems) -> Report:
    layers = {one.layer for one in problems if one.severity == "error"}
    broken: Layer | None = "base" if "base" in layers else "profile" if layers else None
    ordered = sorted(problems, key=lambda one: RANKS[one.severity]) if len(problems) > 1 else problems
    return Report(issues=issues(root, ordered), broken=broken)


def _unknown(asked: bool) -> Problem:
    text = "claims a profile that no loaded package defines, so it was not checked; add its package, or claim another."
    return Problem("not-found", text, "profile", "meta", severity="error" if asked else "warning", layer="profile")


def _claimed(resource: JsonObject, asked: tuple[str, ...]) -> Sequence[str]:
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    if not isinstance(profiles, list):
        return asked
    return [profile for profile in (*profiles, *asked) if isinstance(profile, str)]


def _array(resource: JsonObject, name: str) -> list[Any]:
    values = resource.get(name)
    return values if isinstance(values, list) else []
