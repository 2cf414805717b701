"""Which profiles a resource of a type has to follow although it does not claim them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from toro_core.definitions import Definitions, ElementRules, ProfileFacts
from toro_core.json import JsonObject
from toro_core.validation.compiling import Compiler
from toro_core.validation.context import Context
from toro_core.validation.slicing import matcher

__all__ = ["Demands"]

Fit: TypeAlias = Callable[[JsonObject], bool]
_NOTHING_AROUND: Final = Context({})


class Demands:
    """Picks among the profiles of the built-in guides on a type those that are about what the resource is.

    The one profile of a type is always meant. Of several, those are whose subject `code` names; else those whose required
    categories the resource has; else those that have a category in common with it; else those that nothing tells apart.
    """

    __slots__ = ("_by_type", "_compiler", "_definitions")

    def __init__(self, definitions: Definitions, compiler: Compiler) -> None:
        """Pick among the profiles of these definitions."""
        self._definitions = definitions
        self._compiler = compiler
        self._by_type: dict[str, _Candidates] = {}

    def on(self, resource: JsonObject, resource_type: str) -> tuple[ProfileFacts, ...]:
        """Return the profiles meant for a resource."""
        candidates = self._by_type.get(resource_type)
        if candidates is None:
            facts = [self._definitions.profile(url) for url in self._definitions.profiles(resource_type)]
            candidates = _Candidates([one for one in facts if one is not None], self._compiler)
            self._by_type[resource_type] = candidates
        return candidates.pick(resource)


class _Candidates:
    """The profiles on one type."""

    __slots__ = ("_all", "_by_code", "_ranked")

    def __init__(self, profiles: list[ProfileFacts], compiler: Compiler) -> None:
        self._all = tuple(profiles)
        self._by_code: dict[tuple[str, str], tuple[ProfileFacts, ...]] = {}
        self._ranked: tuple[list[tuple[ProfileFacts, Fit]], ...] = ([], [], [])
        for one in profiles:
            for code in one.codes:
                self._by_code[code] = (*self._by_code.get(code, ()), one)
            if not one.codes:
                rank, fit = _category_fit(one.root.children.get("category"), compiler)
                self._ranked[rank].append((one, fit))

    def pick(self, resource: JsonObject) -> tuple[ProfileFacts, ...]:
        if len(self._all) < 2:
            return self._all
        if self._by_code and (found := self._about(resource)):
            return found
        for candidates in self._ranked:
            if found := tuple(profile for profile, fits in candidates if fits(resource)):
                return found
        return ()

    def _about(self, resource: JsonObject) -> tuple[ProfileFacts, ...]:
        code = resource.get("code")
        codings = code.get("coding") if type(code) is dict else None
        found: tuple[ProfileFacts, ...] = ()
        for coding in codings if type(codings) is list else ():
            if type(coding) is dict:
                system, value = coding.get("system"), coding.get("code")
                if type(system) is str and type(value) is str and (more := self._by_code.get((system, value))):
                    found = (*found, *(one for one in more if one not in found)) if found else more
        return found


def _category_fit(rules: ElementRules | None, compiler: Compiler) -> tuple[int, Fit]:
    """Return how strongly the slices of `category` tell a profile, 0 for most, and whether a resource fits them."""
    if rules is None or rules.slicing is None:
        return 2, lambda resource: True
    tests = [(one, matcher(rules.slicing.discriminators, one, compiler)) for one in rules.slices.values()]
    required = [test for one, test in tests if one.min and test is not None]
    possible = [test for _, test in tests if test is not None]

    def has(resource: JsonObject, test: Any) -> bool:
        values = resource.get("category")
        return isinstance(values, list) and any(test(value, _NOTHING_AROUND) for value in values)

    if required:
        return 0, lambda resource: all(has(resource, test) for test in required)
    if possible:
        return 1, lambda resource: any(has(resource, test) for test in possible)
    return 2, lambda resource: True
