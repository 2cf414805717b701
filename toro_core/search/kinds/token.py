"""Token search: https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from toro_core.definitions import Definitions
from toro_core.search.combine import any_of
from toro_core.search.convert import OF_TYPE, TEXT
from toro_core.search.kinds.invalid import InvalidParameter
from toro_core.search.layout import Searchable
from toro_core.search.plan import Criterion, Not, Token, Uri
from toro_core.search.text import fold
from toro_core.search.values import split_escaped, unescaped

__all__ = ["Tokens"]

_LABELLED: Final = frozenset({"CodeableConcept", "Coding", "Identifier"})
_EXPANDED: Final = 10_000
"""Codes a value set or a hierarchy may bring into a search."""
_BOOLEAN_SYSTEMS: Final = frozenset(
    {"http://hl7.org/fhir/special-values", "http://terminology.hl7.org/CodeSystem/special-values"}
)


class Tokens:
    """Compiles tokens, given what is known of code systems and value sets."""

    modifiers = ("not", "text", "in", "not-in", "above", "below", "of-type")

    def __init__(self, definitions: Definitions) -> None:
        """Look codes up in these definitions."""
        self._definitions = definitions

    def compile(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion:
        """Return what holds where any of the values matches, or with `not` none of them. Raises InvalidParameter."""
        match modifier:
            case "text":
                return any_of(each for value in values for each in _labels(searchable, value))
            case "of-type":
                return any_of(each for value in values for each in _typed(searchable, value))
            case "in" | "not-in":
                found = any_of(self._members(searchable, values))
            case "above" | "below":
                found = any_of(self._related(searchable, modifier, values))
            case _:
                found = any_of(each for value in values for each in self._plain(searchable, value))
        return Not(found) if modifier.startswith("not") else found

    def unknown(self, searchable: Searchable, value: str) -> bool:
        """Say whether the value is a code that the element's binding does not have."""
        system, code = _system_and_code(value)
        if searchable.types != {"code"} or not code:
            return False
        known = [self._systems(branch.value_set) for branch in searchable.branches]
        return all(known) and not any(code in codes and system in {None, "", codes[code]} for codes in known)

    def _plain(self, searchable: Searchable, value: str) -> Iterator[Criterion]:
        system, code = _system_and_code(value)
        if searchable.types == {"boolean"} and code not in ("true", "false"):
            raise InvalidParameter("value", "takes `true` or `false`")
        return self._coded(searchable, system, code)

    def _coded(self, searchable: Searchable, system: str | None, code: str) -> Iterator[Criterion]:
        if code and system is not None and self._implies(searchable, system):
            system = None
        for part in searchable.parts:
            yield Token(param=part.param, system=system, code=code or None)

    def _implies(self, searchable: Searchable, system: str) -> bool:
        """Say whether the values stand without a system although this one may well be theirs.

        A `code` gets its system from its binding; where the binding is not enumerated, any system given is taken on trust.
        """
        if searchable.types == {"boolean"}:
            return system in _BOOLEAN_SYSTEMS
        known = all(self._systems(branch.value_set) for branch in searchable.branches)
        return bool(system) and searchable.types == {"code"} and not known

    def _systems(self, value_set: str | None) -> Mapping[str, str]:
        return self._definitions.systems(value_set) if value_set else {}

    def _members(self, searchable: Searchable, values: Iterable[str]) -> Iterator[Criterion]:
        for value in values:
            codes = self._definitions.enumerated(unescaped(value).partition("|")[0])
            if codes is None:
                text = "supports :in and :not-in only for value sets whose codes this server knows one by one"
                raise InvalidParameter("not-supported", text)
            _limit(sum(map(len, codes.values())))
            for system, members in codes.items():
                for code in members:
                    yield from self._coded(searchable, system, code)

    def _related(self, searchable: Searchable, modifier: str, values: Iterable[str]) -> Iterator[Criterion]:
        for value in values:
            system, code = _system_and_code(value)
            below = self._definitions.below(system) if system and code else None
            if below is None:
                text = f"supports :{modifier} only as `system|code`, for code systems whose hierarchy this server knows"
                raise InvalidParameter("not-supported", text)
            for one in _closure(code, below if modifier == "below" else _turned(below)):
                yield from self._coded(searchable, system, one)


def _system_and_code(value: str) -> tuple[str | None, str]:
    parts = [unescaped(part) for part in split_escaped(value, "|")]
    if len(parts) > 2 or not any(parts):
        raise InvalidParameter("value", "takes `code`, `system|code`, `|code` or `system|`")
    return (parts[0] if len(parts) == 2 else None), parts[-1]


def _labels(searchable: Searchable, value: str) -> Iterator[Criterion]:
    if not searchable.types & _LABELLED:
        raise InvalidParameter("not-supported", "has no texts that :text could search")
    folded = fold(unescaped(value))
    if not folded:
        raise InvalidParameter("value", "needs at least one letter or digit")
    return (Uri(param=part.param + TEXT, value=folded, match="starts") for part in searchable.parts)


def _typed(searchable: Searchable, value: str) -> Iterator[Criterion]:
    if "Identifier" not in searchable.types:
        raise InvalidParameter("not-supported", "supports :of-type only on identifiers")
    parts = [unescaped(part) for part in split_escaped(value, "|")]
    if len(parts) != 3 or not all(parts):
        raise InvalidParameter("value", "takes `system|code|value` with :of-type")
    system, code, identifier = parts
    return (Token(param=part.param + OF_TYPE, system=system, code=f"{code}|{identifier}") for part in searchable.parts)


def _closure(code: str, steps: Mapping[str, Iterable[str]]) -> Iterable[str]:
    found = {code: None}
    waiting = [code]
    while waiting:
        for one in steps.get(waiting.pop(), ()):
            if one not in found:
                found[one] = None
                waiting.append(one)
    _limit(len(found))
    return found


def _turned(below: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    above: dict[str, list[str]] = {}
    for parent, children in below.items():
        for child in children:
            above.setdefault(child, []).append(parent)
    return above


def _limit(count: int) -> None:
    if count > _EXPANDED:
        raise InvalidParameter("too-costly", f"stands for more than {_EXPANDED} codes; name the codes you need")
