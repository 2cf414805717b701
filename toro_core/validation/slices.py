"""The slices of a repeating element: each value is counted and checked with the slice it belongs to."""

from __future__ import annotations

from typing import Any, Final, Protocol

from toro_core.definitions import ElementRules, Slicing
from toro_core.validation.compiling import Compiler
from toro_core.validation.context import Context
from toro_core.validation.findings import Problem, Problems, joined, placed
from toro_core.validation.members import ValueCheck
from toro_core.validation.slicing import Matcher, matcher

__all__ = ["slices_check"]

_MANY: Final = 1 << 30


class _Values(Protocol):
    def value(self, rules: ElementRules, type_name: str) -> ValueCheck | None: ...


class _Slice:
    """One compiled slice."""

    __slots__ = ("check", "high", "low", "matches", "name")

    def __init__(self, name: str, rules: ElementRules, matches: Matcher | None, check: ValueCheck | None) -> None:
        self.name = name
        self.low = rules.min or 0
        self.high = _MANY if rules.max is None else rules.max
        self.matches = matches
        self.check = check


def slices_check(rules: ElementRules, type_name: str, values: _Values, compiler: Compiler, label: str) -> ValueCheck | None:
    """Return a check of all values of the element. A slice that nothing tells is not checked, and where required said so."""
    by_url = Slicing(discriminators=()) if type_name == "Extension" else None
    slicing = rules.slicing or by_url
    if slicing is None:
        return None
    slices = [
        _Slice(name, one, _matches(one, slicing, type_name, compiler), values.value(one, type_name))
        for name, one in rules.slices.items()
    ]
    free = slicing.rules == "open" and not slicing.ordered
    telling = [one for one in slices if not free or one.check or one.low or one.high < _MANY]
    return _Slices(telling, slicing, label).run if telling else None


def _matches(rules: ElementRules, slicing: Slicing, type_name: str, compiler: Compiler) -> Matcher | None:
    if type_name == "Extension":
        child = rules.children.get("url")
        url = rules.profiles[0] if rules.profiles else child.fixed if child is not None else None
        return None if url is None else lambda value, context: type(value) is dict and value.get("url") == url
    return matcher(slicing.discriminators, rules, compiler)


class _Slices:
    """All slices of an element."""

    __slots__ = ("_label", "_known", "_ordered", "_rules", "_unknown")

    def __init__(self, slices: list[_Slice], slicing: Slicing, label: str) -> None:
        self._known = [one for one in slices if one.matches is not None]
        self._unknown = [one.name for one in slices if one.matches is None and one.low]
        self._rules = slicing.rules
        self._ordered = slicing.ordered
        self._label = label

    def run(self, values: Any, context: Context) -> Problems | None:
        """Check the values."""
        problems: Problems | None = None
        counts = [0] * len(self._known)
        last = -1
        for index, value in enumerate(values):
            mine = -1
            for number, one in enumerate(self._known):
                if one.matches is not None and one.matches(value, context):
                    counts[number] += 1
                    mine = number
                    if one.check is not None and (found := one.check(value, context)) is not None:
                        problems = joined(problems, placed(found, index))
            if (wrong := self._misplaced(mine, last)) is not None:
                problems = joined(problems, [Problem("structure", wrong, index, layer="profile")])
            last = max(last, mine)
        for count, one in zip(counts, self._known, strict=True):
            if not one.low <= count <= one.high:
                high = "*" if one.high == _MANY else one.high
                text = f"has {count} values of the slice {one.name} ({self._label}); send {one.low}..{high}."
                code = "required" if count < one.low else "structure"
                problems = joined(problems, [Problem(code, text, layer="profile")])
        for name in self._unknown if values else ():
            text = f"has the slice {name} ({self._label}), whose values cannot be told from others; it was not checked."
            problems = joined(problems, [Problem("informational", text, severity="information", layer="profile")])
        return problems

    def _misplaced(self, mine: int, last: int) -> str | None:
        if mine < 0:
            if self._rules == "closed" and not self._unknown:
                return f"belongs to no slice of a closed list ({self._label}); leave it out."
            return None
        if self._ordered and mine < last:
            return f"stands after a value of a later slice ({self._label}); send the slices in their order."
        return None
