"""Parse the parameters of a search into a query. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import unquote

from toro_core.errors import Issue, Severity
from toro_core.search.combine import all_of
from toro_core.search.extract import Extractor
from toro_core.search.filters import ClauseOf, Filters
from toro_core.search.kinds.invalid import InvalidParameter
from toro_core.search.plan import Criterion
from toro_core.search.query import InvalidSearch, Parameter, Query
from toro_core.search.results import NEWEST_FIRST, RESULT_PARAMETERS, Results
from toro_core.search.values import split_escaped

__all__ = ["MAX_VALUES", "NEWEST_FIRST", "SearchParser"]

MAX_VALUES: Final = 10_000
"""A search may have this many values in all."""


@dataclass(slots=True)
class _Draft:
    """A query being made."""

    criteria: list[Criterion] = field(default_factory=list)
    notes: list[Issue] = field(default_factory=list)
    errors: list[Issue] = field(default_factory=list)
    applied: list[Parameter] = field(default_factory=list)


class SearchParser:
    """Parses searches of every type."""

    def __init__(self, extractor: Extractor, *, max_count: int = 1000, **options: Any) -> None:
        """Take the extractor, whose parameters are those that can be searched, and the cap of `_count`."""
        self._extractor = extractor
        self._filters = Filters(extractor, **options)
        self._max_count = max_count

    def parse(
        self,
        resource_type: str,
        parameters: Sequence[Parameter],
        *,
        lenient: bool = False,
        clause_of: ClauseOf | None = None,
        types: Sequence[str] = (),
    ) -> Query:
        """Return the query; unknown parameters and empty values are refused, or with `lenient` left out and said so.

        `clause_of` gives what of other types a chain may look at; without it there are no chains. `types` are all that are
        searched at once, where they are several. Raises InvalidSearch with every issue at once, Forbidden, KeyError for an
        unknown type.
        """
        _limit(parameters)
        draft = _Draft()
        results = Results(self._extractor, resource_type, self._max_count, types)
        for parameter in parameters:
            present, is_whole = parameter, bool(parameter.values) and all(parameter.values)
            if not is_whole:
                present = replace(parameter, values=tuple(value for value in parameter.values if value))
            try:
                if present.values:
                    self._take(resource_type, present, clause_of, results, draft)
                if not is_whole:
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
            criterion=all_of(draft.criteria),
            sort=results.sort,
            count=results.count,
            total=results.total,
            summary=results.summary,
            elements=results.elements,
            includes=tuple(results.includes),
            applied=tuple(draft.applied),
            issues=tuple(draft.notes),
        )

    def constraint(self, resource_type: str, text: str) -> Criterion:
        """Compile what limits a scope, written as the query of a URL: `category=http://…|laboratory&status=final`.

        Raises InvalidSearch, KeyError for an unknown type. Parameters that do not filter, such as `_sort`, and chains are refused.
        """
        criteria, errors = [], []
        for part in text.split("&"):
            name, _, value = part.partition("=")
            code, _, modifier = unquote(name).partition(":")
            parameter = Parameter(code=code, modifier=modifier, values=tuple(split_escaped(unquote(value), ",")))
            try:
                if not all(parameter.values):
                    raise InvalidParameter("value", "has an empty value")
                criteria.append(self._filters.compile(resource_type, parameter, None)[0])
            except InvalidParameter as invalid:
                errors.append(_issue(parameter, str(invalid), invalid.code))
        if errors:
            raise InvalidSearch(issues=tuple(errors))
        return all_of(criteria)

    def _take(
        self,
        resource_type: str,
        parameter: Parameter,
        clause_of: ClauseOf | None,
        results: Results,
        draft: _Draft,
    ) -> None:
        if parameter.code in RESULT_PARAMETERS:
            taken, note = results.take(parameter)
            if note:
                draft.notes.append(_issue(parameter, note, "informational", severity="information"))
            if taken not in draft.applied:
                draft.applied.append(taken)
            return
        criterion, warnings = self._filters.compile(resource_type, parameter, clause_of)
        draft.criteria.append(criterion)
        draft.notes += [_issue(parameter, text, "incomplete", severity="warning") for text in warnings]
        draft.applied.append(parameter)


def _limit(parameters: Sequence[Parameter]) -> None:
    if sum(max(len(parameter.values), 1) for parameter in parameters) > MAX_VALUES:
        text = f"The search has more than {MAX_VALUES} values; split it."
        raise InvalidSearch(issues=(Issue(code="too-costly", diagnostics=text),))


def _issue(parameter: Parameter, text: str, code: str, *, severity: Severity = "error") -> Issue:
    name = f"{parameter.code}:{parameter.modifier}" if parameter.modifier else parameter.code
    shown = "".join(letter if letter.isprintable() else "?" for letter in name[:64])
    return Issue(severity=severity, code=code, diagnostics=f"Parameter `{shown}` {text}.")
