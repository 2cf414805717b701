"""Parameters that shape the result instead of filtering it. https://hl7.org/fhir/R4/search.html#return"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

from toro_core.search.extract import Extractor
from toro_core.search.filters import check_indexed, unknown
from toro_core.search.kinds.invalid import InvalidParameter
from toro_core.search.kinds.reference import targets
from toro_core.search.plan import SortKey
from toro_core.search.query import Include, Parameter, Summary, Total

__all__ = ["NEWEST_FIRST", "RESULT_PARAMETERS", "Results"]

NEWEST_FIRST: Final = (SortKey(descending=True),)
"""The order where none is asked for: by the type's clinical date, else by the time of the last update."""
RESULT_PARAMETERS: Final = frozenset(
    {"_contained", "_containedType", "_count", "_elements", "_include", "_revinclude", "_sort", "_summary", "_total"}
)

_REPEATED: Final = frozenset({"_include", "_revinclude"})
_TOTALS: Final = ("none", "estimate", "accurate")
_SUMMARIES: Final = ("true", "text", "data", "count", "false")
_SORT_KEYS: Final = 5
_INCLUDES: Final = 50
_ELEMENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")


class Results:
    """What the result parameters of one search have asked for so far."""

    def __init__(self, extractor: Extractor, resource_type: str, max_count: int, types: Sequence[str] = ()) -> None:
        """Begin with nothing asked for; `types` are all that are searched at once, where that is more than this one."""
        self._extractor = extractor
        self._type = resource_type
        self._types = types or (resource_type,)
        self._max_count = max_count
        self._taken: set[str] = set()
        self.sort: tuple[SortKey, ...] = NEWEST_FIRST
        self.count: int | None = None
        self.total: Total | None = None
        self.summary: Summary = "false"
        self.elements: tuple[str, ...] = ()
        self.includes: list[Include] = []

    def take(self, parameter: Parameter) -> tuple[Parameter, str]:
        """Take a parameter in; return it as it applies, and what to say about that. Raises InvalidParameter."""
        code = parameter.code
        if code in _REPEATED:
            self._include(parameter)
            return parameter, ""
        if parameter.modifier:
            raise InvalidParameter("not-supported", "supports no modifiers")
        if code in self._taken:
            raise InvalidParameter("invalid", "is given more than once")
        self._taken.add(code)
        note = ""
        match code:
            case "_sort":
                self._sort(parameter)
            case "_count":
                parameter, note = self._count(parameter)
            case "_elements":
                self._elements(parameter)
            case "_total":
                self.total = cast(Total, _one_of(parameter, _TOTALS))
            case "_summary":
                self.summary = cast(Summary, _one_of(parameter, _SUMMARIES))
            case _ if parameter.values != ("false",):
                raise InvalidParameter("not-supported", "is not supported: contained resources are not searched")
        if self.summary == "text" and self.includes:
            raise InvalidParameter("invalid", "cannot be mixed with _include and _revinclude")
        return parameter, note

    def _sort(self, parameter: Parameter) -> None:
        if len(parameter.values) > _SORT_KEYS:
            raise InvalidParameter("too-costly", f"supports up to {_SORT_KEYS} keys")
        keys: dict[str | None, SortKey] = {}
        for value in parameter.values:
            code = value.removeprefix("-")
            check_indexed(self._extractor, self._type, code)
            searchables = self._extractor.searchables(self._type)
            if code not in searchables:
                raise unknown(self._type, code, searchables, "does not support this key")
            if searchables[code].facts.type == "composite":
                raise InvalidParameter("not-supported", "does not sort by composites; name their parts", ignorable=True)
            param = self._extractor.sort_key(self._type, code)
            keys.setdefault(param, SortKey(param=param, descending=value.startswith("-")))
        self.sort = tuple(keys.values())

    def _count(self, parameter: Parameter) -> tuple[Parameter, str]:
        text = parameter.values[0]
        if len(parameter.values) > 1 or not (text.isascii() and text.isdigit()):
            raise InvalidParameter("value", "takes one whole number from 0")
        asked = int((text.lstrip("0") or "0")[:10])  # the first ten digits of a longer number exceed any cap too
        self.count = min(asked, self._max_count)
        if asked == self.count:
            return parameter, ""
        return replace(parameter, values=(str(self.count),)), f"was capped at {self._max_count}"

    def _elements(self, parameter: Parameter) -> None:
        if not all(_ELEMENT.fullmatch(value) for value in parameter.values):
            raise InvalidParameter("value", "takes names of elements at the top of the resource, such as `status,code`")
        structures = [self._extractor.definitions.structure(name) for name in self._types]
        for value in parameter.values:
            known = any(value in structure.elements or value in structure.members for structure in structures)
            if not known and value != "resourceType":
                names = " or ".join(self._types)
                raise InvalidParameter("value", f"names an element that {names} does not have", ignorable=True)
        self.elements = parameter.values

    def _include(self, parameter: Parameter) -> None:
        if parameter.modifier not in {"", "iterate"}:
            raise InvalidParameter("not-supported", "supports only the modifier :iterate")
        reverse = parameter.code == "_revinclude"
        iterate = parameter.modifier == "iterate"
        for value in parameter.values:
            made = self._included(value, iterate, reverse)
            if made not in self.includes:
                self.includes.append(made)
        if len(self.includes) > _INCLUDES:
            raise InvalidParameter("too-costly", f"is given more than {_INCLUDES} times")
        if self.summary == "text":
            raise InvalidParameter("invalid", "cannot be mixed with _summary=text")

    def _included(self, value: str, iterate: bool, reverse: bool) -> Include:
        if value == "*" and not reverse:
            # What is not iterated is of the matches alone, of whichever type.
            source = "" if iterate or len(self._types) > 1 else self._type
            return Include(source=source, param="", iterate=iterate)
        source, *rest = value.split(":")
        if source not in self._extractor.definitions.resource_types or len(rest) not in {1, 2} or not rest[0]:
            text = "takes `Type:reference`, `Type:reference:TargetType`, `Type:*`" + ("" if reverse else " or `*`")
            raise InvalidParameter("value", text, ignorable=True)
        code, target = rest[0], rest[1] if len(rest) == 2 else ""
        param = "" if code == "*" else code
        if reverse:
            for pending in [param] if param else self._extractor.pending.get(source, ()):
                check_indexed(self._extractor, source, pending)
        if param:
            self._check(source, param, target, reverse and not iterate)
        return Include(source=source, param=param, target=target, iterate=iterate, reverse=reverse)

    def _check(self, source: str, param: str, target: str, is_to_match: bool) -> None:
        searchables = self._extractor.searchables(source)
        searchable = searchables.get(param)
        if searchable is None:
            raise unknown(source, param, searchables, f"names `{_short(param)}`, which is not supported")
        if searchable.facts.type != "reference" or "Reference" not in searchable.types:
            raise InvalidParameter("value", f"names `{param}`, which is no reference of {source}", ignorable=True)
        known = frozenset(targets(searchable))
        if (target and target not in known) or (is_to_match and known.isdisjoint(self._types)):
            raise InvalidParameter(
                "value", f"names a type that `{param}` of {source} does not refer to", ignorable=True
            )


def _one_of(parameter: Parameter, allowed: tuple[str, ...]) -> str:
    if len(parameter.values) != 1 or parameter.values[0] not in allowed:
        raise InvalidParameter("value", f"takes {', '.join(allowed)}")
    return parameter.values[0]


def _short(text: str) -> str:
    return "".join(letter for letter in text[:64] if letter.isprintable())
