"""Convert FHIR values to index rows, one converter for each pair of search type and data type.

https://hl7.org/fhir/R4/search.html#table
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from toro_core.references import Local, References
from toro_core.search.dates import InvalidDate, interval, period, timing
from toro_core.search.text import fold
from toro_core.storage import DateRow, ReferenceRow, StringRow, TokenRow, UriRow

__all__ = ["CONVERTIBLE", "Collected", "Convert", "converter"]


@dataclass(slots=True)
class Collected:
    """Rows found so far."""

    tokens: list[TokenRow] = field(default_factory=list)
    strings: list[StringRow] = field(default_factory=list)
    dates: list[DateRow] = field(default_factory=list)
    references: list[ReferenceRow] = field(default_factory=list)
    uris: list[UriRow] = field(default_factory=list)


Convert: TypeAlias = Callable[[list[Any], Collected], None]
"""Adds the rows of some values, all of one type."""


def converter(
    param: str, search_type: str, data_type: str, references: References, systems: Mapping[str, str]
) -> Convert:
    """Return what makes rows of `param`; `systems` gives the system of each code that stands without one."""
    if search_type == "reference":
        return _canonicals(param) if data_type in _URIS else _references(param, references)
    if data_type == "code" and search_type == "token":
        return _codes(param, systems)
    return _CONVERTERS[search_type][data_type](param)


def _codes(param: str, systems: Mapping[str, str]) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        rows.tokens += [TokenRow(param, systems.get(value, ""), value) for value in values if value is not None]

    return convert


def _booleans(param: str) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        rows.tokens += [TokenRow(param, "", "true" if value else "false") for value in values if value is not None]

    return convert


def _codings(param: str) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            system, code = value.get("system", ""), value.get("code", "")
            if system or code:
                rows.tokens.append(TokenRow(param, system, code))

    return convert


def _concepts(param: str) -> Convert:
    codings = _codings(param)

    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            codings(value.get("coding", ()), rows)

    return convert


def _systematic_values(param: str) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            system, code = value.get("system", ""), value.get("value", "")
            if system or code:
                rows.tokens.append(TokenRow(param, system, code))

    return convert


def _texts(param: str) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            if value and (folded := fold(value)):
                rows.strings.append(StringRow(param, folded, value))

    return convert


def _parts(*members: str) -> Callable[[str], Convert]:
    def of(param: str) -> Convert:
        texts = _texts(param)

        def convert(values: list[Any], rows: Collected) -> None:
            for value in values:
                for member in members:
                    if part := value.get(member):
                        texts(part if type(part) is list else [part], rows)

        return convert

    return of


def _moments(param: str) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            try:
                rows.dates.append(DateRow(param, *interval(value)))
            except (InvalidDate, TypeError):
                continue  # validation refuses such a value; one loaded as it is stays readable but unfound

    return convert


def _spans(covered: Callable[[Any], tuple[int, int] | None]) -> Callable[[str], Convert]:
    def of(param: str) -> Convert:
        def convert(values: list[Any], rows: Collected) -> None:
            rows.dates += [DateRow(param, *span) for value in values if (span := covered(value))]

        return convert

    return of


def _addresses(param: str) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        rows.uris += [UriRow(param, value) for value in values if value]

    return convert


def _canonicals(param: str) -> Convert:
    """Make a row of the canonical and one of it without its version, which a search may leave out."""

    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            if value:
                rows.uris.append(UriRow(param, value))
                unversioned, bar, _ = value.partition("|")
                if bar:
                    rows.uris.append(UriRow(param, unversioned))

    return convert


def _references(param: str, references: References) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            text = value.get("reference")
            target = references.parse(text) if text else None
            if isinstance(target, Local):
                rows.references.append(ReferenceRow(param, *target))
            elif target:
                rows.uris.append(UriRow(param, target))

    return convert


_URIS: Final = frozenset({"uri", "url", "canonical", "oid", "uuid"})
_CONVERTERS: Final[dict[str, dict[str, Callable[[str], Convert]]]] = {
    "token": {
        "boolean": _booleans,
        "CodeableConcept": _concepts,
        "Coding": _codings,
        "ContactPoint": _systematic_values,
        "Identifier": _systematic_values,
        **dict.fromkeys(("id", "string", *_URIS), lambda param: _codes(param, {})),
    },
    "string": {
        "Address": _parts("text", "line", "city", "district", "state", "postalCode", "country"),
        "CodeableConcept": _parts("text"),
        "HumanName": _parts("text", "family", "given", "prefix", "suffix"),
        "markdown": _texts,
        "string": _texts,
    },
    "date": {
        **dict.fromkeys(("date", "dateTime", "instant"), _moments),
        "Period": _spans(period),
        "Timing": _spans(timing),
    },
    "uri": {**dict.fromkeys(_URIS, _addresses), "canonical": _canonicals},
}
CONVERTIBLE: Final[Mapping[str, frozenset[str]]] = {
    **{search_type: frozenset(by_type) for search_type, by_type in _CONVERTERS.items()},
    "token": frozenset({"code", *_CONVERTERS["token"]}),
    "reference": frozenset({"Reference", *_URIS}),
}
"""The data types each search type can index."""
