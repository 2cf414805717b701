"""The slices of a repeating element: each value is counted and checked with the slice it belongs to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Protocol

from toro_core.definitions import ElementRules, Slicing
from toro_core.validation.compiling import Compiler
from toro_core.validation.context import Context
from toro_core.validation.findings import Problem, Problems, joined, placed
from toro_core.validation.members import ValueCheck
from toro_core.validation.slicing import Matcher, matcher

__all__ = ["slices_check", "without_url"]

_MANY: Final = 1 << 30
_OPEN: Final = Slicing(discriminators=())


class _Values(Protocol):
    def value(self, rules: ElementRules, type_name: str) -> ValueCheck | None: ...


def slices_check(
    rules: ElementRules, type_name: str, values: _Values, compiler: Compiler, label: str
) -> ValueCheck | None:
    """Return a check of all values of the element. A slice that nothing tells is not checked, and where required said so."""
    slicing = rules.slicing or (_OPEN if type_name == "Extension" else None)
    if slicing is None:
        return None
    free = slicing.rules == "open" and not slicing.ordered
    slices = [
        _Slice(name, one, values.value(without_url(one) if type_name == "Extension" else one, type_name), label)
        for name, one in rules.slices.items()
    ]
    telling = [one for one in slices if not free or one.telling]
    if not telling:
        return None
    if type_name == "Extension" and free:
        return _ExtensionSlices(telling).run
    return _Slices([(one, _matcher(one.rules, slicing, type_name, compiler)) for one in telling], slicing, label).run


class _Slice:
    """One compiled slice."""

    __slots__ = ("_high", "_label", "_low", "check", "name", "rules")

    def __init__(self, name: str, rules: ElementRules, check: ValueCheck | None, label: str) -> None:
        self.name = name
        self.rules = rules
        self.check = check
        self._low = rules.min or 0
        self._high = _MANY if rules.max is None else rules.max
        self._label = label

    @property
    def telling(self) -> bool:
        """Say whether it demands anything."""
        return self.check is not None or self.required or self._high < _MANY

    @property
    def required(self) -> bool:
        """Say whether there has to be a value."""
        return self._low > 0

    def counted(self, count: int) -> Problems | None:
        """Judge how many values there are."""
        if self._low <= count <= self._high:
            return None
        high = "*" if self._high == _MANY else self._high
        text = f"has {count} values of the slice {self.name} ({self._label}); send {self._low}..{high}."
        return [Problem("required" if count < self._low else "structure", text, layer="profile")]


class _ExtensionSlices:
    """Slices of extensions, which their url tells."""

    __slots__ = ("_by_url", "_limited")

    def __init__(self, slices: list[_Slice]) -> None:
        self._by_url = {url: one for one in slices if (url := _url(one.rules)) is not None}
        # Optional slices without a limit need no counting.
        self._limited = {url: one for url, one in self._by_url.items() if one.required or one.rules.max is not None}

    def run(self, values: Any, context: Context) -> Problems | None:
        """Check the values."""
        problems: Problems | None = None
        seen: list[str] = []
        for index, value in enumerate(values):
            url = value.get("url") if type(value) is dict else None
            if not isinstance(url, str) or (one := self._by_url.get(url)) is None:
                continue
            seen.append(url)
            if one.check is not None and (found := one.check(value, context)) is not None:
                problems = joined(problems, placed(found, index))
        for url, one in self._limited.items():
            if (found := one.counted(seen.count(url))) is not None:
                problems = joined(problems, found)
        return problems


class _Slices:
    """Slices that discriminators tell."""

    __slots__ = ("_known", "_label", "_ordered", "_rules", "_unknown")

    def __init__(self, slices: list[tuple[_Slice, Matcher | None]], slicing: Slicing, label: str) -> None:
        self._known = [(one, matches) for one, matches in slices if matches is not None]
        self._unknown = [one.name for one, matches in slices if matches is None and one.required]
        self._rules = slicing.rules if len(self._known) == len(slices) else "open"
        self._ordered = slicing.ordered
        self._label = label

    def run(self, values: Any, context: Context) -> Problems | None:
        """Check the values."""
        problems: Problems | None = None
        counts = [0] * len(self._known)
        last = -1
        for index, value in enumerate(values):
            mine = -1
            for number, (one, matches) in enumerate(self._known):
                if matches(value, context):
                    counts[number] += 1
                    mine = number
                    if one.check is not None and (found := one.check(value, context)) is not None:
                        problems = joined(problems, placed(found, index))
            if mine <= last and (wrong := self._misplaced(mine, last)) is not None:
                problems = joined(problems, [Problem("structure", wrong, index, layer="profile")])
            last = max(last, mine)
        for count, (one, _) in zip(counts, self._known, strict=True):
            if (found := one.counted(count)) is not None:
                problems = joined(problems, found)
        for name in self._unknown if values else ():
            text = f"has the slice {name} ({self._label}), whose values cannot be told from others; it was not checked."
            problems = joined(problems, [Problem("informational", text, severity="information", layer="profile")])
        return problems

    def _misplaced(self, mine: int, last: int) -> str | None:
        if mine < 0 and self._rules == "closed":
            return f"belongs to no slice of a closed list ({self._label}); leave it out."
        if 0 <= mine < last and self._ordered:
            return f"stands after a value of a later slice ({self._label}); send the slices in their order."
        return None


def _matcher(rules: ElementRules, slicing: Slicing, type_name: str, compiler: Compiler) -> Matcher | None:
    if type_name == "Extension":
        url = _url(rules)
        return None if url is None else lambda value, context: type(value) is dict and value.get("url") == url
    return matcher(slicing.discriminators, rules, compiler)


def without_url(rules: ElementRules) -> ElementRules:
    """Return the rules of an extension that was found by its url, which therefore need not be checked."""
    return replace(rules, children={name: child for name, child in rules.children.items() if name != "url"})


def _url(rules: ElementRules) -> str | None:
    """Return the url that tells a slice of extensions."""
    if rules.profiles:
        return rules.profiles[0]
    child = rules.children.get("url")
    return child.fixed if child is not None and isinstance(child.fixed, str) else None
