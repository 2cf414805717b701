"""Compile one search parameter to a criterion. https://hl7.org/fhir/R4/search.html#ptypes"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from toro_core.search.combine import any_of
from toro_core.search.extract import Extractor
from toro_core.search.kinds.amount import Numbers, Quantities
from toro_core.search.kinds.date import Dates
from toro_core.search.kinds.invalid import InvalidParameter
from toro_core.search.kinds.reference import Links, targets
from toro_core.search.kinds.text import Strings, Uris
from toro_core.search.kinds.token import Tokens
from toro_core.search.layout import Composition, Searchable
from toro_core.search.plan import AllOf, AnyOf, Composite, Criterion, Ids, Not, Present
from toro_core.search.values import split_escaped, unescaped

__all__ = ["MODIFIERS", "ParameterCompiler"]


class _Kind(Protocol):
    def compile(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion: ...


_BOOLEAN: Final = {"true": True, "false": False}
MODIFIERS: Final[dict[str, tuple[str, ...]]] = {
    "composite": (),
    "date": ("missing", *Dates.modifiers),
    "number": ("missing", *Numbers.modifiers),
    "quantity": ("missing", *Quantities.modifiers),
    "reference": ("missing", "identifier"),
    "string": ("missing", *Strings.modifiers),
    "token": ("missing", *Tokens.modifiers),
    "uri": ("missing", *Uris.modifiers),
}
"""What each type of parameter takes after a colon; references take the types they can refer to as well."""


class ParameterCompiler:
    """Compiles parameters of every type."""

    def __init__(self, extractor: Extractor, *, clock: Callable[[], float] = time.time) -> None:
        """Compile to what finds the extractor's rows; `clock` gives the seconds since 1970."""
        self._tokens = Tokens(extractor.definitions)
        self._kinds: dict[str, _Kind] = {
            "date": Dates(clock),
            "number": Numbers(),
            "quantity": Quantities(),
            "reference": Links(extractor.references),
            "string": Strings(),
            "token": self._tokens,
            "uri": Uris(),
        }

    def compile(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion:
        """Return what holds where any of the values matches. Raises InvalidParameter."""
        _check_modifier(searchable, modifier)
        if modifier == "missing":
            return _missing(searchable, values)
        # No FHIR string holds NUL, and not every storage can be asked for it.
        return self._compiled(searchable, modifier, [value for value in values if "\0" not in value])

    def unknown(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> list[int]:
        """Return the positions, from 1, of values that are no codes of the parameter's element."""
        if searchable.facts.type != "token" or modifier not in {"", "not"}:
            return []
        return [place for place, value in enumerate(values, 1) if self._tokens.unknown(searchable, value)]

    def _compiled(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion:
        if searchable.facts.code == "_id":
            ids = Ids(ids=tuple(map(unescaped, values)))
            return Not(ids) if modifier == "not" else ids
        if searchable.compositions:
            return any_of(self._composed(each, value) for value in values for each in searchable.compositions)
        return self._kinds[searchable.facts.type].compile(searchable, modifier, values)

    def _composed(self, composition: Composition, value: str) -> Criterion:
        parts = split_escaped(value, "$")
        if len(parts) != len(composition.components):
            codes = "$".join(component.searchable.facts.code for component in composition.components)
            raise InvalidParameter("value", f"takes one value for each part, as `{codes}`")
        criteria = [
            self.compile(component.searchable, "", [part])
            for component, part in zip(composition.components, parts, strict=True)
        ]
        if not composition.group:
            return AllOf(tuple(criteria))
        within = zip(composition.components, criteria, strict=True)
        grouped = tuple(criterion for component, criterion in within if component.grouped)
        return AllOf((*criteria, Composite(param=composition.group, criteria=grouped)))


def _check_modifier(searchable: Searchable, modifier: str) -> None:
    facts = searchable.facts
    if not modifier:
        return
    if facts.code in {"_id", "_lastUpdated"}:
        takes: tuple[str, ...] = ("missing", "not") if facts.code == "_id" else ("missing",)
    else:
        takes = MODIFIERS[facts.type]
    if modifier in takes or (facts.type == "reference" and modifier in targets(searchable)):
        return
    if facts.type == "reference":
        text = f"supports as modifiers {Links.modifiers(searchable)}"
    elif takes:
        text = f"supports as modifiers {', '.join(f':{one}' for one in takes)}"
    else:
        text = "supports no modifiers"
    raise InvalidParameter("not-supported", text)


def _missing(searchable: Searchable, values: Sequence[str]) -> Criterion:
    if len(values) != 1 or values[0] not in _BOOLEAN:
        raise InvalidParameter("value", "takes `true` or `false` with :missing")
    found: list[Criterion] = []
    if not searchable.parts:
        return AnyOf(()) if _BOOLEAN[values[0]] else AllOf(())  # the server gives every resource one
    for param, target in searchable.parts:
        found.append(Present(param=param, type=target or None))
        if target:
            # References to that type elsewhere, and logical ones.
            found.append(Present(param=f"{param}:{target}"))
    present = any_of(found)
    return Not(present) if _BOOLEAN[values[0]] else present
