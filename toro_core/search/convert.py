"""Convert FHIR values to index rows, one converter for each pair of search type and data type.

https://hl7.org/fhir/R4/search.html#table

Past 250 lines because it is one table of small converters, each read beside its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, TypeAlias

from toro_core.references import Local, References
from toro_core.search.dates import InvalidDate, interval, period, timing
from toro_core.search.numbers import GREATEST, to_float
from toro_core.search.quantities import money_rows, quantity_rows, range_rows
from toro_core.search.text import fold
from toro_core.storage import DateRow, NumberRow, QuantityRow, ReferenceRow, StringRow, TokenRow, UriRow

__all__ = ["CONVERTIBLE", "IDENTIFIER", "OF_TYPE", "TEXT", "TEXT_MEMBERS", "Collected", "Convert", "converter"]

TEXT: Final = ":text"
IDENTIFIER: Final = ":identifier"
OF_TYPE: Final = ":of-type"
"""What is added to a name for the rows of a modifier."""
_REMEMBERED: Final = 2000
"""Rows a converter keeps, so that equal values need not be converted again."""

TEXT_MEMBERS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "Address": (("text",), ("line",), ("city",), ("district",), ("state",), ("postalCode",), ("country",)),
    "CodeableConcept": (("text",), ("coding", "display")),
    "HumanName": (("text",), ("family",), ("given",), ("prefix",), ("suffix",)),
}
"""The members that a string search of a complex type looks at."""


@dataclass(slots=True)
class Collected:
    """Rows found so far.

    An element that has nothing to search for, as a Period without ends, makes a token row without system and code: `:missing`
    tells it from one that is not there.
    """

    tokens: list[TokenRow] = field(default_factory=list)
    strings: list[StringRow] = field(default_factory=list)
    dates: list[DateRow] = field(default_factory=list)
    references: list[ReferenceRow] = field(default_factory=list)
    uris: list[UriRow] = field(default_factory=list)
    numbers: list[NumberRow] = field(default_factory=list)
    quantities: list[QuantityRow] = field(default_factory=list)


Convert: TypeAlias = Callable[[list[Any], Collected], None]
"""Adds the rows of some values, all of one type."""


def converter(
    param: str,
    search_type: str,
    data_type: str,
    references: References,
    *,
    systems: Mapping[str, str],
    targets: frozenset[str] = frozenset(),
) -> Convert:
    """Return what makes rows of `param`.

    `systems` gives the system of each code that stands without one, `targets` the types to which references are told apart.
    """
    if search_type == "reference":
        return _canonicals(param) if data_type in _URIS else _references(param, references, targets)
    if data_type == "code" and search_type == "token":
        return _codes(param, systems)
    return _CONVERTERS[search_type][data_type](param)


def _codes(param: str, systems: Mapping[str, str]) -> Convert:
    made: dict[Any, TokenRow] = {}

    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            if value is not None:
                row = made.get(value)
                if row is None:
                    row = TokenRow(param, systems.get(value, ""), value)
                    if value in systems:
                        made[value] = row
                rows.tokens.append(row)

    return convert


def _booleans(param: str) -> Convert:
    yes, no = TokenRow(param, "", "true"), TokenRow(param, "", "false")

    def convert(values: list[Any], rows: Collected) -> None:
        rows.tokens += [yes if value else no for value in values if value is not None]

    return convert


def _codings(param: str) -> Convert:
    made = _Coded(param)

    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            token, label = made.coding(value)
            rows.tokens.append(token)
            if label:
                rows.uris.append(label)

    return convert


def _concepts(param: str) -> Convert:
    made = _Coded(param)
    nothing = made.nothing

    def convert(values: list[Any], rows: Collected) -> None:
        tokens, uris = rows.tokens, rows.uris
        for value in values:
            is_coded = False
            for coding in value.get("coding", ()):
                token, label = made.coding(coding)
                if token is not nothing:
                    tokens.append(token)
                    is_coded = True
                if label:
                    uris.append(label)
            if not is_coded:
                tokens.append(nothing)
            text = value.get("text")
            if text and (label := made.label(text)):
                uris.append(label)

    return convert


class _Coded:
    """Makes the rows of codings, and remembers them: the same few come again and again."""

    def __init__(self, param: str) -> None:
        self.nothing: Final = TokenRow(param, "", "")
        self._param = param
        self._labelled = param + TEXT
        self._codings: dict[tuple[str, str, str | None], tuple[TokenRow, UriRow | None]] = {}
        self._labels: dict[str, UriRow | None] = {}

    def coding(self, coding: dict[str, Any]) -> tuple[TokenRow, UriRow | None]:
        key = coding.get("system", ""), coding.get("code", ""), coding.get("display")
        found = self._codings.get(key)
        if found is None:
            system, code, display = key
            token = TokenRow(self._param, system, code) if system or code else self.nothing
            found = token, self.label(display) if display else None
            if len(self._codings) >= _REMEMBERED:
                self._codings.clear()
            self._codings[key] = found
        return found

    def label(self, text: str) -> UriRow | None:
        if text in self._labels:
            return self._labels[text]
        folded = fold(text)
        found = UriRow(self._labelled, folded) if folded else None
        if len(self._labels) >= _REMEMBERED:
            self._labels.clear()
        self._labels[text] = found
        return found


def _label(param: str, text: str, rows: Collected) -> None:
    if folded := fold(text):
        rows.uris.append(UriRow(param, folded))


def _contact_points(param: str) -> Convert:
    nothing = TokenRow(param, "", "")

    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            system, code = value.get("system", ""), value.get("value", "")
            rows.tokens.append(TokenRow(param, system, code) if system or code else nothing)

    return convert


def _identifiers(param: str) -> Convert:
    typed, label, nothing = param + OF_TYPE, param + TEXT, TokenRow(param, "", "")

    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            system, code = value.get("system", ""), value.get("value", "")
            rows.tokens.append(TokenRow(param, system, code) if system or code else nothing)
            kind = value.get("type")
            if kind:
                if code:
                    rows.tokens += [
                        TokenRow(typed, coding.get("system", ""), f"{coding.get('code', '')}|{code}")
                        for coding in kind.get("coding", ())
                    ]
                if text := kind.get("text"):
                    _label(label, text, rows)

    return convert


def _texts(param: str) -> Convert:
    nothing = TokenRow(param, "", "")

    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            if value and (folded := fold(value)):
                rows.strings.append(StringRow(param, folded, value))
            elif value:
                rows.tokens.append(nothing)

    return convert


def _moments(param: str) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            try:
                rows.dates.append(DateRow(param, *_remembered_interval(value)))
            except (InvalidDate, TypeError):
                continue  # validation refuses such a value; one loaded as it is stays readable but unfound

    return convert


_remembered_interval: Final = lru_cache(maxsize=2000)(interval)
"""What is observed at one time has that time many times over."""


def _spans(covered: Callable[[Any], tuple[int, int] | None]) -> Callable[[str], Convert]:
    def of(param: str) -> Convert:
        nothing = TokenRow(param, "", "")

        def convert(values: list[Any], rows: Collected) -> None:
            for value in values:
                if span := covered(value):
                    rows.dates.append(DateRow(param, *span))
                else:
                    rows.tokens.append(nothing)

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


def _references(param: str, references: References, targets: frozenset[str]) -> Convert:
    """Make rows of references, to say that there are some even where they lead nowhere, and of logical ones."""
    nothing = TokenRow(param, "", "")
    made: dict[str, ReferenceRow] = {}

    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            text = value.get("reference")
            row = made.get(text)
            if row is None:
                target = references.parse(text) if text else None
                if target.__class__ is Local:
                    if len(made) >= _REMEMBERED:
                        made.clear()
                    row = made[text] = ReferenceRow(param, *target)
                elif target:
                    rows.uris.append(UriRow(param, str(target)))
                else:
                    rows.tokens.append(nothing)
            if row is not None:
                rows.references.append(row)
                if "identifier" not in value:
                    continue
            type_ = (references.type_of(text) if text else "") or value.get("type", "")
            if type_ in targets and row is None:
                rows.tokens.append(TokenRow(f"{param}:{type_}", "", ""))
            if identifier := value.get("identifier"):
                system, code = identifier.get("system", ""), identifier.get("value", "")
                rows.tokens.append(TokenRow(param + IDENTIFIER, system, code))
                if type_ in targets:
                    rows.tokens.append(TokenRow(f"{param}{IDENTIFIER}:{type_}", system, code))

    return convert


def _numbers(param: str) -> Convert:
    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            if isinstance(value, int | Decimal):
                number = to_float(value)
                rows.numbers.append(NumberRow(param, number, number))

    return convert


def _ranges(param: str) -> Convert:
    """Make number rows of Ranges, whatever their unit."""
    nothing = TokenRow(param, "", "")

    def convert(values: list[Any], rows: Collected) -> None:
        for value in values:
            low, high = ((value.get(end) or {}).get("value") for end in ("low", "high"))
            if low is not None or high is not None:
                least = -GREATEST if low is None else to_float(low)
                rows.numbers.append(NumberRow(param, least, GREATEST if high is None else to_float(high)))
            else:
                rows.tokens.append(nothing)

    return convert


def _amounts(made: Callable[[str, Any], Iterable[QuantityRow]]) -> Callable[[str], Convert]:
    def of(param: str) -> Convert:
        nothing = TokenRow(param, "", "")

        def convert(values: list[Any], rows: Collected) -> None:
            for value in values:
                before = len(rows.quantities)
                rows.quantities += made(param, value)
                if len(rows.quantities) == before:
                    rows.tokens.append(nothing)

        return convert

    return of


_URIS: Final = frozenset({"uri", "url", "canonical", "oid", "uuid"})
_CONVERTERS: Final[dict[str, dict[str, Callable[[str], Convert]]]] = {
    "token": {
        "boolean": _booleans,
        "CodeableConcept": _concepts,
        "Coding": _codings,
        "ContactPoint": _contact_points,
        "Identifier": _identifiers,
        **dict.fromkeys(("id", "string", *_URIS), lambda param: _codes(param, {})),
    },
    "string": {"markdown": _texts, "string": _texts},
    "date": {
        **dict.fromkeys(("date", "dateTime", "instant"), _moments),
        "Period": _spans(period),
        "Timing": _spans(timing),
    },
    "number": {
        **dict.fromkeys(("decimal", "integer", "positiveInt", "unsignedInt"), _numbers),
        "Range": _ranges,
    },
    "quantity": {
        **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), _amounts(quantity_rows)),
        "Money": _amounts(money_rows),
        "Range": _amounts(range_rows),
    },
    "uri": {**dict.fromkeys(_URIS, _addresses), "canonical": _canonicals},
}
CONVERTIBLE: Final[Mapping[str, frozenset[str]]] = {
    **{search_type: frozenset(by_type) for search_type, by_type in _CONVERTERS.items()},
    "string": frozenset({*_CONVERTERS["string"], *TEXT_MEMBERS}),
    "token": frozenset({"code", *_CONVERTERS["token"]}),
    "reference": frozenset({"Reference", *_URIS}),
}
"""The data types each search type can index."""
