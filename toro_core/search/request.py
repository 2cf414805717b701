"""What is searched: one type, a patient's compartment, several types; and a page of what is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toro_core.access import Forbidden
from toro_core.definitions import Definitions
from toro_core.errors import Issue
from toro_core.search.filters import ClauseOf
from toro_core.search.query import InvalidSearch, Parameter, Query
from toro_core.storage import Key, Stored

__all__ = ["Found", "Search", "common", "invalid_search", "searched_types"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is asked for: in one `type`, else in those of the parameter `_type`; in one patient's compartment where that is given.

    Where they are given, only types in `readable` are included and only those in `searchable` are searched by `_type` or `*`.
    """

    type: str
    compartment: Key | None = None
    parameters: tuple[Parameter, ...] = ()
    lenient: bool = False
    readable: frozenset[str] | None = None
    searchable: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of a search: matches, then what is included beside them, and the tokens of the pages beside it, "" for none."""

    matches: Sequence[Stored]
    included: Sequence[Stored]
    next_page_token: str
    previous_page_token: str = ""
    total: int | None
    issues: tuple[Issue, ...]
    applied: tuple[Parameter, ...]


def searched_types(
    search: Search, definitions: Definitions, clause_of: ClauseOf
) -> tuple[Sequence[str], Sequence[Parameter], Sequence[Issue]]:
    """Return the types to search, the other parameters, and which types were left out. Raises InvalidSearch, Forbidden."""
    _check_compartment(search, definitions)
    given = [parameter for parameter in search.parameters if parameter.code == "_type"]
    if any(parameter.modifier for parameter in given):
        raise invalid_search("not-supported", "Parameter `_type` supports no modifiers.")
    if len(given) > 1:
        raise invalid_search("invalid", "Parameter `_type` is given more than once; name the types in one list.")
    named = [value for parameter in given for value in parameter.values if value]
    rest = [parameter for parameter in search.parameters if parameter.code != "_type"]
    if search.type:
        if any(name != search.type for name in named):
            raise invalid_search(
                "value", f"Parameter `_type` names other types than {search.type}, which the path names."
            )
        return [search.type], rest, []
    if unknown := [name for name in named if name not in definitions.resource_types]:
        raise invalid_search("value", f"Parameter `_type` has {len(unknown)} values that are no FHIR resource types.")
    if search.searchable is not None and (hidden := [name for name in named if name not in search.searchable]):
        raise invalid_search(
            "not-supported", f"Parameter `_type` names types that are not offered here: {', '.join(hidden)}."
        )
    if named:
        return list(dict.fromkeys(named)), rest, []
    if search.compartment is None:
        raise invalid_search(
            "required", "A search of the whole system needs the parameter `_type`, as `_type=Patient`."
        )
    members = [
        name
        for name in sorted(definitions.resource_types)
        if (name == "Patient" or definitions.compartment(name))
        and (search.searchable is None or name in search.searchable)
    ]
    granted = [name for name in members if clause_of(name) is not None]
    if not granted:
        raise Forbidden("system/*.rs")
    refused = ", ".join(name for name in members if name not in granted)
    text = f"The access token does not allow to search {refused}."
    issues = [Issue(severity="information", code="suppressed", diagnostics=text)] if refused else []
    return granted, rest, issues


def common(queries: Sequence[Query]) -> tuple[Parameter, ...]:
    """Return the parameters that took effect in every one of the queries."""
    first, *others = queries
    return tuple(each for each in first.applied if all(each in query.applied for query in others))


def invalid_search(code: str, text: str) -> InvalidSearch:
    """Return the refusal of a search for one reason."""
    return InvalidSearch(issues=(Issue(code=code, diagnostics=text),))


def _check_compartment(search: Search, definitions: Definitions) -> None:
    if search.compartment is None:
        return
    if search.compartment.type != "Patient":
        raise invalid_search(
            "not-supported", "Only the compartments of patients are searched, as `Patient/1/Observation`."
        )
    if search.type and search.type != "Patient" and not definitions.compartment(search.type):
        raise invalid_search("not-supported", f"{search.type} resources lie in no patient's compartment.")
