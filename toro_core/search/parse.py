"""Parse the parameters of a search into a query. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final, cast
from urllib.parse import unquote

from toro_core.errors import Issue, Severity
from toro_core.search.compile import InvalidParameter, ParameterCompiler
from toro_core.search.extract import Extractor
from toro_core.search.plan import AllOf, Criterion, SortKey
from toro_core.search.query import InvalidSearch, Parameter, Query, Total
from toro_core.search.searchable import Searchable
from toro_core.search.values import split_escaped

__all__ = ["MAX_VALUES", "NEWEST_FIRST", "SearchParser"]

MAX_VALUES: Final = 10_000
"""A search may have this many values in all."""
NEWEST_FIRST: Final = (SortKey(descending=True),)
"""The order where none is asked for: by the type's clinical date, else by the time of the last update."""

_RESULT_PARAMETERS: Final = frozenset({"_count", "_sort", "_summary", "_total"})
_TOTALS: Final = ("none", "estimate", "accurate")


@dataclass(slots=True)
class _Draft:
    """A query being made."""

    criteria: list[Criterion] = field(default_factory=list)
    sort: tuple[SortKey, ...] = NEWEST_FIRST
    count: int | None = None
    total: Total | None = None
    applied: list[Parameter] = field(default_factory=list)
    notes: list[Issue] = field(default_factory=list)
    errors: list[Issue] = field(default_factory=list)


class SearchParser:
    """Parses searches of every type."""

    def __init__(self, extractor: Extractor, *, max_count: int = 1000) -> None:
        """Take the extractor, whose parameters are those that can be searched, and the cap of `_count`."""
        self._extractor = extractor
        self._compiler = ParameterCompiler(extractor.references, self._knows_systems)
        self._max_count = max_count

    def parse(self, resource_type: str, parameters: Sequence[Parameter], *, lenient: bool = False) -> Query:
        """Return the query; unknown parameters and empty values are refused, or with `lenient` left out and said so.

        Raises InvalidSearch with every issue at once, KeyError for an unknown type.
        """
        _limit(parameters)
        draft = _Draft()
        for parameter in parameters:
            present = replace(parameter, values=tuple(value for value in parameter.values if value))
            try:
                if present.values:
                    self._take(resource_type, present, draft)
                if present.values != parameter.values or not present.values:
                    raise InvalidParameter("value", "has an empty value", ignorable=True)
            except InvalidParameter as invalid:
                if lenient and invalid.ignorable:
                    draft.notes.append(
                        _issue(parameter, f"{invalid}; it was ignored", invalid.code, severity="warning")
                    )
                else:
                    draft.errors.append(_issue(parameter, str(invalid), invalid.code))
        if draft.errors:
            raise InvalidSearch(issues=tuple(draft.errors))
        return Query(
            type=resource_type,
            criterion=_all_of(draft.criteria),
            sort=draft.sort,
            count=draft.count,
            total=draft.total,
            applied=tuple(draft.applied),
            issues=tuple(draft.notes),
        )

    def constraint(self, resource_type: str, text: str) -> Criterion:
        """Compile what limits a scope, written as the query of a URL: `category=http://…|laboratory&status=final`.

        Raises InvalidSearch, KeyError for an unknown type. Parameters that do not filter, such as `_sort`, are refused.
        """
        criteria, errors = [], []
        for part in text.split("&"):
            name, _, value = part.partition("=")
            code, _, modifier = unquote(name).partition(":")
            parameter = Parameter(code=code, modifier=modifier, values=tuple(split_escaped(unquote(value), ",")))
            try:
                if not all(parameter.values):
                    raise InvalidParameter("value", "has an empty value")
                criteria.append(self._filter(resource_type, parameter))
            except InvalidParameter as invalid:
                errors.append(_issue(parameter, str(invalid), invalid.code))
        if errors:
            raise InvalidSearch(issues=tuple(errors))
        return _all_of(criteria)

    def _take(self, resource_type: str, parameter: Parameter, draft: _Draft) -> None:
        if parameter.code in _RESULT_PARAMETERS:
            _expect_one(parameter, draft)
        match parameter.code:
            case "_sort":
                draft.sort = self._sort(resource_type, parameter)
            case "_count":
                parameter = self._count(parameter, draft)
            case "_total":
                if parameter.values[0] not in _TOTALS:
                    raise InvalidParameter("value", f"takes {', '.join(_TOTALS)}")
                draft.total = cast(Total, parameter.values[0])
            case "_summary":
                if parameter.values != ("false",):
                    raise InvalidParameter("not-supported", "supports only `false`", ignorable=True)
            case _:
                draft.criteria.append(self._filter(resource_type, parameter))
        draft.applied.append(parameter)

    def _filter(self, resource_type: str, parameter: Parameter) -> Criterion:
        searchables = self._extractor.searchables(resource_type)
        if parameter.code not in searchables:
            raise _unknown(resource_type, parameter.code, searchables, "is not supported")
        return self._compiler.compile(searchables[parameter.code], parameter)

    def _sort(self, resource_type: str, parameter: Parameter) -> tuple[SortKey, ...]:
        if len(parameter.values) > 1:
            raise InvalidParameter("not-supported", "supports one key at a time")
        code = parameter.values[0].removeprefix("-")
        searchables = self._extractor.searchables(resource_type)
        if code not in searchables:
            raise _unknown(resource_type, code, searchables, "does not support this key")
        is_key = code == self._extractor.key(resource_type)
        return (SortKey(param=None if is_key else code, descending=parameter.values[0].startswith("-")),)

    def _count(self, parameter: Parameter, draft: _Draft) -> Parameter:
        text = parameter.values[0]
        if len(parameter.values) > 1 or not (text.isascii() and text.isdigit()):
            raise InvalidParameter("value", "takes one whole number from 0")
        asked = int((text.lstrip("0") or "0")[:10])  # the first ten digits of a longer number exceed any cap too
        draft.count = min(asked, self._max_count)
        if asked == draft.count:
            return parameter
        capped = _issue(parameter, f"was capped at {self._max_count}", "informational", severity="information")
        draft.notes.append(capped)
        return replace(parameter, values=(str(draft.count),))

    def _knows_systems(self, searchable: Searchable) -> bool:
        return all(self._extractor.systems(branch) for branch in searchable.branches)


def _limit(parameters: Sequence[Parameter]) -> None:
    if sum(max(len(parameter.values), 1) for parameter in parameters) > MAX_VALUES:
        text = f"The search has more than {MAX_VALUES} values; split it."
        raise InvalidSearch(issues=(Issue(code="too-costly", diagnostics=text),))


def _expect_one(parameter: Parameter, draft: _Draft) -> None:
    if parameter.modifier:
        raise InvalidParameter("not-supported", "supports no modifiers")
    if any(parameter.code == earlier.code for earlier in draft.applied):
        raise InvalidParameter("invalid", "is given more than once")


def _all_of(criteria: Sequence[Criterion]) -> Criterion:
    return criteria[0] if len(criteria) == 1 else AllOf(tuple(criteria))


def _unknown(resource_type: str, code: str, known: Mapping[str, Searchable], what: str) -> InvalidParameter:
    close = get_close_matches(code, known, n=1)
    hint = f"; did you mean `{close[0]}`?" if close else ""
    text = f"{what} for {resource_type}{hint} (supported: {', '.join(sorted(known))})"
    return InvalidParameter("not-supported", text, ignorable=True)


def _issue(parameter: Parameter, text: str, code: str, *, severity: Severity = "error") -> Issue:
    name = f"{parameter.code}:{parameter.modifier}" if parameter.modifier else parameter.code
    shown = "".join(letter if letter.isprintable() else "?" for letter in name[:64])
    return Issue(severity=severity, code=code, diagnostics=f"Parameter `{shown}` {text}.")
